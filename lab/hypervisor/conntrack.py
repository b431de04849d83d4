"""Ends connections whose address has moved: the router forgets them, so that their next packet is judged and led as a new one's.

On AWS an address that goes to another instance takes no connection with it, and a new interface knows none of the old one's.
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
    """Whom the packets really go to."""
    reply_destination: IPv4Address
    """Whom they really seem to come from."""


@dataclass(frozen=True, kw_only=True)
class AddressOwners:
    """Who has which address, at one time."""

    instances: Mapping[IPv4Address, str] = field(default_factory=dict[IPv4Address, str])
    """Instance ids by address, private and public."""
    egress: Mapping[IPv4Address, IPv4Address] = field(default_factory=dict[IPv4Address, IPv4Address])
    """Private address → the one that its packets bear outside."""


@dataclass(frozen=True, kw_only=True)
class AddressChange:
    """What another reading changed in who has which address."""

    addresses: frozenset[IPv4Address]
    """They are another's now, or nobody's."""
    egress: frozenset[tuple[IPv4Address, IPv4Address]]
    """Private addresses with the one that they went out with and do no more."""

    @classmethod
    def between(cls, before: AddressOwners, after: AddressOwners) -> "AddressChange":
        """The difference; an address that nobody had before has no connections to end."""
        return cls(
            addresses=frozenset(address for address, holder in before.instances.items() if after.instances.get(address) != holder),
            egress=frozenset((address, way) for address, way in before.egress.items() if after.egress.get(address) != way),
        )

    def __bool__(self) -> bool:
        return bool(self.addresses or self.egress)

    def affects(self, flow: Flow) -> bool:
        """Whether the connection went by an address that has moved."""
        addresses = {flow.source, flow.destination, flow.reply_source, flow.reply_destination}
        return not self.addresses.isdisjoint(addresses) or (flow.source, flow.reply_destination) in self.egress


def flush_connections(namespace: str, change: AddressChange) -> int:
    """Has the router in `namespace` forget the connections that `change` ends; how many there were."""
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
                    if error.code != _ENOENT:  # it ended by itself meanwhile
                        raise
    return count


def _filters(moved: AddressChange) -> Iterable[NFCTAttrTuple]:
    """What to ask the kernel for: it passes over thousands of connections in the time in which this program reads one.

    An address behind a public one need not be asked for: whoever lost the one lost the other, or its packets' way out changed.
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
