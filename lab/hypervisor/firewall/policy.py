"""Builds the allow rules from the security groups that the API returned, and checks them. Pure: no nftables, no API.

A malformed rule permits nothing and is reported; all others apply. An interface in a deleted group keeps the permissions of its other
groups.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from lab.hypervisor.firewall.model import Group, GroupRule, NetworkInterface, SecurityGroupSnapshot

ICMP, TCP, UDP = 1, 6, 17
_ICMPV6 = 58
PROTOCOLS = {"icmp": ICMP, "tcp": TCP, "udp": UDP, "icmpv6": _ICMPV6}
_MAX_PORT = 65535
_ANY_NETWORK = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, kw_only=True)
class AllowRule:
    """One valid rule. The peer is any address unless `network`, `peer_group_id` or `prefix_list_id` is set."""

    rule_id: str
    group_id: str
    egress: bool
    protocol: int | None
    """IANA's protocol number; None: all."""
    ports: tuple[int, int] | None = None
    """The first and the last port, only for TCP and UDP; None: all."""
    icmp_type: int | None = None
    icmp_code: int | None = None
    network: IPv4Network | None = None
    peer_group_id: str | None = None
    prefix_list_id: str | None = None
    description: str = ""

    @property
    def any_peer(self) -> bool:
        """Whether the peer may be any address."""
        return self.network is None and self.peer_group_id is None and self.prefix_list_id is None

    def matches(self, protocol: int, port: int | None) -> bool:
        """Whether it applies to such packets, whoever the peer is. `port`: the target's for TCP and UDP, the type for ICMP; None: all."""
        if self.protocol is None:
            return True
        if self.protocol != protocol:
            return False
        if protocol == ICMP:
            return self.icmp_type is None or self.icmp_type == port
        return self.ports is None or (port is not None and self.ports[0] <= port <= self.ports[1])


@dataclass(frozen=True, kw_only=True)
class PolicyProblem:
    """Something in the API's state that cannot be enforced."""

    text: str
    group_id: str
    """The group concerned; the status of its hosts shows the problem."""


@dataclass(frozen=True, kw_only=True)
class FirewallPolicy:
    """All allow rules. Everything else is denied."""

    interfaces: tuple[NetworkInterface, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict[str, Group])
    rules: Mapping[str, tuple[AllowRule, ...]] = field(default_factory=dict[str, tuple[AllowRule, ...]])
    """By the id of the group that they belong to."""
    members: Mapping[str, frozenset[IPv4Address]] = field(default_factory=dict[str, frozenset[IPv4Address]])
    """The addresses of the interfaces in each group that a rule names as peer."""
    prefix_lists: Mapping[str, tuple[IPv4Network, ...]] = field(default_factory=dict[str, tuple[IPv4Network, ...]])
    problems: tuple[PolicyProblem, ...] = ()

    def rules_for(self, group_ids: Iterable[str], *, egress: bool) -> list[AllowRule]:
        """Returns the rules of an interface in these groups, for one direction."""
        return [permission for group_id in group_ids for permission in self.rules.get(group_id, ()) if permission.egress is egress]

    def problems_of(self, group_ids: Iterable[str]) -> list[str]:
        """Returns the problems of these groups, for people."""
        wanted = set(group_ids)
        return [problem.text for problem in self.problems if problem.group_id in wanted]

    def matches_peer(self, permission: AllowRule, address: IPv4Address) -> bool:
        """Whether the rule applies to packets from or to this address."""
        if permission.network is not None:
            return address in permission.network
        if permission.peer_group_id is not None:
            return address in self.members.get(permission.peer_group_id, frozenset[IPv4Address]())
        if permission.prefix_list_id is not None:
            return any(address in network for network in self.prefix_lists.get(permission.prefix_list_id, ()))
        return True


class MalformedRuleError(ValueError):
    """A rule that AWS would have rejected, or whose group or prefix list was deleted since; the message says what is wrong."""


