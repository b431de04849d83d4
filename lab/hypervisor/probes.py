"""Sends real packets between points of a lab and checks whether they arrive: all probes at once, from one process.

Sockets are opened inside the points' network namespaces and used from here. Each target's link is captured, so that a packet counts as
arrived when it reaches the link, whether or not anything answers it. The reply is recorded separately.
"""

import contextlib
import errno
import functools
import random
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address
from typing import Any, TypeVar

from lab.hypervisor import namespaces

ICMP, TCP, UDP = socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP

_ETH_P_IP = 0x0800
_SO_RCVBUFFORCE = 33
"""From <asm-generic/socket.h>: lets root exceed the system's limit."""
_RCVBUF_BYTES = 4 << 20
_ICMP_ECHO_REQUEST = 8
_PAYLOAD_TEXT = b"webstack lab: may this pass?"
_MIN_PACKET_BYTES = 28
MIN_SOURCE_PORT, MAX_SOURCE_PORT = 16000, 32000
"""Source ports of probes: below the kernel's ephemeral ports and above the ports of every lab's own services (`lab.names`), from which
replies to hosts come. So no other traffic is mistaken for a probe."""

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class ProbePoint:
    """Where packets start or arrive. `namespace` None means this machine's own."""

    namespace: str | None
    link: str
    """The link on which arrivals are captured, and through which `bypass_routing` packets leave."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One packet: a connection attempt for TCP, a datagram for UDP, an echo request for ICMP, else a bare IP packet."""

    source: ProbePoint
    target: ProbePoint
    address: IPv4Address
    """The address that it is sent to."""
    protocol: int
    port: int = 0
    bypass_routing: bool = False
    """Send through the source's link without a route, as an outsider would try to reach an address inside."""


class ProbeReply(Enum):
    """What came back to the sender."""

    NONE = "no answer"
    CONNECTED = "connected"
    REFUSED = "refused by the target's kernel"
    UNREACHABLE = "unreachable: the sender itself, or a router, has no route"


@dataclass(kw_only=True)
class ProbeResult:
    """The result of a probe."""

    arrived: bool = False
    reply: ProbeReply = ProbeReply.NONE
    seconds: float | None = None
    """Seconds until the reply."""


_Key = tuple[ProbePoint, int, int]
"""A target, a protocol, and the packet's tag: its source port, or a number in its payload."""


@dataclass(kw_only=True)
class _InFlight:
    probe: Probe
    index: int
    """The probe's position in the list."""
    tag: int
    """The packet's unique tag."""
    socket: socket.socket
    sent_at: float
    result: ProbeResult = field(default_factory=ProbeResult)

    @property
    def done(self) -> bool:
        """Whether nothing more can be learnt from it."""
        return self.result.arrived and (self.result.reply is not ProbeReply.NONE or self.probe.protocol not in (TCP, UDP))

    def set_reply(self, answer: ProbeReply) -> None:
        self.result.reply, self.result.seconds = answer, time.monotonic() - self.sent_at


def run_probes(probes: Sequence[Probe], *, timeout: float = 1.5) -> list[ProbeResult]:
    """Sends the probes and returns their results in order, after `timeout` seconds or when all have arrived and got a reply. Needs root."""
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for place in {one.target for one in probes}:
            if (tap := _call_at(place, functools.partial(_tap, place))) is not None:
                selector.register(stack.enter_context(tap), selectors.EVENT_READ, place)
        sent = [stack.enter_context(contextlib.closing(socket_)) and one for socket_, one in _send(probes, _tags())]
        for one in sent:
            if one.result.reply is ProbeReply.NONE and one.probe.protocol in (TCP, UDP):
                selector.register(one.socket, selectors.EVENT_WRITE if one.probe.protocol == TCP else selectors.EVENT_READ, one)
        _collect(selector, sent, time.monotonic() + timeout)
    return [one.result for one in sorted(sent, key=lambda one: one.index)]


def _call_at(point: ProbePoint, function: Callable[[], _T]) -> _T:
    return function() if point.namespace is None else namespaces.call_in_namespace(point.namespace, function)


