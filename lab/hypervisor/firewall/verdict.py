"""Which rule decides about a packet: the answer for people, from the policy that is enforced. Pure."""

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
    """Of TCP and UDP the target's, of ICMP the type."""

    def __str__(self) -> str:
        names = {number: name for name, number in PROTOCOLS.items()}
        name = names.get(self.protocol)
        if self.protocol in (TCP, UDP):
            return f"{self.port}/{name}"
        return f"{name} type {self.port}" if self.protocol == ICMP else name or f"protocol {self.protocol}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the security groups of one end say."""

    permitted: bool
    rule_id: str = ""
    """Empty: no rule decides; the default does, or nothing is filtered there."""
    group_id: str = ""
    group: str = ""
    reason: str


def unfiltered(reason: str) -> Verdict:
    """An end that has no security group."""
    return Verdict(permitted=True, reason=reason)


def evaluate(policy: FirewallPolicy, interface: NetworkInterface, packet: Packet, *, egress: bool, peer: IPv4Address) -> Verdict:
    """What the groups of an interface say of a packet to (`egress`) or from a peer."""
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
        reason=f"default deny: no rule lets {packet} {way}",
    )


def _names(policy: FirewallPolicy, group_ids: Iterable[str]) -> list[str]:
    return [policy.groups[group_id].name if group_id in policy.groups else "(gone)" for group_id in group_ids]
