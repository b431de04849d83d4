"""Whether the site answers its visitors, tried on a small TLS server at a loopback address."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stack import site_check, site_probe
from stack.environment import Environment
from stack.settings import parse
from stack.site_check import REQUIRED_PROBES, REQUIRED_SLOW_PROBES, SITE_SKIPPED, SITE_UNREACHABLE, SITE_UP, TIMEOUT, SiteCheck, SiteError
from stack.site_probe import SiteEndpoint
from tests.unit.monitor import RecordedProgram, StrictMonitor, run
from tests.unit.stack.fake_clock import FakeClock

NAME = "shop.example"


def write_certificate(path: Path, *, until: timedelta) -> Path:
    """A self-signed certificate with its key; it ends `until` after now."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    building = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=9), now + until)
    signed = building.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False).sign(key, hashes.SHA256())
    pem, secret = serialization.Encoding.PEM, serialization.NoEncryption()
    Path(f"{path}.crt").write_bytes(signed.public_bytes(pem))
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, secret) + signed.public_bytes(pem))
    return path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("site") / "tls.pem", until=timedelta(days=2))


class FakeSite:
    """Pages by their path: status, Location and body; those that are not there answer 200. Notes what was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, str, str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.names: list[str | None] = []
        self.well_after = 0
        """Requests that are answered with 503 before any other."""
        self.every_other: tuple[int, str, str] | None = None
        """What every other request for the first page is answered with in the place of its own."""
        self.endless = False
        """Whether the first page is a stream that never ends."""
        self.plain: tuple[int, str] | None = (301, "https://shop.example/")
        """Status and Location by http; None where nobody listens."""
        self.port = self.plain_port = 0
        self.secured: ssl.SSLContext | None = None


@pytest.fixture
def server(certificate: Path) -> Iterator[FakeSite]:
    serving, ended = FakeSite(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serving.asked.append((self.path, self.headers["Host"]))
            status, location, body = serving.pages.get(self.path, (200, "", "ok"))
            if len(serving.asked) <= serving.well_after:
                status, body = 503, "<h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n"
            if serving.every_other and self.path == "/" and len(serving.asked) % 4 == 0:
                status, location, body = serving.every_other
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body.encode())
                while serving.endless and self.path == "/" and not ended.wait(0.01):
                    self.wfile.write(b".")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Plain(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert serving.plain
            self.send_response(serving.plain[0])
            self.send_header("Location", serving.plain[1])
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: serving.names.append(name)
    serving.secured = context
    listening, by_http = ThreadingHTTPServer(("127.0.0.1", 0), Handler), ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    for one in (listening, by_http):
        threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
    serving.port, serving.plain_port = listening.server_address[1], by_http.server_address[1]
    yield serving
    ended.set()
    for one in (listening, by_http):
        one.shutdown()
        one.server_close()


def run_check(place: SiteEndpoint, *, found: list[str] | None = None, time: FakeClock | None = None, **options: Any) -> RecordedProgram:
    """A program that only asks the site; what it logged. `found` is what DNS says of the name."""
    clock = time or FakeClock()

    def look_up(name: str) -> list[str] | None:
        assert name == NAME
        return found

    asking = SiteCheck(clock=clock.clock, resolve=look_up, **options)

    def body() -> None:
        pulumi.Output.from_input(place).apply(asking.run)

    return run(body, config={}, stack_name="dev", monitor=StrictMonitor())


def endpoint(server: FakeSite, *, name: str = "127.0.0.1", verified: bool = False, restricted: bool = False) -> SiteEndpoint:
    port, plain = server.port, server.plain_port
    return SiteEndpoint(address="127.0.0.1", port=port, http_port=plain, name=name, trusted_certificate=verified, restricted=restricted)


def test_a_site_that_answers_is_asked_by_its_name_and_that_is_told(server: FakeSite) -> None:
    log = run_check(endpoint(server, name=NAME), found=["127.0.0.1"]).log
    assert log == [f"{SITE_UP}https://{NAME}/ (127.0.0.1)"]
    assert server.asked == [("/healthz", NAME), ("/", NAME)] * REQUIRED_PROBES
    assert set(server.names) == {NAME}


def test_a_site_without_a_name_is_asked_by_its_address(server: FakeSite) -> None:
    assert run_check(endpoint(server)).log == [f"{SITE_UP}https://127.0.0.1/"]
    assert server.asked == [("/healthz", "127.0.0.1"), ("/", "127.0.0.1")] * REQUIRED_PROBES
    assert set(server.names) == {None}, "an address is no server name (RFC 6066, 3)"


@pytest.mark.parametrize("status", [200, 301, 302, 401, 403, 404, 429])
def test_what_the_first_page_is_is_the_apps_own_matter_but_for_a_servers_error(server: FakeSite, status: int) -> None:
    server.pages["/"] = (status, "", "")
    assert run_check(endpoint(server)).log == [f"{SITE_UP}https://127.0.0.1/"]


def test_proxies_that_the_environment_names_are_not_asked(server: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert run_check(endpoint(server)).log == [f"{SITE_UP}https://127.0.0.1/"]


def test_a_site_that_comes_late_is_waited_for(server: FakeSite) -> None:
    server.well_after, time = 4, FakeClock()
    assert run_check(endpoint(server), time=time).log == [
        "https://127.0.0.1/: GET /healthz is answered with 503",
        f"{SITE_UP}https://127.0.0.1/",
    ]
    assert time.seconds == 4


@pytest.mark.parametrize(
    ("path", "page", "told"),
    [
        ("/healthz", (400, "", "Bad Request\n"), ["GET /healthz is answered with 400", "    Bad Request"]),
        ("/healthz", (301, "https://elsewhere/", ""), ["GET /healthz is answered with 301", "    Location: https://elsewhere/"]),
        ("/healthz", (503, "", "a\n\n b\nc\nd\ne\nf\n"), ["GET /healthz is answered with 503", *(f"    {word}" for word in "abcde")]),
        ("/", (500, "", "Server Error (500)"), ["GET / is answered with 500", "    Server Error (500)"]),
        ("/", (503, "", ""), ["GET / is answered with 503"]),
    ],
)
def test_a_site_that_answers_with_an_error_ends_the_up_with_its_words(
    server: FakeSite, path: str, page: tuple[int, str, str], told: list[str]
) -> None:
    server.pages[path] = page
    time = FakeClock()
    with pytest.raises(SiteError) as failed:
        run_check(endpoint(server, restricted=True), time=time)
    assert time.seconds == TIMEOUT
    lines = str(failed.value).splitlines()
    first, *more = told
    assert lines[0] == f"https://127.0.0.1/ does not serve after 30 s: {first}"
    assert lines[1:-2] == more
    assert "readiness.site" in lines[-1]


def test_a_site_of_which_a_part_answers_with_errors_does_not_serve(server: FakeSite) -> None:
    server.every_other = (500, "", "Server Error")
    with pytest.raises(SiteError, match=r"GET / is answered with 500 \(\d+ of \d+ visits found all well\)"):
        run_check(endpoint(server))


def test_a_first_page_that_never_ends_answers(server: FakeSite) -> None:
    server.endless = True
    assert run_check(endpoint(server)).log == [f"{SITE_UP}https://127.0.0.1/"]


def test_an_answer_whose_head_never_ends_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its bytes comes in time; all together never do."""
    monkeypatch.setattr(site_probe, "RESPONSE_TIMEOUT", 0.3)

    def trickle(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.sendall(b"HTTP/1.1 301 x\r\nLocation: ")
                while connection.send(b"x"):
                    threading.Event().wait(0.01)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=trickle, args=(listening,), daemon=True).start()
        place = SiteEndpoint(address="127.0.0.1", name="127.0.0.1", http_port=listening.getsockname()[1])
        with pytest.raises(site_probe.ProbeError, match="is not answered within"):
            site_probe._get(place, "/", range(300, 400), encrypted=False)  # pyright: ignore[reportPrivateUsage]


