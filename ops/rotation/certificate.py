"""The site owner's certificate: checked here before any load balancer sees it, then stored in its secret."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ops.errors import UserError
from ops.rotation.clients import AwsClients

MAX_SECRET_BYTES: Final = 65536
"""Bytes of a secret (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html)."""
_KEY_HEADERS: Final = ("-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----")


@dataclass(frozen=True, kw_only=True)
class Pem:
    """A PEM for HAProxy. `fingerprint`: SHA-256 of the certificate in DER, as load balancers tell theirs."""

    text: str
    fingerprint: str
    not_after: datetime
    dns_names: tuple[str, ...]


def read(path: Path, *, now: datetime | None = None) -> Pem:
    """The certificate, its chain and its key in a file. Raises UserError for what HAProxy would refuse or visitors' browsers would."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--from {str(path)!r}: cannot be read ({getattr(error, 'strerror', None) or 'not a text file'}); give a PEM file"
        ) from None

    def refused(rule: str, remedy: str) -> UserError:
        return UserError(f"--from {str(path)!r}: {rule}; {remedy}. Nothing was changed.")

    if "ENCRYPTED" in text:
        raise refused("the private key is encrypted, and no host has its passphrase", "decrypt it: openssl pkey -in KEY")
    if len(text.encode()) > MAX_SECRET_BYTES:
        raise refused(f"a secret holds at most {MAX_SECRET_BYTES} bytes", "leave out what is neither certificate, chain nor key")
    try:
        chain = x509.load_pem_x509_certificates(text.encode())
        key = load_pem_private_key(text.encode()[_key_offset(text) :], password=None)
    except ValueError as error:
        rule = "holds no certificate and private key in PEM" if "MalformedFraming" in str(error) else f"is not readable ({error})"
        raise refused(rule, "put the certificate, its chain and its key into one file: cat CERTIFICATE CHAIN KEY") from None
    leaf, form = chain[0], (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        raise refused("the private key does not belong to the first certificate", "give the key that the certificate was made for")
    moment = now or datetime.now(UTC)
    if leaf.not_valid_after_utc <= moment:
        raise refused(f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}", "renew it")
    if leaf.not_valid_before_utc > moment:
        raise refused(f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC", "wait, or renew it")
    return Pem(text=text, fingerprint=leaf.fingerprint(hashes.SHA256()).hex(), not_after=leaf.not_valid_after_utc, dns_names=_names(leaf))


def store(clients: AwsClients, secret: str, pem: Pem) -> bool:
    """Makes the PEM the current value of a secret. Returns whether the secret was created."""
    try:
        clients.secrets.put_secret_value(SecretId=secret, SecretString=pem.text)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
            raise
        clients.secrets.create_secret(Name=secret, SecretString=pem.text, Description="Certificate, chain and key of a webstack site")
        return True
    return False


def _key_offset(text: str) -> int:
    return max(text.find(mark) for mark in _KEY_HEADERS)


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(map(str, found.get_values_for_type(x509.DNSName)))
