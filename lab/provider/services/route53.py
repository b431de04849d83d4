"""Route 53 zones and records."""

from __future__ import annotations

import uuid
from typing import Any, Final, cast

from lab.provider.cloud import Cloud
from lab.provider.codec import Props
from lab.provider.rules.dns import bare_name
from lab.provider.rules.model import listed
from lab.provider.services.base import Handler, quiet, tag_list, tag_map, tags_of

DEFAULT_COMMENT: Final = "Managed by Pulumi"


def _bare(name: str) -> str:
    """A name as Route 53 lists it, in the provider's spelling: `*` for its escape."""
    return bare_name(name).replace("\\052", "*")


class Zone(Handler):
    """`aws.route53.Zone`: private with `vpcs`, else public."""

    kind = "aws:route53/zone:Zone"
    label = "Route53 Hosted Zone"

    def create(self, cloud: Cloud, news: Props) -> str:
        vpcs = _vpcs(cloud, news)
        made = cloud.call(
            "route53.create_hosted_zone",
            Name=_bare(news["name"]),
            CallerReference=str(uuid.uuid4()),
            HostedZoneConfig={"Comment": news.get("comment", DEFAULT_COMMENT)},
            VPC=vpcs[0] if vpcs else None,
            DelegationSetId=news.get("delegationSetId"),
        )
        return str(made["HostedZone"]["Id"]).rpartition("/")[2]

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        for vpc in _vpcs(cloud, news)[1:]:
            cloud.call("route53.associate_vpc_with_hosted_zone", HostedZoneId=identifier, VPC=vpc)
        _retag(cloud, identifier, {}, tags_of(news))

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        found = cloud.find("route53.get_hosted_zone", Id=identifier)
        if found is None:
            return None
        zone = found["HostedZone"]
        servers = cast("list[str]", listed((found.get("DelegationSet") or {}).get("NameServers")))
        if zone.get("Config", {}).get("PrivateZone"):
            servers = _own_name_servers(cloud, identifier, _bare(zone["Name"]))
        tags = cloud.call("route53.list_tags_for_resource", ResourceType="hostedzone", ResourceId=identifier)
        return {
            "arn": f"arn:aws:route53:::hostedzone/{identifier}",
            "zoneId": identifier,
            "name": _bare(zone["Name"]),
            "comment": zone.get("Config", {}).get("Comment") or "",
            "vpcs": [{"vpcId": vpc["VPCId"], "vpcRegion": vpc["VPCRegion"]} for vpc in listed(found.get("VPCs"))],
            "nameServers": sorted(servers),
            "primaryNameServer": servers[0] if servers else "",
            "enableAcceleratedRecovery": False,
            "tagsAll": tag_map(tags["ResourceTagSet"].get("Tags")),
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "comment" in changed:
            cloud.call("route53.update_hosted_zone_comment", Id=identifier, Comment=news.get("comment", DEFAULT_COMMENT))
        if "vpcs" in changed:
            before, after = _vpcs(cloud, olds), _vpcs(cloud, news)
            for vpc in (vpc for vpc in after if vpc not in before):
                cloud.call("route53.associate_vpc_with_hosted_zone", HostedZoneId=identifier, VPC=vpc)
            for vpc in (vpc for vpc in before if vpc not in after):
                cloud.call("route53.disassociate_vpc_from_hosted_zone", HostedZoneId=identifier, VPC=vpc)
        _retag(cloud, identifier, tags_of(olds), tags_of(news))

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        if state.get("forceDestroy"):
            found = cloud.find("route53.list_resource_record_sets", HostedZoneId=identifier) or {}
            own = [item for item in listed(found.get("ResourceRecordSets")) if item["Type"] not in ("NS", "SOA")]
            if own:
                _change(cloud, identifier, *(("DELETE", item) for item in own))
        quiet(lambda: cloud.call("route53.delete_hosted_zone", Id=identifier))


def _vpcs(cloud: Cloud, props: Props) -> list[dict[str, str]]:
    return [{"VPCId": vpc["vpcId"], "VPCRegion": vpc.get("vpcRegion") or cloud.region} for vpc in listed(props.get("vpcs"))]


def _own_name_servers(cloud: Cloud, zone_id: str, name: str) -> list[str]:
    """The values of a private zone's NS record, sorted and as they stand there: with a dot at the end.

    GetHostedZone names no servers of a private zone, so the real provider reads the record: `findNameServersByZone` in
    terraform-provider-aws, internal/service/route53/zone.go.
    """
    record = _find(cloud, zone_id, name, "NS") or {}
    return sorted(str(item["Value"]) for item in listed(record.get("ResourceRecords")))


def _retag(cloud: Cloud, zone: str, before: dict[str, str], after: dict[str, str]) -> None:
    gone = sorted(before.keys() - after.keys())
    fresh = tag_list({key: value for key, value in after.items() if before.get(key) != value})
    if gone or fresh:
        cloud.call(
            "route53.change_tags_for_resource",
            ResourceType="hostedzone",
            ResourceId=zone,
            AddTags=fresh or None,
            RemoveTagKeys=gone or None,
        )


class Record(Handler):
    """`aws.route53.Record`; its id is `zone_name_type`."""

    kind = "aws:route53/record:Record"
    label = "Route53 Record"

    def create(self, cloud: Cloud, news: Props) -> str:
        zone = _zone_name(cloud, news["zoneId"])
        wanted = _record_set(zone, news)
        verb = "UPSERT" if news.get("allowOverwrite") else "CREATE"
        _change(cloud, news["zoneId"], (verb, wanted))
        return f"{news['zoneId']}_{_bare(news['name'])}_{news['type']}"

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        found = cloud.find("route53.get_hosted_zone", Id=state["zoneId"])
        if found is None:
            return None
        zone = _bare(found["HostedZone"]["Name"])
        live = _find(cloud, state["zoneId"], _full(state["name"], zone), state["type"])
        if live is None:
            return None
        return {
            "zoneId": state["zoneId"],
            "name": _bare(state["name"]),
            "fqdn": _full(state["name"], zone),
            "type": live["Type"],
            "ttl": live.get("TTL"),
            "records": [_unquoted(live["Type"], item["Value"]) for item in listed(live.get("ResourceRecords"))],
            "setIdentifier": live.get("SetIdentifier") or "",
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        zone = _zone_name(cloud, news["zoneId"])
        wanted = _record_set(zone, news)
        live = _find(cloud, olds["zoneId"], _full(olds["name"], zone), olds["type"])
        if live is not None and live["Type"] != wanted["Type"]:
            _change(cloud, news["zoneId"], ("DELETE", live), ("CREATE", wanted))
        else:
            _change(cloud, news["zoneId"], ("UPSERT", wanted))

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        found = cloud.find("route53.get_hosted_zone", Id=state["zoneId"])
        if found is None:
            return
        live = _find(cloud, state["zoneId"], _full(state["name"], _bare(found["HostedZone"]["Name"])), state["type"])
        if live is not None:
            # The real one passes over this refusal: `resourceRecordDelete` in terraform-provider-aws, internal/service/route53/record.go.
            quiet(lambda: _change(cloud, state["zoneId"], ("DELETE", live)), "InvalidChangeBatch")

    def imported(self, identifier: str) -> Props:
        zone, _, rest = identifier.partition("_")
        name, _, kind = rest.rpartition("_")
        return {"zoneId": zone, "name": name, "type": kind}


def _zone_name(cloud: Cloud, zone: str) -> str:
    return _bare(cloud.call("route53.get_hosted_zone", Id=zone)["HostedZone"]["Name"])


def _full(name: str, zone: str) -> str:
    """A record's whole name: one that does not end with the zone's is within it."""
    bare = _bare(name)
    if bare == zone or bare.endswith(f".{zone}"):
        return bare
    return f"{bare}.{zone}" if bare else zone


def _record_set(zone: str, news: Props) -> dict[str, Any]:
    values = [{"Value": _quoted(news["type"], str(item))} for item in listed(news.get("records"))]
    return {"Name": _full(news["name"], zone), "Type": news["type"], "TTL": news["ttl"], "ResourceRecords": values}


def _quoted(kind: str, value: str) -> str:
    return f'"{value}"' if kind in ("TXT", "SPF") else value


def _unquoted(kind: str, value: str) -> str:
    return value[1:-1] if kind in ("TXT", "SPF") and value.startswith('"') and value.endswith('"') else value


def _records(cloud: Cloud, zone: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        page = cloud.call("route53.list_resource_record_sets", HostedZoneId=zone, **start)
        found.extend(listed(page.get("ResourceRecordSets")))
        if not page.get("IsTruncated"):
            return found
        start = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}


def _find(cloud: Cloud, zone: str, name: str, kind: str) -> dict[str, Any] | None:
    return next((item for item in _records(cloud, zone) if _bare(item["Name"]) == name and item["Type"] == kind), None)


def _change(cloud: Cloud, zone: str, *changes: tuple[str, dict[str, Any]]) -> None:
    batch = {"Changes": [{"Action": verb, "ResourceRecordSet": item} for verb, item in changes]}
    cloud.call("route53.change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)