def test_pages_that_take_their_time_are_asked_for_fewer_times(server: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    time, look = FakeClock(), site_check.probe_site

    def slow(place: SiteEndpoint) -> None:
        look(place)
        time.seconds += 6

    monkeypatch.setattr(site_check, "probe_site", slow)
    assert run_check(endpoint(server), time=time).log == [f"{SITE_UP}https://127.0.0.1/"]
    assert len(server.asked) == 2 * REQUIRED_SLOW_PROBES


@pytest.mark.parametrize("verified", [False, True])
def test_a_certificate_that_has_ended_serves_nobody(server: FakeSite, tmp_path: Path, verified: bool) -> None:
    assert server.secured
    server.secured.load_cert_chain(write_certificate(tmp_path / "old.pem", until=-timedelta(days=1)))
    with pytest.raises(SiteError, match="its certificate has ended"):
        run_check(endpoint(server, name=NAME, verified=verified), found=["127.0.0.1"])


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        ((200, ""), "GET / by http is answered with 200"),
        ((301, "http://shop.example/"), "http, port 80, does not lead to https"),
        (None, r"127\.0\.0\.1, port \d+: Connection refused"),
    ],
)
def test_who_types_the_name_alone_comes_by_http_and_must_get_on(server: FakeSite, plain: tuple[int, str] | None, reason: str) -> None:
    server.plain, place = plain, endpoint(server)
    if plain is None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            place = replace(place, http_port=free.getsockname()[1])
    with pytest.raises(SiteError, match=reason):
        run_check(place)


