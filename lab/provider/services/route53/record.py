"""Records."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient
from lab.provider.codec import UNKNOWN, Props
from lab.provider.handler import Handler, ignore_missing
from lab.provider.rules.model import TypeRules, Violation, as_list, name_set
from lab.provider.rules.validators import between, matches, one_of
from lab.provider.services.route53.record_sets import change_record_sets, find_record_set, listed_name, normalize_name

RECORD_TYPES: Final = (
    "A",
    "AAAA",
    "CAA",
    "CNAME",
    "DS",
    "HTTPS",
    "MX",
    "NAPTR",
    "NS",
    "PTR",
    "SOA",
    "SPF",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
    "TXT",
)
ROUTING: Final = (
    "cidrRoutingPolicy", "failoverRoutingPolicies", "geolocationRoutingPolicies", "geoproximityRoutingPolicy", "latencyRoutingPolicies",
    "multivalueAnswerRoutingPolicy", "weightedRoutingPolicies",
)  # fmt: skip


def _record_violations(props: dict[str, Any]) -> Iterator[Violation]:
    for name in ROUTING:
        if name in props:
            yield Violation(name, "the lab's provider implements simple routing only")
    if "aliases" in props:
        yield Violation("aliases", "the lab's provider implements no alias records; give records and ttl")
    records, kind = props.get("records"), props.get("type")
    if "records" in props and "ttl" not in props:
        yield Violation("ttl", "records need a ttl")
    if not isinstance(records, list):
        return
    records = as_list(cast("Any", records))
    known = [item for item in records if item is not UNKNOWN]
    if not records:
        yield Violation("records", "at least one value must be given")
    if len(set(known)) != len(known):
        yield Violation("records", "a value is given twice")
    if kind == "CNAME" and len(records) > 1:
        yield Violation("records", "a CNAME has exactly one value")
    for index, item in enumerate(records):
        if item is not UNKNOWN and (rule := _value_problem(str(kind), str(item))):
            yield Violation(f"records[{index}]", rule)


def _value_problem(kind: str, item: str) -> str | None:
    families = {"A": ipaddress.IPv4Address, "AAAA": ipaddress.IPv6Address}
    if kind in families:
        try:
            families[kind](item)
        except ValueError:
            return f"InvalidChangeBatch: {item!r} is not an address that a record of type {kind} takes"
    if not item:
        return "must not be empty"
    return None


class Record(Handler):
    """`aws.route53.Record`; its id is `zone_name_type`."""

    label = "Route53 Record"
    rules = TypeRules(
        unsupported=name_set("healthCheckId setIdentifier"),
        normalizers={"name": normalize_name},
        checks={
            "type": one_of(*RECORD_TYPES),
            "ttl": between(0, 2147483647),
            "name": matches(r"[\x21-\x7e]{1,1024}", "a domain name"),
        },
        cross_check=_record_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        zone = _zone_name(client, news["zoneId"])
        wanted = _record_set(zone, news)
        verb = "UPSERT" if news.get("allowOverwrite") else "CREATE"
        change_record_sets(client, news["zoneId"], (verb, wanted))
        return f"{news['zoneId']}_{listed_name(news['name'])}_{news['type']}"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.find("route53.get_hosted_zone", Id=state["zoneId"])
        if found is None:
            return None
        zone = listed_name(found["HostedZone"]["Name"])
        live = find_record_set(client, state["zoneId"], _fqdn(state["name"], zone), state["type"])
        if live is None:
            return None
        return {
            "zoneId": state["zoneId"],
            "name": listed_name(state["name"]),
            "fqdn": _fqdn(state["name"], zone),
            "type": live["Type"],
            "ttl": live.get("TTL"),
            "records": [_unquoted(live["Type"], item["Value"]) for item in as_list(live.get("ResourceRecords"))],
            "setIdentifier": live.get("SetIdentifier") or "",
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        zone = _zone_name(client, news["zoneId"])
        wanted = _record_set(zone, news)
        live = find_record_set(client, olds["zoneId"], _fqdn(olds["name"], zone), olds["type"])
        if live is not None and live["Type"] != wanted["Type"]:
            change_record_sets(client, news["zoneId"], ("DELETE", live), ("CREATE", wanted))
        else:
            change_record_sets(client, news["zoneId"], ("UPSERT", wanted))

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        found = client.find("route53.get_hosted_zone", Id=state["zoneId"])
        if found is None:
            return
        live = find_record_set(client, state["zoneId"], _fqdn(state["name"], listed_name(found["HostedZone"]["Name"])), state["type"])
        if live is not None:
            # The real one passes over this refusal: `resourceRecordDelete` in terraform-provider-aws, internal/service/route53/record.go.
            ignore_missing(lambda: change_record_sets(client, state["zoneId"], ("DELETE", live)), "InvalidChangeBatch")

    def parse_import_id(self, identifier: str) -> Props:
        zone, _, rest = identifier.partition("_")
        name, _, kind = rest.rpartition("_")
        return {"zoneId": zone, "name": name, "type": kind}


def _zone_name(client: ApiClient, zone: str) -> str:
    return listed_name(client.call("route53.get_hosted_zone", Id=zone)["HostedZone"]["Name"])


def _fqdn(name: str, zone: str) -> str:
    """A record's whole name: one that does not end with the zone's is within it."""
    bare = listed_name(name)
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
