"""Rules of Route 53."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any, Final, cast

from lab.provider.codec import UNKNOWN
from lab.provider.rules.model import Problem, TypeRules, listed, names
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


def bare_name(name: str) -> str:
    """A domain name as the real provider compares and keeps it: in lower case, without a dot at its end.

    `normalizeZoneName` and the `StateFunc` of a record's name: terraform-provider-aws, internal/service/route53/zone.go and record.go.
    """
    return name.removesuffix(".").lower()


def _record(props: dict[str, Any]) -> Iterator[Problem]:
    for name in ROUTING:
        if name in props:
            yield Problem(name, "the lab's provider implements simple routing only")
    if "aliases" in props:
        yield Problem("aliases", "the lab's provider implements no alias records; give records and ttl")
    records, kind = props.get("records"), props.get("type")
    if "records" in props and "ttl" not in props:
        yield Problem("ttl", "records need a ttl")
    if not isinstance(records, list):
        return
    records = listed(cast("Any", records))
    known = [item for item in records if item is not UNKNOWN]
    if not records:
        yield Problem("records", "at least one value must be given")
    if len(set(known)) != len(known):
        yield Problem("records", "a value is given twice")
    if kind == "CNAME" and len(records) > 1:
        yield Problem("records", "a CNAME has exactly one value")
    for index, item in enumerate(records):
        if item is not UNKNOWN and (rule := _value(str(kind), str(item))):
            yield Problem(f"records[{index}]", rule)


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


def _zone(props: dict[str, Any]) -> Iterator[Problem]:
    if props.get("vpcs") == []:
        yield Problem("vpcs", "a private zone needs at least one VPC")


RULES: Final[dict[str, TypeRules]] = {
    "aws:route53/zone:Zone": TypeRules(
        unserved=names("enableAcceleratedRecovery delegationSetId"),
        written={"name": bare_name},
        checks={"name": length(1, 1024), "comment": length(0, 256)},
        whole=_zone,
    ),
    "aws:route53/record:Record": TypeRules(
        unserved=names("healthCheckId setIdentifier"),
        written={"name": bare_name},
        checks={
            "type": one_of(*RECORD_TYPES),
            "ttl": between(0, 2147483647),
            "name": matches(r"[\x21-\x7e]{1,1024}", "a domain name"),
        },
        whole=_record,
    ),
}
