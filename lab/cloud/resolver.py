"""The VPC's resolver: answers for AWS's own names, Route 53's private zones and the package mirror's names, and for no others.

It is built on dnspython instead of using dnsmasq, so that each record has its own TTL, values rotate, a host sees only the zones of its
VPC, and a change of the API's state is effective immediately, without a reload that drops queries.
"""

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from lab.cloud.dns_zones import PrivateZone, RecordSet, canonical

AWS_TTL = 60
NEGATIVE_TTL = 60
"""The negative TTL, in seconds, of names outside all private zones."""
_MAX_CNAME_CHAIN = 8
_UDP_BYTES = 1232
_IDLE_SECONDS = 10
_S3 = re.compile(r"(?:^|\.)s3[.-].*amazonaws\.com$")
_INSTANCE_NAME = re.compile(r"ip-(\d+)-(\d+)-(\d+)-(\d+)\.(?:ec2|[a-z0-9-]+\.compute)\.internal")


@dataclass(kw_only=True)
class RecordStore:
    """The resolver's data. It may be replaced or changed at any time, and applies from the next query on."""

    api_address: IPv4Address
    s3_address: IPv4Address
    zones: tuple[PrivateZone, ...] = ()
    static_hosts: Mapping[str, IPv4Address] = field(default_factory=dict[str, IPv4Address])
    """Public names that the lab serves itself, such as the package mirror's."""

    def lookup(self, name: str, kind: str, source: IPv4Address) -> "Answer":
        """Returns the answer to `source` for records of type `kind` and `name` (lower case, without a final dot)."""
        zones = sorted((zone for zone in self.zones if zone.contains(name) and zone.visible_from(source)), key=lambda zone: -len(zone.name))
        if zones:
            return _lookup_in_zone(zones[0], name, kind)
        address = self._address(name, source)
        if address is None:
            return Answer(exists=False)
        return Answer(records=((name, "A", RecordSet(ttl=AWS_TTL, values=(str(address),))),) if kind in {"A", "ANY"} else ())

    def _address(self, name: str, source: IPv4Address) -> IPv4Address | None:
        if name in self.static_hosts:
            return self.static_hosts[name]
        if name.endswith(".amazonaws.com"):
            return self.s3_address if _S3.search(name) else self.api_address
        instance = _INSTANCE_NAME.fullmatch(name)
        if instance is None:
            return None
        with contextlib.suppress(ValueError):
            address = IPv4Address(".".join(instance.groups()))
            # The name contains the address, so a host's own is always right; whether another host exists is not checked.
            return (
                address
                if address == source or any(zone.visible_from(address) and zone.visible_from(source) for zone in self.zones)
                else None
            )
        return None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer's record sets, in order. If there are none but the name exists, it has only other types."""

    exists: bool = True
    records: tuple[tuple[str, str, RecordSet], ...] = ()
    zone: str = ""
    authority: RecordSet | None = None
    """The zone's SOA record, which determines how long a negative answer may be cached."""


def _lookup_in_zone(zone: PrivateZone, name: str, kind: str) -> Answer:
    found: list[tuple[str, str, RecordSet]] = []
    for _ in range(_MAX_CNAME_CHAIN):
        record = zone.records.get((name, kind))
        if record is not None:
            found.append((name, kind, record))
            break
        alias = zone.records.get((name, "CNAME"))
        if alias is None:
            break
        found.append((name, "CNAME", alias))
        name = canonical(alias.values[0])
    exists = bool(found) or zone.has_name(name)
    return Answer(exists=exists, records=tuple(found), zone=zone.name, authority=zone.records.get((zone.name, "SOA")))


def respond(wire: bytes, source: IPv4Address, store: RecordStore, *, limit: int | None) -> bytes | None:
    """Returns the response to a query in wire format; None if it is not a query. `limit`: the most bytes without EDNS; None for TCP."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return None
    if query.flags & dns.flags.QR:
        return None
    response = dns.message.make_response(query, recursion_available=True, our_payload=_UDP_BYTES)
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        response.set_rcode(dns.rcode.NOTIMP)
        return response.to_wire()
    question = query.question[0]
    kind = dns.rdatatype.to_text(question.rdtype)
    answer = store.lookup(canonical(question.name.to_text()), kind, source)
    for name, record_kind, record in answer.records:
        values = list(record.values)
        random.shuffle(values)
        # Repeat the name in the query's own spelling, which resolvers check (0x20).
        owner = question.name if canonical(question.name.to_text()) == name else dns.name.from_text(name)
        response.answer.append(dns.rrset.from_text_list(owner, record.ttl, "IN", record_kind, values))
    if not answer.exists:
        response.set_rcode(dns.rcode.NXDOMAIN)
    if not answer.records:
        response.authority.append(_soa_record(answer))
    if limit is None:
        return response.to_wire()
    size = max(limit, min(query.payload, _UDP_BYTES)) if query.edns >= 0 else limit
    try:
        return response.to_wire(max_size=size)
    except dns.exception.TooBig:
        truncated = dns.message.make_response(query, recursion_available=True, our_payload=_UDP_BYTES)
        truncated.flags |= dns.flags.TC
        return truncated.to_wire()


def _soa_record(answer: Answer) -> dns.rrset.RRset:
    """Returns the SOA record with the smaller of its TTL and its value's last field as TTL (RFC 2308, section 5)."""
    own = answer.authority
    text = own.values[0] if own else f"ns-0.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 {NEGATIVE_TTL}"
    remembered = min(own.ttl if own else NEGATIVE_TTL, int(text.split()[-1]))
    return dns.rrset.from_text(f"{answer.zone}.", remembered, "IN", "SOA", text)


class Resolver:
    """Serves `store` on UDP and TCP sockets. While `unresponsive` is set, it does not answer."""

    def __init__(self, names: RecordStore) -> None:
        self.store = names
        self.unresponsive = False
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []
        self._tcp_writers: set[asyncio.StreamWriter] = set()

    async def start(self, datagrams: socket.socket, listening: socket.socket) -> None:
        """Serves on a bound UDP socket and on a listening TCP socket."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _UdpProtocol(self._respond_udp), sock=datagrams)
        self._transports.append(transport)
        self._servers.append(await asyncio.start_server(self._serve_tcp, sock=listening))

    async def stop(self) -> None:
        """Stops serving and closes the sockets."""
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        for writer in list(self._tcp_writers):
            writer.close()
        for server in self._servers:
            await server.wait_closed()
        self._transports.clear()
        self._servers.clear()

    def _respond_udp(self, wire: bytes, source: str) -> bytes | None:
        return None if self.unresponsive else respond(wire, IPv4Address(source), self.store, limit=512)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = IPv4Address(str(writer.get_extra_info("peername")[0]))
        self._tcp_writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            while not self.unresponsive:
                length = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), _IDLE_SECONDS), "big")
                answer = respond(await reader.readexactly(length), source, self.store, limit=None)
                if answer is None:
                    break
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        self._tcp_writers.discard(writer)
        writer.close()


class _UdpProtocol(asyncio.DatagramProtocol):
    def __init__(self, respond_to: Callable[[bytes, str], bytes | None]) -> None:
        self._respond_to = respond_to
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # asyncio's own transport class is not derived from it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._respond_to(data, addr[0])
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
