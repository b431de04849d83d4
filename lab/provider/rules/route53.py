"""Rules of Route 53."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any, Final, cast

from lab.provider.codec import UNKNOWN
from lab.provider.rules.model import TypeRules, Violation, as_list, name_set
from lab.provider.rules.validators import between, length, matches, one_of

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


def normalize_name(name: str) -> str:
    """A domain name as the real provider compares and keeps it: in lower case, without a dot at its end.

    `normalizeZoneName` and the `StateFunc` of a record's name: terraform-provider-aws, internal/service/route53/zone.go and record.go.
    """
    return name.removesuffix(".").lower()


def _record(props: dict[str, Any]) -> Iterator[Violation]:
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
        if item is not UNKNOWN and (rule := _value(str(kind), str(item))):
            yield Violation(f"records[{index}]", rule)


def _value(kind: str, item: str) -> str | None:
    families = {"A": ipaddress.IPv4Address, "AAAA": ipaddress.IPv6Address}
    if kind in families:
        try:
            families[kind](item)
        except ValueError:
            return f"InvalidChangeBatch: {item!r} is not an address that a record of type {kind} takes"
    if not item:
        return "must not be empty"
    return None


def _zone(props: dict[str, Any]) -> Iterator[Violation]:
    if props.get("vpcs") == []:
        yield Violation("vpcs", "a private zone needs at least one VPC")


RULES: Final[dict[str, TypeRules]] = {
    "aws:route53/zone:Zone": TypeRules(
        unsupported=name_set("enableAcceleratedRecovery delegationSetId"),
        normalizers={"name": normalize_name},
        checks={"name": length(1, 1024), "comment": length(0, 256)},
        cross_check=_zone,
    ),
    "aws:route53/record:Record": TypeRules(
        unsupported=name_set("healthCheckId setIdentifier"),
        normalizers={"name": normalize_name},
        checks={
            "type": one_of(*RECORD_TYPES),
            "ttl": between(0, 2147483647),
            "name": matches(r"[\x21-\x7e]{1,1024}", "a domain name"),
        },
        cross_check=_record,
    ),
}
