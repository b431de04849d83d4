"""Ends connections whose address has moved: deletes their conntrack entries, so that their next packet is filtered and routed as new.

On AWS, connections do not follow an address to another instance, and a new interface knows none of the old one's connections.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from pyroute2 import NetlinkError, NFCTSocket
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from lab.hypervisor import namespaces

_ENOENT = 2
_AF_INET = 2


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One connection as the router tracks it: its addresses before and after translation."""

    source: IPv4Address
    destination: IPv4Address
    reply_source: IPv4Address
    """The destination after translation."""
    reply_destination: IPv4Address
    """The source after translation."""


@dataclass(frozen=True, kw_only=True)
class AddressOwners:
    """Which instance has which address at one time."""

    instances: Mapping[IPv4Address, str] = field(default_factory=dict[IPv4Address, str])
    """Instance ids by address, private and public."""
    egress: Mapping[IPv4Address, IPv4Address] = field(default_factory=dict[IPv4Address, IPv4Address])
    """Private address → the source address of its packets outside the VPC."""


@dataclass(frozen=True, kw_only=True)
class AddressChange:
    """What changed in the addresses' owners between two readings of the API."""

    addresses: frozenset[IPv4Address]
    """Addresses that belong to another instance now, or to none."""
    egress: frozenset[tuple[IPv4Address, IPv4Address]]
    """Private address → the address that its packets had outside and no longer have."""

    @classmethod
    def between(cls, before: AddressOwners, after: AddressOwners) -> "AddressChange":
        """Returns the difference. An address without an owner before has no connections to end."""
        return cls(
            addresses=frozenset(address for address, holder in before.instances.items() if after.instances.get(address) != holder),
            egress=frozenset((address, way) for address, way in before.egress.items() if after.egress.get(address) != way),
        )

    def __bool__(self) -> bool:
        return bool(self.addresses or self.egress)

    def affects(self, flow: Flow) -> bool:
        """Whether the connection used an address that has moved."""
        addresses = {flow.source, flow.destination, flow.reply_source, flow.reply_destination}
        return not self.addresses.isdisjoint(addresses) or (flow.source, flow.reply_destination) in self.egress


def flush_connections(namespace: str, change: AddressChange) -> int:
    """Deletes the conntrack entries in `namespace` of the connections that `change` ends; returns their number."""
    return namespaces.call_in_namespace(namespace, lambda: _flush(change))


def _flush(moved: AddressChange) -> int:
    count = 0
    socket: Any
    with NFCTSocket() as socket:
        for wanted in _filters(moved):
            for original, flow in _entries(list(socket.dump(tuple_orig=wanted))):
                if not moved.affects(flow):
                    continue
                try:
                    socket.entry("del", tuple_orig=original)
                    count += 1
                except NetlinkError as error:
                    if error.code != _ENOENT:  # it has ended meanwhile
                        raise
    return count


def _filters(moved: AddressChange) -> Iterable[NFCTAttrTuple]:
    """Yields filters for the kernel, which skips thousands of connections in the time in which this program reads one.

    A private address behind a public one needs no filter: if it moved, so did the public one, or its packets leave differently.
    """
    for address in sorted(moved.addresses):
        yield NFCTAttrTuple(saddr=str(address))
        yield NFCTAttrTuple(daddr=str(address))
    for address in sorted({address for address, _ in moved.egress} - moved.addresses):
        yield NFCTAttrTuple(saddr=str(address))


def _entries(messages: Iterable[Any]) -> Iterable[tuple[Any, Flow]]:
    for message in messages:
        original: Any = NFCTAttrTuple.from_netlink(_AF_INET, message.get_attr("CTA_TUPLE_ORIG"))
        reply: Any = NFCTAttrTuple.from_netlink(_AF_INET, message.get_attr("CTA_TUPLE_REPLY"))
        yield (
            original,
            Flow(
                source=IPv4Address(original.saddr),
                destination=IPv4Address(original.daddr),
                reply_source=IPv4Address(reply.saddr),
                reply_destination=IPv4Address(reply.daddr),
            ),
        )
