"""The authority and its certificates satisfy the strictest client there is: Python 3.13's `VERIFY_X509_STRICT`."""

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from lab.cloud.certificates import CertificateIssuer, ensure_ca

if TYPE_CHECKING:
    from pathlib import Path


def strict_client(certificate: "Path") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> dict[str, object]:
    """One TLS handshake over a socket pair; what the client learnt of the server's certificate."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                connection.recv(1)
        except OSError:
            theirs.close()  # the client has refused the certificate; it reports that itself

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as connection:
            seen = connection.getpeercert()
            connection.send(b".")
    finally:
        ours.close()
        thread.join()
    return dict(seen or {})


def test_the_authority_is_made_once_and_its_key_is_for_its_owner_alone(tmp_path: "Path") -> None:
    certificate, key = ensure_ca(tmp_path)
    first = certificate.read_bytes()
    assert ensure_ca(tmp_path) == (certificate, key)
    assert certificate.read_bytes() == first
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700


def test_each_name_asked_for_gets_its_own_certificate_and_a_strict_client_accepts_it(tmp_path: "Path") -> None:
    certificate, key = ensure_ca(tmp_path)
    server = CertificateIssuer(certificate, key).server_context("ec2.us-east-1.amazonaws.com")
    client = strict_client(certificate)
    for name in ("secretsmanager.eu-west-1.amazonaws.com", "my-bucket.s3.us-east-1.amazonaws.com", "ec2.us-east-1.amazonaws.com"):
        assert ("DNS", name) in tuple(handshake(server, client, name)["subjectAltName"])  # pyright: ignore[reportArgumentType]


def test_a_client_that_does_not_trust_the_authority_refuses_the_certificate(tmp_path: "Path") -> None:
    server = CertificateIssuer(*ensure_ca(tmp_path)).server_context("ec2.us-east-1.amazonaws.com")
    stranger, _ = ensure_ca(tmp_path / "another")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, strict_client(stranger), "ec2.us-east-1.amazonaws.com")
