"""A small site at a loopback address, and a program that asks it as a visitor."""

import contextlib
import ssl
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stack.site_check import SiteCheck
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


@contextlib.contextmanager
def serve(certificate: Path) -> Generator[FakeSite]:
    """A site at a loopback address, by https with this certificate and by http."""
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


def endpoint(site: FakeSite, *, name: str = "127.0.0.1", verified: bool = False, restricted: bool = False) -> SiteEndpoint:
    port, plain = site.port, site.plain_port
    return SiteEndpoint(address="127.0.0.1", port=port, http_port=plain, name=name, trusted_certificate=verified, restricted=restricted)
