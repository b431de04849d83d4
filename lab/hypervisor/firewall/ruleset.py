"""The policy as nftables text: `Ruleset.full_script` is all of it, `Ruleset.diff_script` what turns one into the next, both atomic.

Each packet is judged where it leaves its sender's interface (before addresses are translated) and where it arrives at its target's (after
that), as EC2 does, by the groups of that interface alone. One map leads from an interface to its chain; interfaces in the same groups share
one, and a group named as a peer is a set of addresses. So what a packet costs depends on the rules of its groups, not on how many hosts
there are.

The connection's mark says which end tracks it: a packet of a tracked connection passes whatever the rules say by now; one that no end
tracks is judged anew each time (docs/decisions/0006).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from lab.hypervisor.firewall.policy import ICMP, TCP, UDP, AllowRule, FirewallPolicy, untracked_protocols

TABLE = "firewall"
_TRACKED_BY_SOURCE, _TRACKED_BY_TARGET = "0x1", "0x2"
"""Bits of the mark: the security groups of the end that began the connection track it; those of the other end do."""

_NAMES = {TCP: "tcp", UDP: "udp"}


@dataclass(frozen=True, kw_only=True)
class RouterSide:
    """What of the router is not a host: packets from there come from no security group."""

    wan: str
    """The link to the internet."""
    endpoints: tuple[IPv4Address, ...]
    """AWS's own public addresses, which live in the router and are filtered like any other on the internet."""


@dataclass(frozen=True, kw_only=True)
class Ruleset:
    """Everything that depends on the policy, by name; the frame around it is always the same."""

    router: RouterSide
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Peer groups (`sg-…`): addresses."""
    interval_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Prefix lists (`pl-…`): networks."""
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """`out-…` and `in-…`, one pair per combination of groups."""
    egress_chains: Mapping[str, str] = field(default_factory=dict[str, str])
    """Link → chain that judges what the host behind it sends."""
    ingress_chains: Mapping[str, str] = field(default_factory=dict[str, str])
    """Link → chain that judges what is sent to it."""

    def full_script(self) -> str:
        """The script that replaces the whole table."""
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
        """The script that turns this one, loaded, into `later`; empty where nothing changes."""
        before: list[str] = []
        after: list[str] = []
        for kind, old, new in (("", self.sets, later.sets), ("flags interval; ", self.interval_sets, later.interval_sets)):
            for name in new.keys() - old.keys():
                before.append(f"add set ip {TABLE} {name} {{ type ipv4_addr; {kind}}}")
            for name in old.keys() - new.keys():
                after.append(f"delete set ip {TABLE} {name}")
            for name, elements in new.items():
                was = old.get(name, ())
                if kind and was != elements:  # a network may be part of one that goes: no order of single steps is safe
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
    """The policy's own part of the table."""
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
    """A name for a combination of groups: the group's own where there is but one."""
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