def build_policy(snapshot: SecurityGroupSnapshot, interfaces: Iterable[NetworkInterface]) -> FirewallPolicy:
    """Returns the policy of these groups for these interfaces."""
    kept = tuple(sorted(interfaces, key=lambda interface: interface.instance_id))
    problems: list[PolicyProblem] = []
    lists: dict[str, tuple[IPv4Network, ...]] = {}
    for list_id, cidrs in snapshot.prefix_lists.items():
        with contextlib.suppress(ValueError):  # reported for each rule that names the list
            lists[list_id] = tuple(collapse_addresses(IPv4Network(cidr, strict=False) for cidr in cidrs if ":" not in cidr))
    permissions: dict[str, list[AllowRule]] = {}
    for rule in sorted(snapshot.rules, key=lambda rule: rule.rule_id):
        try:
            permission = _parse_rule(rule, snapshot, lists)
        except MalformedRuleError as error:
            name = snapshot.groups[rule.group_id].name if rule.group_id in snapshot.groups else "?"
            text = f"rule {rule.rule_id} of security group {rule.group_id} ({name}) permits nothing: {error}"
            problems.append(PolicyProblem(text=text, group_id=rule.group_id))
        else:
            if permission is not None:
                permissions.setdefault(rule.group_id, []).append(permission)
    missing = {group_id for interface in kept for group_id in interface.group_ids} - set(snapshot.groups)
    problems += [PolicyProblem(text=f"its security group {group_id} does not exist", group_id=group_id) for group_id in sorted(missing)]
    named = {permission.peer_group_id for found in permissions.values() for permission in found if permission.peer_group_id}
    return FirewallPolicy(
        interfaces=kept,
        groups=snapshot.groups,
        rules={group_id: tuple(found) for group_id, found in permissions.items()},
        members={
            group_id: frozenset(interface.address for interface in kept if group_id in interface.group_ids) for group_id in sorted(named)
        },
        prefix_lists=lists,
        problems=tuple(problems),
    )


def untracked_protocols(rule: AllowRule, opposite: Iterable[AllowRule]) -> frozenset[int]:
    """Returns which of TCP and UDP AWS does not track under this rule: it is open to everyone, and a rule permits every reply.

    ICMP and all other protocols are always tracked. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
    """
    if not rule.any_peer or rule.protocol not in (None, TCP, UDP):
        return frozenset()
    answers = [other for other in opposite if other.any_peer and other.ports is None]
    candidates = (TCP, UDP) if rule.protocol is None else (rule.protocol,)
    return frozenset(protocol for protocol in candidates if any(other.protocol in (None, protocol) for other in answers))


def _parse_rule(rule: GroupRule, snapshot: SecurityGroupSnapshot, lists: Mapping[str, tuple[IPv4Network, ...]]) -> AllowRule | None:
    """Returns the checked rule, or None if it applies only to IPv6, which the lab does not have. Raises MalformedRuleError."""
    if rule.group_id not in snapshot.groups:
        raise MalformedRuleError(f"its group {rule.group_id} does not exist")
    protocol = _protocol(rule.protocol)
    peers = [peer for peer in (rule.cidr_ipv4, rule.cidr_ipv6, rule.prefix_list_id, rule.peer_group_id) if peer]
    if len(peers) != 1:
        raise MalformedRuleError(f"it names {len(peers)} peers, but a rule must have exactly one")
    if rule.cidr_ipv6 or protocol == _ICMPV6:
        return None
    if rule.peer_group_id and rule.peer_group_id not in snapshot.groups:
        raise MalformedRuleError(f"the security group {rule.peer_group_id} that it names does not exist")
    if rule.prefix_list_id and rule.prefix_list_id not in lists:
        fault = "has an entry that is not a network" if rule.prefix_list_id in snapshot.prefix_lists else "does not exist"
        raise MalformedRuleError(f"the prefix list {rule.prefix_list_id} that it names {fault}")
    icmp = protocol == ICMP
    return AllowRule(
        rule_id=rule.rule_id,
        group_id=rule.group_id,
        egress=rule.egress,
        protocol=protocol,
        ports=_ports(rule) if protocol in (TCP, UDP) else None,
        icmp_type=_octet(rule.from_port, "ICMP type") if icmp else None,
        icmp_code=_octet(rule.to_port, "ICMP code") if icmp and rule.from_port != -1 else None,
        network=_network(rule.cidr_ipv4),
        peer_group_id=rule.peer_group_id,
        prefix_list_id=rule.prefix_list_id,
        description=rule.description,
    )


def _protocol(text: str) -> int | None:
    if text == "-1":
        return None
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    if text.isdecimal() and int(text) <= 255:
        return int(text)
    raise MalformedRuleError(f"{text!r} is not a protocol: give tcp, udp, icmp, icmpv6, a number from 0 to 255, or -1 for all")


def _ports(rule: GroupRule) -> tuple[int, int] | None:
    first, last = rule.from_port, rule.to_port
    if (first, last) in ((-1, -1), (0, _MAX_PORT)):
        return None
    if not 0 <= first <= last <= _MAX_PORT:
        raise MalformedRuleError(f"{first} to {last} is not a range of ports")
    return first, last


def _octet(value: int, what: str) -> int | None:
    if not -1 <= value <= 255:
        raise MalformedRuleError(f"{value} is not a valid {what}")
    return None if value == -1 else value


def _network(cidr: str | None) -> IPv4Network | None:
    if not cidr:
        return None
    try:
        network = IPv4Network(cidr, strict=False)  # EC2 accepts host bits and clears them
    except ValueError as error:
        raise MalformedRuleError(f"{cidr!r} is not an IPv4 network") from error
    return None if network == _ANY_NETWORK else network
