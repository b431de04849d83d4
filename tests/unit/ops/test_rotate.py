"""`webstack rotate` as it is typed: mistakes that teach, and a certificate that is judged before anything is changed."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from lab.errors import LabError
from ops.cli import app
from ops.errors import UserError
from ops.rotation import certificate

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def run(*arguments: str) -> str:
    """What a mistake is answered with."""
    result = CliRunner().invoke(app, ["rotate", *arguments])
    assert isinstance(result.exception, LabError), result.output
    return str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "nothing to rotate: give one or more of database, session-key"),
        (("databse",), "'databse' is not a secret of a stack; give one of database, session-key"),
        (("tls",), "tls needs the new certificate, its chain and its key: give --from FILE"),
        (("database", "--from", "x.pem"), "--from and --secret are only for tls"),
        (("database", "--revoke"), "--revoke is only for session-key"),
        (("tls", "--from", "/nowhere.pem"), "'/nowhere.pem': cannot be read"),
        (("session-key", "--lab", "nolab"), "lab 'nolab' is"),
        (("session-key", "--stack", "nowhere", "--lab", "nolab"), "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_asked(arguments: tuple[str, ...], says: str) -> None:
    assert says in run(*arguments)


def pem(*, begins: datetime.datetime = NOW - DAY, ends: datetime.datetime = NOW + DAY, other_key: bool = False) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shown = ec.generate_private_key(ec.SECP256R1()) if other_key else key
    text = shown.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (made.public_bytes(serialization.Encoding.PEM) + text).decode()


def read(folder: Path, text: str) -> certificate.Pem:
    (folder / "site.pem").write_text(text)
    return certificate.read(folder / "site.pem", now=NOW)


def test_a_good_one_is_known_by_its_fingerprint(tmp_path: Path) -> None:
    text = pem()
    found = read(tmp_path, text)
    assert (found.text, found.dns_names) == (text, ("shop.example",))
    assert found.fingerprint == x509.load_pem_x509_certificate(text.encode()).fingerprint(hashes.SHA256()).hex()


def only_certificate(text: str) -> str:
    return text[: text.index("-----BEGIN PRIVATE")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (pem(other_key=True), "the private key does not belong to the first certificate"),
        (pem(begins=NOW - 3 * DAY, ends=NOW - DAY), "the certificate expired on 2026-05-31"),
        (pem(begins=NOW + DAY, ends=NOW + 2 * DAY), "the certificate is not valid before 2026-06-02"),
        (only_certificate(pem()), "give|put the certificate, its chain and its key into one file"),
        (pem().replace("BEGIN PRIVATE KEY", "BEGIN ENCRYPTED PRIVATE KEY"), "the private key is encrypted"),
        ("nothing", "put the certificate, its chain and its key into one file"),
        (pem() + "#" * 70000, "a secret holds at most 65536 bytes"),
    ],
)
def test_one_that_would_not_be_served_is_refused_and_changes_nothing(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read(tmp_path, text)
    assert "Nothing was changed" in str(caught.value)
    assert "PRIVATE KEY-----" not in str(caught.value)
