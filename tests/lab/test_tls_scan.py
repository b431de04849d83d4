"""The load balancer's TLS before a scanner of that field: Mozilla's intermediate profile. The scanner is shown to bite."""

import contextlib
import datetime
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from audit import tls
from tests.lab.harness import LabUnderTest

SELF_SIGNED = {
    "certificate_path_validation": "the lab's certificate is born on the host; `tls.mode: secret` brings one that browsers trust",
    "maximum_certificate_lifespan": "nobody renews it, so it lives longer than an authority's may (825 days)",
}
"""What the profile says of the certificate, and why it stays. All else it says is about the configuration, and fails the test."""


def test_the_load_balancer_keeps_to_mozilla_s_intermediate_profile(lab: LabUnderTest) -> None:
    found = tls.profile_violations(lab.url.removeprefix("https://"))
    assert {rule: text for rule, text in found.items() if rule not in SELF_SIGNED} == {}
    assert found.keys() == SELF_SIGNED.keys(), "what is excused above is still so"


def old_protocol(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ECDHE+AESGCM:ECDHE+AES:@SECLEVEL=0")


def weak_cipher(context: ssl.SSLContext) -> None:
    context.set_ciphers("ECDHE+AESGCM:ECDHE-ECDSA-AES128-SHA")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("weaken", "rule"), [(old_protocol, "tls_versions"), (weak_cipher, "ciphers")])
def test_the_scanner_finds_a_server_that_allows_more(tmp_path: Path, weaken: Callable[[ssl.SSLContext], None], rule: str) -> None:
    with server(tmp_path, weaken) as port:
        assert rule in tls.profile_violations("127.0.0.1", port)


class WeakServer(socketserver.ThreadingTCPServer):
    """Shakes hands with whoever comes, and hangs up."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self._context = context

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        # The scanner also asks for what this server does not speak.
        with contextlib.suppress(OSError), self._context.wrap_socket(request, server_side=True) as secured:
            secured.recv(1)


@contextmanager
def server(folder: Path, weaken: Callable[[ssl.SSLContext], None]) -> Generator[int]:
    """A TLS server on loopback, weaker than it should be; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder))
    weaken(context)
    with WeakServer(context) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        try:
            yield listening.server_address[1]
        finally:
            listening.shutdown()


def certificate(folder: Path) -> Path:
    """A key and its self-signed certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
