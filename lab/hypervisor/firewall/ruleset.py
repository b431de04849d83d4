"""The policy as nftables scripts: `Ruleset.full_script` loads all of it, `Ruleset.diff_script` turns one into another. Both are atomic.

As on EC2, each packet is filtered where it leaves its sender's interface (before address translation) and where it arrives at its target's
(after it), by the groups of that interface alone. A map leads from each interface to its chain; interfaces in the same groups share one,
and a group named as a peer is a set of addresses. So the cost of a packet depends on the rules of its groups, not on the number of hosts.

The connection's mark records which ends track it. Packets of a tracked connection pass whatever the current rules are; packets of a
connection that no end tracks are filtered each time (docs/decisions/0006).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from lab.hypervisor.firewall.policy import ICMP, TCP, UDP, AllowRule, FirewallPolicy, untracked_protocols

TABLE = "firewall"
_TRACKED_BY_SOURCE, _TRACKED_BY_TARGET = "0x1", "0x2"
"""Bits of the mark: the connection is tracked by the security groups of the end that started it; by those of the other end."""

_NAMES = {TCP: "tcp", UDP: "udp"}


@dataclass(frozen=True, kw_only=True)
class RouterSide:
    """The router's interfaces and addresses that belong to no host: packets from there have no security group."""

    wan: str
    """The link to the internet."""
    endpoints: tuple[IPv4Address, ...]
    """AWS's own public addresses, which are on the router and are filtered like any other internet address."""


@dataclass(frozen=True, kw_only=True)
class Ruleset:
    """The parts of the table that depend on the policy, by name; the rest is always the same."""

    router: RouterSide
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The addresses in each peer group (`sg-…`)."""
    interval_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The networks in each prefix list (`pl-…`)."""
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The rules of each chain: `out-…` and `in-…`, one pair per combination of groups."""
    egress_chains: Mapping[str, str] = field(default_factory=dict[str, str])
    """Link → the chain for what its host sends."""
    ingress_chains: Mapping[str, str] = field(default_factory=dict[str, str])
    """Link → the chain for what is sent to its host."""

    def full_script(self) -> str:
        """Returns the script that replaces the whole table."""
        parts = [f"table ip {TABLE}", f"delete table ip {TABLE}", f"table ip {TABLE} {{"]
        for name, elements in self.sets.items():
            parts += [f"  set {name} {{", "    type ipv4_addr", *_elements(elements), "  }"]
        for name, elements in self.interval_sets.items():
            parts += [f"  set {name} {{", "    type ipv4_addr; flags interval", *_elements(elements), "  }"]
        for name, rules in self.chains.items():
            parts += [f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"]
        for name, verdicts in (("leaving", self.egress_chains), ("arriving", self.ingress_chains)):
            parts += [f"  map {name} {{", "    type ifname : verdict", *_elements(_verdicts(verdicts)), "  }"]
        parts += [_base_chains(self.router), "}", ""]
        return "\n".join(parts)

    def diff_script(self, later: "Ruleset") -> str:
        """Returns the script that turns this ruleset, once loaded, into `later`; empty if nothing changes."""
        before: list[str] = []
        after: list[str] = []
        for kind, old, new in (("", self.sets, later.sets), ("flags interval; ", self.interval_sets, later.interval_sets)):
            for name in new.keys() - old.keys():
                before.append(f"add set ip {TABLE} {name} {{ type ipv4_addr; {kind}}}")
            for name in old.keys() - new.keys():
                after.append(f"delete set ip {TABLE} {name}")
            for name, elements in new.items():
                was = old.get(name, ())
                if kind and was != elements:  # a new network may overlap a removed one: no order of single steps is safe
                    before += [f"flush set ip {TABLE} {name}"] if was else []
                    before += _element_command("add", name, elements)
                elif not kind:
                    before += _element_command("add", name, sorted(set(elements) - set(was)))
                    before += _element_command("delete", name, sorted(set(was) - set(elements)))
        for name, rules in later.chains.items():
            if self.chains.get(name) != rules:
                before += [f"add chain ip {TABLE} {name}", f"flush chain ip {TABLE} {name}"]
                before += [f"add rule ip {TABLE} {name} {rule}" for rule in rules]
        gone = sorted(self.chains.keys() - later.chains.keys())
        after = [f"flush chain ip {TABLE} {name}" for name in gone] + [f"delete chain ip {TABLE} {name}" for name in gone] + after
        for name, old_map, new_map in (
            ("leaving", self.egress_chains, later.egress_chains),
            ("arriving", self.ingress_chains, later.ingress_chains),
        ):
            was_verdicts, verdicts = set(_verdicts(old_map)), set(_verdicts(new_map))
            before += _element_command("delete", name, sorted(was_verdicts - verdicts))
            before += _element_command("add", name, sorted(verdicts - was_verdicts))
        return "".join(f"{line}\n" for line in [*before, *after])


def build_ruleset(policy: FirewallPolicy, router: RouterSide) -> Ruleset:
    """Returns the policy's part of the table."""
    chains: dict[str, tuple[str, ...]] = {}
    leaving: dict[str, str] = {}
    arriving: dict[str, str] = {}
    for interface in policy.interfaces:
        groups = tuple(sorted(set(interface.group_ids)))
        key = _key(groups)
        outgoing, incoming = policy.rules_for(groups, egress=True), policy.rules_for(groups, egress=False)
        chains[f"out-{key}"] = tuple(_rules(outgoing, incoming))
        chains[f"in-{key}"] = tuple(_rules(incoming, outgoing))
        leaving[interface.link], arriving[interface.link] = f"out-{key}", f"in-{key}"
    return Ruleset(
        router=router,
        sets={group_id: tuple(map(str, sorted(addresses))) for group_id, addresses in sorted(policy.members.items())},
        interval_sets={list_id: tuple(map(str, networks)) for list_id, networks in sorted(policy.prefix_lists.items())},
        chains=dict(sorted(chains.items())),
        egress_chains=dict(sorted(leaving.items())),
        ingress_chains=dict(sorted(arriving.items())),
    )


