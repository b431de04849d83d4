"""Sends real packets between places of a lab and sees whether they arrive: all tries at once, from one process.

Sockets are opened inside the places' network namespaces and used from here. Each target's link is listened to, so that a packet counts as
arrived when it is really there, whether anybody answers it or not; the answer is noted besides.
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
"""From <asm-generic/socket.h>: root may have more than the system's limit."""
_RCVBUF_BYTES = 4 << 20
_ICMP_ECHO_REQUEST = 8
_PAYLOAD_TEXT = b"webstack lab: may this pass?"
_MIN_PACKET_BYTES = 28
MIN_SOURCE_PORT, MAX_SOURCE_PORT = 16000, 32000
"""Source ports of tries: below those that kernels give out and above those of every lab's own services (`lab.names`), whose answers to
hosts come from them: so no other traffic is taken for one."""

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class ProbePoint:
    """Where packets start or arrive. `namespace` None is this machine's own."""

    namespace: str | None
    link: str
    """The link on which arrivals are seen, and by which `bypass_routing` packets leave."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One packet: a connection attempt for TCP, a datagram for UDP, an echo request for ICMP, else a bare packet."""

    source: ProbePoint
    target: ProbePoint
    address: IPv4Address
    """Where it is sent to."""
    protocol: int
    port: int = 0
    bypass_routing: bool = False
    """Sent by the source's link though there is no route: how an outsider would try an address inside."""


class ProbeReply(Enum):
    """What came back to the sender."""

    NONE = "no answer"
    CONNECTED = "connected"
    REFUSED = "refused by the target's kernel"
    UNREACHABLE = "unreachable: the sender itself, or a router, knows no way"


@dataclass(kw_only=True)
class ProbeResult:
    """What became of a try."""

    arrived: bool = False
    reply: ProbeReply = ProbeReply.NONE
    seconds: float | None = None
    """Until the answer."""


_Key = tuple[ProbePoint, int, int]
"""A target, a protocol, and the number that a packet carries: its source port, or what it says."""


@dataclass(kw_only=True)
class _InFlight:
    probe: Probe
    index: int
    """Which of the tries it is."""
    tag: int
    """The packet's mark; no two tries share one."""
    socket: socket.socket
    sent_at: float
    result: ProbeResult = field(default_factory=ProbeResult)

    @property
    def done(self) -> bool:
        """Whether nothing more is to be learnt of it."""
        return self.result.arrived and (self.result.reply is not ProbeReply.NONE or self.probe.protocol not in (TCP, UDP))

    def set_reply(self, answer: ProbeReply) -> None:
        self.result.reply, self.result.seconds = answer, time.monotonic() - self.sent_at


def run_probes(probes: Sequence[Probe], *, timeout: float = 1.5) -> list[ProbeResult]:
    """What became of each try, in order. Takes `timeout` seconds, less where all arrive and are answered. Needs root."""
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
    """Hears what arrives on the place's link; None where the link is not there, as at a host that is just being connected."""
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
    """Every number once, from any on: two runs one after the other do not share the first."""
    count = MAX_SOURCE_PORT - MIN_SOURCE_PORT
    first = random.randrange(count)  # noqa: S311  (unused ports, no secret)
    return (MIN_SOURCE_PORT + (first + index) % count for index in range(count))


def _send(probes: Sequence[Probe], tags: Iterator[int]) -> Iterable[tuple[socket.socket, _InFlight]]:
    """Opens and sends place by place: entering a namespace takes longer than all that is done inside."""
    for source in dict.fromkeys(probe.source for probe in probes):
        ours = [(index, one) for index, one in enumerate(probes) if one.source == source]
        for sent in _call_at(source, lambda ours=ours: [_send_one(index, one, tags) for index, one in ours]):
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
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no connection lingers when it is closed
            with contextlib.suppress(BlockingIOError):  # it is under way
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
    """The number that a packet carries; for TCP and UDP it is the socket's port, which nobody else has."""
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
    """Until all is known, or the deadline; what had come by then is read even by a process that was held up itself."""
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
    """The sender's socket has something to say."""
    error = sent.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error in (0, errno.ECONNREFUSED):
        sent.set_reply(ProbeReply.REFUSED if error else ProbeReply.CONNECTED)
    else:
        sent.set_reply(ProbeReply.UNREACHABLE)


def _arrivals(tap: socket.socket) -> Iterable[tuple[int, int]]:
    """Protocol and mark of each packet that has come."""
    while True:
        try:
            packet = tap.recv(2048)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ENETDOWN:  # said once of a link that is down, or goes down meanwhile: nothing arrives by it
                return
            raise
        if len(packet) < _MIN_PACKET_BYTES:
            continue
        protocol, inner = packet[9], packet[(packet[0] & 0xF) * 4 :]
        if protocol != ICMP:
            yield protocol, int.from_bytes(inner[:2], "big")
        elif inner[0] == _ICMP_ECHO_REQUEST:
            yield protocol, int.from_bytes(inner[4:6], "big")