def _tap(point: ProbePoint) -> socket.socket | None:
    """Opens a packet capture on the point's link; None if the link does not exist, as for a host that is just being connected."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RCVBUF_BYTES)
        tap.setblocking(False)
        tap.bind((point.link, _ETH_P_IP))
    except OSError as error:
        tap.close()
        if error.errno == errno.ENODEV:
            return None
        raise
    return tap


def _tags() -> Iterator[int]:
    """Yields every tag once, starting at random, so that consecutive runs do not reuse the same tags."""
    count = MAX_SOURCE_PORT - MIN_SOURCE_PORT
    first = random.randrange(count)  # noqa: S311  (unused ports, no secret)
    return (MIN_SOURCE_PORT + (first + index) % count for index in range(count))


def _send(probes: Sequence[Probe], tags: Iterator[int]) -> Iterable[tuple[socket.socket, _InFlight]]:
    """Opens sockets and sends, grouped by source: entering a namespace takes longer than the work inside it."""
    for source in dict.fromkeys(probe.source for probe in probes):
        ours = [(index, probe) for index, probe in enumerate(probes) if probe.source == source]
        for sent in _call_at(source, lambda ours=ours: [_send_one(index, probe, tags) for index, probe in ours]):
            yield sent.socket, sent


def _send_one(index: int, probe: Probe, tags: Iterator[int]) -> _InFlight:
    kind = {TCP: socket.SOCK_STREAM, UDP: socket.SOCK_DGRAM}.get(probe.protocol, socket.SOCK_RAW)
    opened = socket.socket(socket.AF_INET, kind, probe.protocol)
    sent = _InFlight(probe=probe, index=index, tag=_bind_tag(opened, probe.protocol, tags), socket=opened, sent_at=time.monotonic())
    try:
        opened.setblocking(False)
        if probe.bypass_routing:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, probe.source.link.encode())
        if probe.protocol == TCP:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset: nothing lingers
            with contextlib.suppress(BlockingIOError):  # the connection is in progress
                opened.connect((str(probe.address), probe.port))
        else:
            opened.connect((str(probe.address), probe.port if probe.protocol == UDP else 0))
            opened.send(_payload(probe.protocol, sent.tag))
    except OSError:
        sent.set_reply(ProbeReply.UNREACHABLE)
    except BaseException:
        opened.close()
        raise
    return sent


def _bind_tag(opened: socket.socket, protocol: int, tags: Iterator[int]) -> int:
    """Returns the packet's tag. For TCP and UDP it is the source port, which the socket is bound to."""
    for number in tags:
        try:
            if protocol in (TCP, UDP):
                opened.bind(("", number))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                opened.close()
                raise
        else:
            return number
    opened.close()
    raise OSError(errno.EADDRINUSE, f"every port from {MIN_SOURCE_PORT} to {MAX_SOURCE_PORT} is in use")


def _payload(protocol: int, number: int) -> bytes:
    if protocol == ICMP:
        header = struct.pack("!BBHHH", _ICMP_ECHO_REQUEST, 0, 0, number, 1)
        total = sum(struct.unpack("!4H", header))
        return struct.pack("!BBHHH", _ICMP_ECHO_REQUEST, 0, ~(total + (total >> 16)) & 0xFFFF, number, 1)
    return struct.pack("!H", number) + _PAYLOAD_TEXT


def _collect(selector: selectors.BaseSelector, sent: Sequence[_InFlight], deadline: float) -> None:
    """Collects results until all are known or the deadline passes. What arrived by then is read even if this process was delayed."""
    waiting: dict[_Key, _InFlight] = {(one.probe.target, one.probe.protocol, one.tag): one for one in sent}
    left = 1.0
    while waiting and left > 0:
        left = deadline - time.monotonic()
        for key, _ in selector.select(max(left, 0)):
            if isinstance(key.data, _InFlight):
                _read_reply(key.data)
                selector.unregister(key.fileobj)
            else:
                tap: Any = key.fileobj
                for protocol, number in _arrivals(tap):
                    if (one := waiting.get((key.data, protocol, number))) is not None:
                        one.result.arrived = True
        waiting = {key: one for key, one in waiting.items() if not one.done}


def _read_reply(sent: _InFlight) -> None:
    """Reads the reply, or the error, from the sender's socket."""
    error = sent.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error in (0, errno.ECONNREFUSED):
        sent.set_reply(ProbeReply.REFUSED if error else ProbeReply.CONNECTED)
    else:
        sent.set_reply(ProbeReply.UNREACHABLE)


def _arrivals(tap: socket.socket) -> Iterable[tuple[int, int]]:
    """Yields the protocol and the tag of each captured packet."""
    while True:
        try:
            packet = tap.recv(2048)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ENETDOWN:  # reported once if the link is down or goes down: nothing arrives on it
                return
            raise
        if len(packet) < _MIN_PACKET_BYTES:
            continue
        protocol, inner = packet[9], packet[(packet[0] & 0xF) * 4 :]
        if protocol != ICMP:
            yield protocol, int.from_bytes(inner[:2], "big")
        elif inner[0] == _ICMP_ECHO_REQUEST:
            yield protocol, int.from_bytes(inner[4:6], "big")