def _key(groups: tuple[str, ...]) -> str:
    """Returns a name for a combination of groups: the group's id if there is only one."""
    return groups[0] if len(groups) == 1 else hashlib.sha256(",".join(groups).encode()).hexdigest()[:16]


def _rules(permissions: Iterable[AllowRule], opposite: list[AllowRule]) -> Iterable[str]:
    for permission in permissions:
        untracked = untracked_protocols(permission, opposite)
        for protocol in sorted(untracked):
            yield _rule(permission, _packet_match(permission, protocol), tracked=False)
        if permission.protocol not in untracked:
            yield _rule(permission, _packet_match(permission, permission.protocol), tracked=True)


def _rule(permission: AllowRule, packets: str, *, tracked: bool) -> str:
    bit = _TRACKED_BY_SOURCE if permission.egress else _TRACKED_BY_TARGET
    track = f"ct mark set ct mark | {bit}" if tracked else ""
    words = (_peer_match(permission), packets, track, "accept", f'comment "{permission.rule_id}"')
    return " ".join(word for word in words if word)


def _packet_match(permission: AllowRule, protocol: int | None) -> str:
    if protocol is None:
        return ""
    if protocol == ICMP and permission.icmp_type is not None:
        code = f" icmp code {permission.icmp_code}" if permission.icmp_code is not None else ""
        return f"icmp type {permission.icmp_type}{code}"
    if permission.ports is not None:
        first, last = permission.ports
        return f"{_NAMES[protocol]} dport {first}" + (f"-{last}" if last != first else "")
    return f"meta l4proto {protocol}"


def _peer_match(permission: AllowRule) -> str:
    side = "ip daddr" if permission.egress else "ip saddr"
    if permission.network is not None:
        return f"{side} {permission.network}"
    name = permission.peer_group_id or permission.prefix_list_id
    return f"{side} @{name}" if name else ""


def _base_chains(interfaces: RouterSide) -> str:
    endpoints = ", ".join(map(str, interfaces.endpoints))
    return f"""\
  chain from_sender {{
    type filter hook prerouting priority mangle; policy drop;
    iifname {{ "{interfaces.wan}", "lo" }} accept
    ct state invalid counter drop
    ct state related accept
    ct state established ct direction original ct mark & {_TRACKED_BY_SOURCE} == {_TRACKED_BY_SOURCE} accept
    ct state established ct direction reply ct mark & {_TRACKED_BY_TARGET} == {_TRACKED_BY_TARGET} accept
    ip daddr != {{ {endpoints} }} fib daddr type local ct mark set ct mark | {_TRACKED_BY_SOURCE} accept
    iifname vmap @leaving
    counter
  }}
  chain to_target {{
    type filter hook postrouting priority srcnat + 10; policy drop;
    oifname {{ "{interfaces.wan}", "lo" }} accept
    ct state invalid counter drop
    ct state related accept
    ct state established ct direction original ct mark & {_TRACKED_BY_TARGET} == {_TRACKED_BY_TARGET} accept
    ct state established ct direction reply ct mark & {_TRACKED_BY_SOURCE} == {_TRACKED_BY_SOURCE} accept
    oifname vmap @arriving
    counter
  }}"""


def _verdicts(chains: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f'"{link}" : jump {chain}' for link, chain in chains.items())


def _elements(elements: tuple[str, ...]) -> list[str]:
    return [f"    elements = {{ {', '.join(elements)} }}"] if elements else []


def _element_command(verb: str, name: str, elements: Iterable[str]) -> list[str]:
    listed = ", ".join(elements)
    return [f"{verb} element ip {TABLE} {name} {{ {listed} }}"] if listed else []
