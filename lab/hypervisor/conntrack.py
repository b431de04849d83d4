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

_NOT_THERE = 2
_IPV4 = 2


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One connection as the router tracks it: its addresses before and after translation."""

    source: IPv4Address
    destination: IPv4Address
    answered_by: IPv4Address
    """Whom the packets really go to."""
    answered_to: IPv4Address
    """Whom they really seem to come from."""


@dataclass(frozen=True, kw_only=True)
class Holders:
    """Who has which address, at one time."""

    instances: Mapping[IPv4Address, str] = field(default_factory=dict[IPv4Address, str])
    """Instance ids by address, private and public."""
    exits: Mapping[IPv4Address, IPv4Address] = field(default_factory=dict[IPv4Address, IPv4Address])
    """Private address → the one that its packets bear outside."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What another reading changed in who has which address."""

    addresses: frozenset[IPv4Address]
    """They are another's now, or nobody's."""
    exits: frozenset[tuple[IPv4Address, IPv4Address]]
    """Private addresses with the one that they went out with and do no more."""

    @classmethod
    def between(cls, before: Holders, after: Holders) -> "Moved":
        """The difference; an address that nobody had before has no connections to end."""
        return cls(
            addresses=frozenset(address for address, holder in before.instances.items() if after.instances.get(address) != holder),
            exits=frozenset((address, way) for address, way in before.exits.items() if after.exits.get(address) != way),
        )

    def __bool__(self) -> bool:
        return bool(self.addresses or self.exits)

    def ends(self, flow: Flow) -> bool:
        """Whether the connection went by an address that has moved."""
        addresses = {flow.source, flow.destination, flow.answered_by, flow.answered_to}
        return not self.addresses.isdisjoint(addresses) or (flow.source, flow.answered_to) in self.exits


def forget(namespace: str, moved: Moved) -> int:
    """Has the router in `namespace` forget the connections that `moved` ends; how many there were."""
    return namespaces.inside(namespace, lambda: _forget(moved))


def _forget(moved: Moved) -> int:
    count = 0
    socket: Any
    with NFCTSocket() as socket:
        for wanted in _filters(moved):
            for original, flow in _entries(list(socket.dump(tuple_orig=wanted))):
                if not moved.ends(flow):
                    continue
                try:
                    socket.entry("del", tuple_orig=original)
                    count += 1
                except NetlinkError as error:
                    if error.code != _NOT_THERE:  # it ended by itself meanwhile
                        raise
    return count


def _filters(moved: Moved) -> Iterable[NFCTAttrTuple]:
    """What to ask the kernel for: it passes over thousands of connections in the time in which this program reads one.

    An address behind a public one need not be asked for: whoever lost the one lost the other, or its packets' way out changed.
    """
    for address in sorted(moved.addresses):
        yield NFCTAttrTuple(saddr=str(address))
        yield NFCTAttrTuple(daddr=str(address))
    for address in sorted({address for address, _ in moved.exits} - moved.addresses):
        yield NFCTAttrTuple(saddr=str(address))


def _entries(messages: Iterable[Any]) -> Iterable[tuple[Any, Flow]]:
    for message in messages:
        original: Any = NFCTAttrTuple.from_netlink(_IPV4, message.get_attr("CTA_TUPLE_ORIG"))
        reply: Any = NFCTAttrTuple.from_netlink(_IPV4, message.get_attr("CTA_TUPLE_REPLY"))
        yield (
            original,
            Flow(
                source=IPv4Address(original.saddr),
                destination=IPv4Address(original.daddr),
                answered_by=IPv4Address(reply.saddr),
                answered_to=IPv4Address(reply.daddr),
            ),
        )
