"""The lab's certificate authority, and the server certificates that it issues.

AWS's endpoints use HTTPS under names for which only Amazon can get certificates. The lab therefore has its own authority: one per machine,
trusted only by the lab's host image. Its key never leaves the cache folder (mode 0600).

Python 3.13 on the hosts verifies with `VERIFY_X509_STRICT`, which enforces RFC 5280: a critical `basicConstraints` and a `keyUsage` on the
authority, and subject and authority key identifiers on both certificates.
"""

import datetime
import fcntl
import os
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Generator

CA_DAYS = 3650
"""The authority's lifetime. Images that trust it are rebuilt when it changes, so it is ten years, longer than any cache lives."""

LEAF_DAYS = 397
"""The longest lifetime that public authorities may issue, so that no client rejects the certificate."""

_ORGANISATION = "webstack lab"
_CLOCK_SKEW = datetime.timedelta(hours=1)


def ensure_ca(cache: Path) -> tuple[Path, Path]:
    """Returns the paths of the authority's certificate and key (PEM). The first call makes them.

    `cache` is the cache folder (`~/.cache/webstack`); the files are in `authority/` below it. Two processes may call this at the same time:
    one makes the pair while the other waits.
    """
    folder = cache / "authority"
    certificate_path, key_path = folder / "ca.pem", folder / "ca.key"
    with _locked(folder):
        if not (_is_valid(certificate_path) and key_path.exists()):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _self_signed(key)
            _write(key_path, _key_pem(key), 0o600)
            _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate_path, key_path


class CertificateIssuer:
    """Issues server certificates for any name and caches them for the life of the process.

    They all share one key, since one server presents them all.
    """

    def __init__(self, certificate_path: Path, key_path: Path) -> None:
        self._issuer = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        issuer_key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_path}: the authority's key is not an elliptic curve key; remove its folder, and a new one will be made")
        self._issuer_key = issuer_key
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: dict[str, ssl.SSLContext] = {}

    def certificate(self, name: str) -> bytes:
        """Returns a PEM certificate for `name` and for every name one label below it."""
        now = datetime.datetime.now(datetime.UTC)
        names = [x509.DNSName(name), x509.DNSName(f"*.{name}")]
        subject = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, name[:64]), x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION)]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._issuer.subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + datetime.timedelta(days=LEAF_DAYS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._issuer_key.public_key()), critical=False)
            .sign(self._issuer_key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def tls_context(self, name: str) -> ssl.SSLContext:
        """Returns a server-side TLS context with a certificate for `name`, which the first call for that name makes."""
        known = self._contexts.get(name)
        if known is not None:
            return known
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # mode 0600; `load_cert_chain` accepts only paths
            file.write(_key_pem(self._key) + self.certificate(name))
            file.flush()
            context.load_cert_chain(file.name)
        self._contexts[name] = context
        return context

    def server_context(self, default_name: str) -> ssl.SSLContext:
        """Returns a TLS context for a listener: each connection gets the certificate for its SNI name, or else for `default_name`."""
        context = self.tls_context(default_name)

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
            if name:
                connection.context = self.tls_context(name.lower())

        context.sni_callback = choose
        return context


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"{_ORGANISATION} authority"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _is_valid(path: Path) -> bool:
    """Whether a certificate exists there that will still be valid in a month."""
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(temporary).chmod(mode)
    Path(temporary).rename(path)


@contextmanager
def _locked(folder: Path) -> "Generator[None]":
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
