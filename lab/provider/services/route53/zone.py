"""Hosted zones."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, tag_list, tag_map, tags_of
from lab.provider.rules.model import TypeRules, Violation, as_list, name_set
from lab.provider.rules.validators import length
from lab.provider.services.route53.record_sets import change_record_sets, find_record_set, listed_name, normalize_name

DEFAULT_COMMENT: Final = "Managed by Pulumi"


def _zone_violations(props: dict[str, Any]) -> Iterator[Violation]:
    if props.get("vpcs") == []:
        yield Violation("vpcs", "a private zone needs at least one VPC")


class Zone(Handler):
    """`aws.route53.Zone`: private with `vpcs`, else public."""

    label = "Route53 Hosted Zone"
    rules = TypeRules(
        unsupported=name_set("enableAcceleratedRecovery delegationSetId"),
        normalizers={"name": normalize_name},
        checks={"name": length(1, 1024), "comment": length(0, 256)},
        cross_check=_zone_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        vpcs = _vpcs(client, news)
        made = client.call(
            "route53.create_hosted_zone",
            Name=listed_name(news["name"]),
            CallerReference=str(uuid.uuid4()),
            HostedZoneConfig={"Comment": news.get("comment", DEFAULT_COMMENT)},
            VPC=vpcs[0] if vpcs else None,
            DelegationSetId=news.get("delegationSetId"),
        )
        return str(made["HostedZone"]["Id"]).rpartition("/")[2]

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        for vpc in _vpcs(client, news)[1:]:
            client.call("route53.associate_vpc_with_hosted_zone", HostedZoneId=identifier, VPC=vpc)
        _retag(client, identifier, {}, tags_of(news))

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.find("route53.get_hosted_zone", Id=identifier)
        if found is None:
            return None
        zone = found["HostedZone"]
        servers = cast("list[str]", as_list((found.get("DelegationSet") or {}).get("NameServers")))
        if zone.get("Config", {}).get("PrivateZone"):
            servers = _private_name_servers(client, identifier, listed_name(zone["Name"]))
        tags = client.call("route53.list_tags_for_resource", ResourceType="hostedzone", ResourceId=identifier)
        return {
            "arn": f"arn:aws:route53:::hostedzone/{identifier}",
            "zoneId": identifier,
            "name": listed_name(zone["Name"]),
            "comment": zone.get("Config", {}).get("Comment") or "",
            "vpcs": [{"vpcId": vpc["VPCId"], "vpcRegion": vpc["VPCRegion"]} for vpc in as_list(found.get("VPCs"))],
            "nameServers": sorted(servers),
            "primaryNameServer": servers[0] if servers else "",
            "enableAcceleratedRecovery": False,
            "tagsAll": tag_map(tags["ResourceTagSet"].get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "comment" in changed:
            client.call("route53.update_hosted_zone_comment", Id=identifier, Comment=news.get("comment", DEFAULT_COMMENT))
        if "vpcs" in changed:
            before, after = _vpcs(client, olds), _vpcs(client, news)
            for vpc in (vpc for vpc in after if vpc not in before):
                client.call("route53.associate_vpc_with_hosted_zone", HostedZoneId=identifier, VPC=vpc)
            for vpc in (vpc for vpc in before if vpc not in after):
                client.call("route53.disassociate_vpc_from_hosted_zone", HostedZoneId=identifier, VPC=vpc)
        _retag(client, identifier, tags_of(olds), tags_of(news))

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        if state.get("forceDestroy"):
            found = client.find("route53.list_resource_record_sets", HostedZoneId=identifier) or {}
            own = [item for item in as_list(found.get("ResourceRecordSets")) if item["Type"] not in ("NS", "SOA")]
            if own:
                change_record_sets(client, identifier, *(("DELETE", item) for item in own))
        ignore_missing(lambda: client.call("route53.delete_hosted_zone", Id=identifier))


def _vpcs(client: ApiClient, props: Props) -> list[dict[str, str]]:
    return [{"VPCId": vpc["vpcId"], "VPCRegion": vpc.get("vpcRegion") or client.region} for vpc in as_list(props.get("vpcs"))]


def _private_name_servers(client: ApiClient, zone_id: str, name: str) -> list[str]:
    """The values of a private zone's NS record, sorted and as they stand there: with a dot at the end.

    GetHostedZone names no servers of a private zone, so the real provider reads the record: `findNameServersByZone` in
    terraform-provider-aws, internal/service/route53/zone.go.
    """
    record = find_record_set(client, zone_id, name, "NS") or {}
    return sorted(str(item["Value"]) for item in as_list(record.get("ResourceRecords")))


def _retag(client: ApiClient, zone: str, before: dict[str, str], after: dict[str, str]) -> None:
    gone = sorted(before.keys() - after.keys())
    fresh = tag_list({key: value for key, value in after.items() if before.get(key) != value})
    if gone or fresh:
        client.call(
            "route53.change_tags_for_resource",
            ResourceType="hostedzone",
            ResourceId=zone,
            AddTags=fresh or None,
            RemoveTagKeys=gone or None,
        )
