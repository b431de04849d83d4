"""Dropped packets: zone partitions, drops and losses as one nftables table of the router.

The table filters forwarded packets after the sender's security groups and before the target's: as on EC2, a packet that a fault drops has
left its sender, and its connection is tracked there. Packets are matched by the links that they enter and leave through, whatever their
addresses: a host's other addresses, paths through its public one, and open connections are affected alike.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from typing import Self

from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.fault import Fault, FaultInjector, InjectorContext, LabSnapshot
from lab.hypervisor.faults.paths import AWS, PairFault, router_links
from lab.names import WAN

TABLE = "faults"
_DELETE_TABLE = f"table ip {TABLE}\ndelete table ip {TABLE}\n"

_PASSING, _TO_ROUTER, _FROM_ROUTER = "passing", "to_router", "from_router"
_HOOKS = {_PASSING: "forward", _TO_ROUTER: "input", _FROM_ROUTER: "output"}
"""AWS's endpoints are addresses of the router, so packets from or to them pass other hooks."""

DropRule = tuple[str, str]
"""A chain and a rule in it."""


class PacketDropInjector(FaultInjector):
    """Carries out faults that drop packets."""

    def __init__(self, load: Callable[[str], None]) -> None:
        self._load = load
        self._loaded: str | None = None

    @classmethod
    def create(cls, context: InjectorContext) -> Self:
        """See `FaultInjector`."""
        return cls(context.load_rules)

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """See `FaultInjector`. Raises CommandError if nft fails; the old table then stays in force."""
        wanted = drop_rules_script(faults, snapshot)
        if wanted != self._loaded:
            self._loaded = None
            self._load(wanted)
            self._loaded = wanted

    # No `before_boot`: the table is the router's, and a link's name stays the same.


class PacketDropFault(Fault, ABC):
    """A fault that drops packets."""

    injector = PacketDropInjector

    @abstractmethod
    def drop_rules(self, snapshot: LabSnapshot) -> Iterator[DropRule]:
        """Yields the router's rules that drop them."""


def drop_rules_script(faults: Iterable[Fault], snapshot: LabSnapshot) -> str:
    """Returns the nftables script that replaces the router's table of faults in one transaction."""
    rules = [rule for fault in faults if isinstance(fault, PacketDropFault) for rule in fault.drop_rules(snapshot)]
    if not rules:
        return _DELETE_TABLE
    lines = [f"table ip {TABLE} {{"]
    for chain, hook in _HOOKS.items():
        lines += [f"  chain {chain} {{", f"    type filter hook {hook} priority filter - 30; policy accept;"]
        lines += [f"    {rule}" for of, rule in rules if of == chain]
        lines.append("  }")
    return _DELETE_TABLE + "\n".join([*lines, "}", ""])


def _path_match(source: str, target: str, snapshot: LabSnapshot) -> DropRule | None:
    """Returns chain and match for the packets from one end to another; None if an end does not exist."""
    host = target if source == AWS else source
    leave, arrive = router_links(host, snapshot), router_links(target, snapshot)
    if AWS in (source, target) and leave:
        endpoints = nft_set(_endpoints(snapshot))
        if source == AWS:
            return _FROM_ROUTER, f"oifname {nft_set(leave)} ip saddr {endpoints}"
        return _TO_ROUTER, f"iifname {nft_set(leave)} ip daddr {endpoints}"
    return (_PASSING, f"iifname {nft_set(leave)} oifname {nft_set(arrive)}") if leave and arrive else None


def pair_drop_rules(fault: PairFault, snapshot: LabSnapshot, condition: str = "") -> Iterator[DropRule]:
    """Yields the rules that drop the packets of each affected direction: all, or those that match the nftables `condition`."""
    for source, target in fault.directions():
        if found := _path_match(source, target, snapshot):
            yield found[0], " ".join(filter(None, (found[1], condition, "counter drop")))


def partition_rules(zone: str, snapshot: LabSnapshot) -> Iterator[DropRule]:
    """Yields the rules that cut a zone off from everything except the metadata service and the resolver."""
    inside = [snapshot.names.router_link(machine.instance_id) for machine in snapshot.live_machines if machine.zone == zone]
    if inside:
        ours, endpoints = nft_set(inside), nft_set(_endpoints(snapshot))
        yield _PASSING, f"iifname {ours} oifname != {ours} counter drop"
        yield _PASSING, f"iifname != {ours} oifname {ours} counter drop"
        yield _TO_ROUTER, f"iifname {ours} ip daddr {endpoints} counter drop"
        yield _FROM_ROUTER, f"oifname {ours} ip saddr {endpoints} counter drop"
    for machine in snapshot.live_machines:
        if loses_nat_gateway(machine, zone):
            yield from _no_egress_rules(machine, snapshot)


def loses_nat_gateway(machine: DesiredMachine, zone: str) -> bool:
    """Whether the host is in another zone but uses a NAT gateway in this one."""
    return machine.egress_zone == zone != machine.zone


def _no_egress_rules(machine: DesiredMachine, snapshot: LabSnapshot) -> Iterator[DropRule]:
    """Yields the rules that block the NAT gateway: no internet, no hosts by public address, no AWS except S3 through an endpoint."""
    link = nft_set([snapshot.names.router_link(machine.instance_id)])
    endpoints = nft_set([snapshot.names.api_address] if machine.s3_endpoint else _endpoints(snapshot))
    yield _PASSING, f'iifname {link} oifname "{WAN}" counter drop'
    yield _PASSING, f'iifname "{WAN}" oifname {link} counter drop'
    yield _PASSING, f"iifname {link} ct direction original ct status dnat counter drop"
    yield _TO_ROUTER, f"iifname {link} ip daddr {endpoints} counter drop"
    yield _FROM_ROUTER, f"oifname {link} ip saddr {endpoints} counter drop"


def _endpoints(snapshot: LabSnapshot) -> list[IPv4Address]:
    return [snapshot.names.api_address, snapshot.names.s3_address]


def nft_set(members: Iterable[object]) -> str:
    """Returns an nftables set of these members, link names or addresses. It must not be empty."""
    quoted = (f'"{member}"' if isinstance(member, str) else str(member) for member in members)
    return f"{{ {', '.join(quoted)} }}"
