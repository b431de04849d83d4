"""What the security groups permit: the API's facts, checked and made sense of. Pure: no nftables, no API.

A rule that makes no sense permits nothing and is reported; all others hold. An interface in a group that is gone keeps the permissions of
its other groups.
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
    """One rule that is sound. The peer is everywhere unless one of `network`, `peer_group_id`, `prefix_list_id` is given."""

    rule_id: str
    group_id: str
    egress: bool
    protocol: int | None
    """IANA's number; None: all."""
    ports: tuple[int, int] | None = None
    """First and last, of TCP and UDP alone; None: all."""
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
        """Whether it is about such a packet, the peer aside. `port`: of TCP and UDP the target's, of ICMP the type; None: every one."""
        if self.protocol is None:
            return True
        if self.protocol != protocol:
            return False
        if protocol == ICMP:
            return self.icmp_type is None or self.icmp_type == port
        return self.ports is None or (port is not None and self.ports[0] <= port <= self.ports[1])


@dataclass(frozen=True, kw_only=True)
class PolicyProblem:
    """Something that AWS's state holds and that cannot be obeyed."""

    text: str
    group_id: str
    """The group concerned: hosts in it show the problem."""


@dataclass(frozen=True, kw_only=True)
class FirewallPolicy:
    """All that is permitted. Whatever is not, is not."""

    interfaces: tuple[NetworkInterface, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict[str, Group])
    rules: Mapping[str, tuple[AllowRule, ...]] = field(default_factory=dict[str, tuple[AllowRule, ...]])
    """By the id of the group that they are of."""
    members: Mapping[str, frozenset[IPv4Address]] = field(default_factory=dict[str, frozenset[IPv4Address]])
    """The addresses of the interfaces in each group that a permission names as peer."""
    prefix_lists: Mapping[str, tuple[IPv4Network, ...]] = field(default_factory=dict[str, tuple[IPv4Network, ...]])
    problems: tuple[PolicyProblem, ...] = ()

    def rules_for(self, group_ids: Iterable[str], *, egress: bool) -> list[AllowRule]:
        """The permissions of an interface in these groups, in one direction."""
        return [permission for group_id in group_ids for permission in self.rules.get(group_id, ()) if permission.egress is egress]

    def problems_of(self, group_ids: Iterable[str]) -> list[str]:
        """What is wrong with these groups, for people."""
        wanted = set(group_ids)
        return [problem.text for problem in self.problems if problem.group_id in wanted]

    def matches_peer(self, permission: AllowRule, address: IPv4Address) -> bool:
        """Whether the permission is about packets from or to this address."""
        if permission.network is not None:
            return address in permission.network
        if permission.peer_group_id is not None:
            return address in self.members.get(permission.peer_group_id, frozenset[IPv4Address]())
        if permission.prefix_list_id is not None:
            return any(address in network for network in self.prefix_lists.get(permission.prefix_list_id, ()))
        return True


class MalformedRuleError(ValueError):
    """A rule that AWS would not have taken, or whose group or list has gone since; the message says what is wrong with it."""


def build_policy(snapshot: SecurityGroupSnapshot, interfaces: Iterable[NetworkInterface]) -> FirewallPolicy:
    """What these groups permit to these interfaces."""
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
    problems += [PolicyProblem(text=f"its security group {group_id} is not there", group_id=group_id) for group_id in sorted(missing)]
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
    """Those of TCP and UDP whose flows by this permission AWS does not track: open to everyone, with every answer permitted by a rule.

    ICMP and all other protocols are always tracked. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
    """
    if not rule.any_peer or rule.protocol not in (None, TCP, UDP):
        return frozenset()
    answers = [other for other in opposite if other.any_peer and other.ports is None]
    candidates = (TCP, UDP) if rule.protocol is None else (rule.protocol,)
    return frozenset(protocol for protocol in candidates if any(other.protocol in (None, protocol) for other in answers))


def _parse_rule(rule: GroupRule, snapshot: SecurityGroupSnapshot, lists: Mapping[str, tuple[IPv4Network, ...]]) -> AllowRule | None:
    """The rule as a permission; None where it is about IPv6 alone, which the lab's networks do not speak."""
    if rule.group_id not in snapshot.groups:
        raise MalformedRuleError(f"its group {rule.group_id} is not there")
    protocol = _protocol(rule.protocol)
    peers = [peer for peer in (rule.cidr_ipv4, rule.cidr_ipv6, rule.prefix_list_id, rule.peer_group_id) if peer]
    if len(peers) != 1:
        raise MalformedRuleError(f"it names {len(peers)} peers, and a rule has one")
    if rule.cidr_ipv6 or protocol == _ICMPV6:
        return None
    if rule.peer_group_id and rule.peer_group_id not in snapshot.groups:
        raise MalformedRuleError(f"the security group {rule.peer_group_id} that it names is not there")
    if rule.prefix_list_id and rule.prefix_list_id not in lists:
        fault = "holds what is no network" if rule.prefix_list_id in snapshot.prefix_lists else "is not there"
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
    raise MalformedRuleError(f"{text!r} is no protocol: tcp, udp, icmp, icmpv6, a number from 0 to 255, or -1 for all")


def _ports(rule: GroupRule) -> tuple[int, int] | None:
    first, last = rule.from_port, rule.to_port
    if (first, last) in ((-1, -1), (0, _MAX_PORT)):
        return None
    if not 0 <= first <= last <= _MAX_PORT:
        raise MalformedRuleError(f"{first} to {last} is no range of ports")
    return first, last


def _octet(value: int, what: str) -> int | None:
    if not -1 <= value <= 255:
        raise MalformedRuleError(f"{value} is no {what}")
    return None if value == -1 else value


def _network(cidr: str | None) -> IPv4Network | None:
    if not cidr:
        return None
    try:
        network = IPv4Network(cidr, strict=False)  # EC2 takes host bits and drops them
    except ValueError as error:
        raise MalformedRuleError(f"{cidr!r} is no IPv4 network") from error
    return None if network == _ANY_NETWORK else network
