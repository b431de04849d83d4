"""Route 53 zones and records."""

from __future__ import annotations

import uuid
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.rules.model import as_list
from lab.provider.rules.route53 import normalize_name
from lab.provider.services.base import Handler, ignore_missing, tag_list, tag_map, tags_of

DEFAULT_COMMENT: Final = "Managed by Pulumi"


def _normalize_name(name: str) -> str:
    """A name as Route 53 lists it, in the provider's spelling: `*` for its escape."""
    return normalize_name(name).replace("\\052", "*")


class Zone(Handler):
    """`aws.route53.Zone`: private with `vpcs`, else public."""

    resource_type = "aws:route53/zone:Zone"
    label = "Route53 Hosted Zone"

    def create(self, client: ApiClient, news: Props) -> str:
        vpcs = _vpcs(client, news)
        made = client.call(
            "route53.create_hosted_zone",
            Name=_normalize_name(news["name"]),
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
            servers = _private_name_servers(client, identifier, _normalize_name(zone["Name"]))
        tags = client.call("route53.list_tags_for_resource", ResourceType="hostedzone", ResourceId=identifier)
        return {
            "arn": f"arn:aws:route53:::hostedzone/{identifier}",
            "zoneId": identifier,
            "name": _normalize_name(zone["Name"]),
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
                _change(client, identifier, *(("DELETE", item) for item in own))
        ignore_missing(lambda: client.call("route53.delete_hosted_zone", Id=identifier))


def _vpcs(client: ApiClient, props: Props) -> list[dict[str, str]]:
    return [{"VPCId": vpc["vpcId"], "VPCRegion": vpc.get("vpcRegion") or client.region} for vpc in as_list(props.get("vpcs"))]


def _private_name_servers(client: ApiClient, zone_id: str, name: str) -> list[str]:
    """The values of a private zone's NS record, sorted and as they stand there: with a dot at the end.

    GetHostedZone names no servers of a private zone, so the real provider reads the record: `findNameServersByZone` in
    terraform-provider-aws, internal/service/route53/zone.go.
    """
    record = _find(client, zone_id, name, "NS") or {}
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


class Record(Handler):
    """`aws.route53.Record`; its id is `zone_name_type`."""

    resource_type = "aws:route53/record:Record"
    label = "Route53 Record"

    def create(self, client: ApiClient, news: Props) -> str:
        zone = _zone_name(client, news["zoneId"])
        wanted = _record_set(zone, news)
        verb = "UPSERT" if news.get("allowOverwrite") else "CREATE"
        _change(client, news["zoneId"], (verb, wanted))
        return f"{news['zoneId']}_{_normalize_name(news['name'])}_{news['type']}"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.find("route53.get_hosted_zone", Id=state["zoneId"])
        if found is None:
            return None
        zone = _normalize_name(found["HostedZone"]["Name"])
        live = _find(client, state["zoneId"], _fqdn(state["name"], zone), state["type"])
        if live is None:
            return None
        return {
            "zoneId": state["zoneId"],
            "name": _normalize_name(state["name"]),
            "fqdn": _fqdn(state["name"], zone),
            "type": live["Type"],
            "ttl": live.get("TTL"),
            "records": [_unquoted(live["Type"], item["Value"]) for item in as_list(live.get("ResourceRecords"))],
            "setIdentifier": live.get("SetIdentifier") or "",
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        zone = _zone_name(client, news["zoneId"])
        wanted = _record_set(zone, news)
        live = _find(client, olds["zoneId"], _fqdn(olds["name"], zone), olds["type"])
        if live is not None and live["Type"] != wanted["Type"]:
            _change(client, news["zoneId"], ("DELETE", live), ("CREATE", wanted))
        else:
            _change(client, news["zoneId"], ("UPSERT", wanted))

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        found = client.find("route53.get_hosted_zone", Id=state["zoneId"])
        if found is None:
            return
        live = _find(client, state["zoneId"], _fqdn(state["name"], _normalize_name(found["HostedZone"]["Name"])), state["type"])
        if live is not None:
            # The real one passes over this refusal: `resourceRecordDelete` in terraform-provider-aws, internal/service/route53/record.go.
            ignore_missing(lambda: _change(client, state["zoneId"], ("DELETE", live)), "InvalidChangeBatch")

    def parse_import_id(self, identifier: str) -> Props:
        zone, _, rest = identifier.partition("_")
        name, _, kind = rest.rpartition("_")
        return {"zoneId": zone, "name": name, "type": kind}


def _zone_name(client: ApiClient, zone: str) -> str:
    return _normalize_name(client.call("route53.get_hosted_zone", Id=zone)["HostedZone"]["Name"])


def _fqdn(name: str, zone: str) -> str:
    """A record's whole name: one that does not end with the zone's is within it."""
    bare = _normalize_name(name)
    if bare == zone or bare.endswith(f".{zone}"):
        return bare
    return f"{bare}.{zone}" if bare else zone


def _record_set(zone: str, news: Props) -> dict[str, Any]:
    values = [{"Value": _quoted(news["type"], str(item))} for item in as_list(news.get("records"))]
    return {"Name": _fqdn(news["name"], zone), "Type": news["type"], "TTL": news["ttl"], "ResourceRecords": values}


def _quoted(kind: str, value: str) -> str:
    return f'"{value}"' if kind in ("TXT", "SPF") else value


def _unquoted(kind: str, value: str) -> str:
    return value[1:-1] if kind in ("TXT", "SPF") and value.startswith('"') and value.endswith('"') else value


def _records(client: ApiClient, zone: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        page = client.call("route53.list_resource_record_sets", HostedZoneId=zone, **start)
        found.extend(as_list(page.get("ResourceRecordSets")))
        if not page.get("IsTruncated"):
            return found
        start = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}


def _find(client: ApiClient, zone: str, name: str, kind: str) -> dict[str, Any] | None:
    return next((item for item in _records(client, zone) if _normalize_name(item["Name"]) == name and item["Type"] == kind), None)


def _change(client: ApiClient, zone: str, *changes: tuple[str, dict[str, Any]]) -> None:
    batch = {"Changes": [{"Action": verb, "ResourceRecordSet": item} for verb, item in changes]}
    client.call("route53.change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)