def closed(listening: socket.socket) -> None:
    listening.close()


def plain_http(listening: socket.socket) -> None:
    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.recv(1000)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                connection.close()

    threading.Thread(target=answer, daemon=True).start()


def silent(_: socket.socket) -> None:
    """Connections are made, and nobody says anything."""


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize(
    ("world", "reason"), [(closed, "Connection refused"), (plain_http, "by https ends with SSLError"), (silent, "is not answered within")]
)
def test_who_refuses_or_says_something_else_is_no_site(
    monkeypatch: pytest.MonkeyPatch, world: Callable[[socket.socket], None], reason: str, restricted: bool
) -> None:
    monkeypatch.setattr(site_probe, "RESPONSE_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = SiteEndpoint(address="127.0.0.1", name="127.0.0.1", port=listening.getsockname()[1], restricted=restricted)
        world(listening)
        with pytest.raises(SiteError, match=reason):
            run_check(place)


@pytest.fixture
def unreachable_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets to the site vanish, as security groups let them."""

    def never(*_: object, **__: object) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", never)


@pytest.mark.usefixtures("unreachable_site")
def test_a_site_that_is_open_to_everybody_and_that_nobody_answers_at_is_away() -> None:
    with pytest.raises(SiteError, match=r"nobody answers at 198\.51\.100\.7, port 443, within 5 s"):
        run_check(SiteEndpoint(address="198.51.100.7", name="198.51.100.7"))


@pytest.mark.usefixtures("unreachable_site")
def test_a_site_that_does_not_let_this_machine_in_is_only_warned_of() -> None:
    log = run_check(SiteEndpoint(address="198.51.100.7", name="198.51.100.7", restricted=True)).log
    assert log[-1].startswith(f"{SITE_UNREACHABLE}nobody answers at 198.51.100.7")
    assert "loadBalancer.allowedCidrs" in log[-1]


@pytest.mark.parametrize(
    ("found", "how"), [(["203.0.113.9"], "leads to 203.0.113.9"), ([], "is not known to DNS"), (None, "could not be looked up")]
)
def test_a_name_that_does_not_lead_to_the_site_is_told_with_the_record_to_make(server: FakeSite, found: list[str] | None, how: str) -> None:
    log = run_check(endpoint(server, name=NAME), found=found).log
    assert log == [
        f"{NAME} {how}, and the site is at 127.0.0.1: create an A record {NAME} → 127.0.0.1",
        f"{SITE_UP}https://{NAME}/ (127.0.0.1)",
    ]


def test_a_certificate_of_ones_own_that_proves_nothing_here_is_only_warned_of(server: FakeSite) -> None:
    log = run_check(endpoint(server, name=NAME, verified=True), found=["127.0.0.1"]).log
    assert log[0].startswith(f"https://{NAME}/ (127.0.0.1): its certificate does not prove that name to this machine: ")
    assert log[1:] == [f"{SITE_UP}https://{NAME}/ (127.0.0.1)"]


def test_a_certificate_that_proves_the_name_is_not_spoken_of(server: FakeSite, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    assert run_check(endpoint(server, name=NAME, verified=True), found=["127.0.0.1"]).log == [f"{SITE_UP}https://{NAME}/ (127.0.0.1)"]


def test_what_is_not_asked_is_said_and_a_preview_says_nothing() -> None:
    place = SiteEndpoint(address="198.51.100.7", name="198.51.100.7")
    assert run_check(place, skip_reason="readiness.site is false").log == [f"{SITE_SKIPPED}readiness.site is false"]
    assert run_check(place, enabled=False).log == []


def test_names_are_looked_up_as_the_machine_does_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*_: object) -> list[Any]:
        return [(0, 0, 0, "", (address, 443)) for address in ("192.0.2.2", "192.0.2.1", "192.0.2.2")]

    def unknown(*_: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def unwell(*_: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    ended = threading.Event()

    def hangs(*_: object) -> list[Any]:
        ended.wait(10)
        return []

    monkeypatch.setattr(site_probe, "DNS_TIMEOUT", 0.05)
    given: list[tuple[Callable[..., list[Any]], list[str] | None]] = [
        (answers, ["192.0.2.1", "192.0.2.2"]), (unknown, []), (unwell, None), (hangs, None)
    ]  # fmt: skip
    for resolver, found in given:
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        assert site_probe.resolve_ipv4(NAME) == found
    ended.set()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, SiteEndpoint(address="198.51.100.7", name="198.51.100.7")),
        ({"loadBalancer": {"domain": NAME}}, SiteEndpoint(address="198.51.100.7", name=NAME)),
        (
            {"loadBalancer": {"domain": NAME, "tls": {"mode": "secret", "secret": "site"}, "allowedCidrs": ["192.0.2.0/24"]}},
            SiteEndpoint(address="198.51.100.7", name=NAME, trusted_certificate=True, restricted=True),
        ),
    ],
)
def test_where_the_site_is_follows_from_the_settings(raw: dict[str, Any], expected: SiteEndpoint) -> None:
    environment = Environment(name="dev", region="eu-central-1", zones=("a", "b"), settings=parse(raw))
    assert site_check.site_endpoint(environment, "198.51.100.7") == expected


@pytest.mark.parametrize(
    ("readiness", "why"),
    [({}, ""), ({"wait": False}, "readiness.wait is false"), ({"site": False}, "readiness.site is false")],
)
def test_whether_the_site_is_asked_follows_from_the_settings(readiness: dict[str, Any], why: str) -> None:
    environment = Environment(name="dev", region="eu-central-1", zones=("a", "b"), settings=parse({"readiness": readiness}))
    assert site_check.for_environment(environment, enabled=True).skip_reason.startswith(why)
    assert bool(site_check.for_environment(environment, enabled=True).skip_reason) == bool(why)


def test_what_a_site_says_reaches_no_terminal_raw(server: FakeSite) -> None:
    server.pages["/healthz"] = (503, "https://x/\x1b[2J", "\x1b]0;own\x07::error::y\r\n::warning::z")
    with pytest.raises(SiteError) as failed:
        run_check(endpoint(server))
    lines = str(failed.value).splitlines()
    assert all(line.isprintable() and "::" not in line for line in lines)
    assert r"    \x1b]0;own\x07: :error: :y" in lines
