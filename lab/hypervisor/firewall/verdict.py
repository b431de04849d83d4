"""Finds the rule that decides about a packet, from the enforced policy, to show it to people. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from lab.hypervisor.firewall.model import NetworkInterface
from lab.hypervisor.firewall.policy import ICMP, PROTOCOLS, TCP, UDP, FirewallPolicy


@dataclass(frozen=True, kw_only=True)
class Packet:
    """The first packet of a connection."""

    protocol: int
    port: int | None = None
    """The target port for TCP and UDP, the type for ICMP."""

    def __str__(self) -> str:
        names = {number: name for name, number in PROTOCOLS.items()}
        name = names.get(self.protocol)
        if self.protocol in (TCP, UDP):
            return f"{self.port}/{name}"
        return f"{name} type {self.port}" if self.protocol == ICMP else name or f"protocol {self.protocol}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the security groups at one end decide."""

    permitted: bool
    rule_id: str = ""
    """Empty if no rule decides: the default applies, or nothing is filtered there."""
    group_id: str = ""
    group: str = ""
    reason: str


def unfiltered(reason: str) -> Verdict:
    """Returns the verdict for an end without security groups: permitted."""
    return Verdict(permitted=True, reason=reason)


def evaluate(policy: FirewallPolicy, interface: NetworkInterface, packet: Packet, *, egress: bool, peer: IPv4Address) -> Verdict:
    """Returns the verdict of an interface's groups on a packet to (`egress`) or from a peer."""
    for permission in policy.rules_for(sorted(interface.group_ids), egress=egress):
        if permission.matches(packet.protocol, packet.port) and policy.matches_peer(permission, peer):
            return Verdict(
                permitted=True,
                rule_id=permission.rule_id,
                group_id=permission.group_id,
                group=policy.groups[permission.group_id].name,
                reason=permission.description or "it has no description",
            )
    way = f"out to {peer}" if egress else f"in from {peer}"
    return Verdict(
        permitted=False,
        group_id=", ".join(interface.group_ids),
        group=", ".join(_names(policy, interface.group_ids)),
        reason=f"default deny: no rule allows {packet} {way}",
    )


def _names(policy: FirewallPolicy, group_ids: Iterable[str]) -> list[str]:
    return [policy.groups[group_id].name if group_id in policy.groups else "(gone)" for group_id in group_ids]
