"""What Check refuses of security groups and their rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.provider.codec import UNKNOWN
from lab.provider.rules.model import Violation, indexed_dicts
from lab.provider.rules.validators import all_of, between, cidr4, cidr6, length, matches

SOURCES: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
PROTOCOLS: Final = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58", "all": "-1"}
DESCRIPTION: Final = all_of(
    length(0, 255), matches(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*", "letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*")
)


def protocol_number(value: str) -> str:
    """The protocol as a number's text, which is how AWS compares them."""
    return PROTOCOLS.get(value.lower(), value)


def protocol(value: Any) -> str | None:
    number = protocol_number(str(value))
    ok = number == "-1" or (number.isdigit() and 0 <= int(number) <= 255)
    return None if ok else f"expected a protocol: tcp, udp, icmp, icmpv6, a number from 0 to 255, or -1 for all; got {value!r}"


def _ports(rule: Mapping[str, Any], at: str, protocol_key: str) -> Iterator[Violation]:
    protocol, low, high = rule.get(protocol_key), rule.get("fromPort"), rule.get("toPort")
    if UNKNOWN in (protocol, low, high) or protocol is None:
        return
    number = protocol_number(str(protocol))
    if number in ("6", "17"):
        if low is None or high is None:
            yield Violation(f"{at}fromPort", f"protocol {protocol} needs fromPort and toPort")
        elif low > high or low < 0:
            yield Violation(f"{at}fromPort", f"expected fromPort <= toPort, both from 0 to 65535; got {low} and {high}")
    elif number == "-1" and (low not in (None, 0, -1) or high not in (None, 0, -1)):
        yield Violation(f"{at}fromPort", "protocol -1 (all) takes no ports")


def rule_violations(props: dict[str, Any]) -> Iterator[Violation]:
    yield from _ports(props, "", "ipProtocol")
    if protocol_number(str(props.get("ipProtocol"))) == "-1" and ("fromPort" in props or "toPort" in props):
        yield Violation("fromPort", 'ipProtocol "-1" (all) takes no ports: AWS drops them and the next plan would differ')


def inline_violations(props: dict[str, Any]) -> Iterator[Violation]:
    for direction in ("ingress", "egress"):
        for index, rule in indexed_dicts(props.get(direction)):
            yield from _ports(rule, f"{direction}[{index}].", "protocol")
            if not any(rule.get(key) for key in ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups", "self")):
                yield Violation(
                    f"{direction}[{index}]", "one of cidrBlocks, ipv6CidrBlocks, prefixListIds, securityGroups, self must be given"
                )


def replaced_source(state: Mapping[str, Any], news: Mapping[str, Any], _changed: frozenset[str]) -> frozenset[str]:
    before = {name for name in SOURCES if state.get(name) not in (None, "")}
    after = {name for name in SOURCES if news.get(name) is not None}
    return frozenset(before ^ after)


INLINE_CHECKS: Final = {
    f"{direction}[].{name}": check
    for direction in ("ingress", "egress")
    for name, check in {
        "protocol": protocol,
        "description": DESCRIPTION,
        "cidrBlocks[]": cidr4,
        "ipv6CidrBlocks[]": cidr6,
        "fromPort": between(-1, 65535),
        "toPort": between(-1, 65535),
    }.items()
}
