"""Which published certificates are trusted: one host's own each, made and judged by openssl."""

import subprocess
from collections.abc import Mapping

import pytest
from web_role import database_ca
from webstack_host import aws, database_certificates, files

pytestmark = pytest.mark.programs

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null")


def certificate(*extensions: str, options: tuple[str, ...] = ()) -> bytes:
    """A self-signed certificate in PEM, with nothing but these extensions."""
    added = [word for extension in extensions for word in ("-addext", extension)]
    command = ["openssl", "req", "-x509", *KEY, "-days", "30", "-subj", "/CN=CA:FALSE", *added, *options]
    return subprocess.run(command, check=True, capture_output=True, timeout=60, env={"OPENSSL_CONF": "/dev/null"}).stdout


@pytest.fixture(scope="module")
def good() -> bytes:
    return certificate("basicConstraints=critical,CA:FALSE", "subjectAltName=IP:10.20.128.10")


def publish(monkeypatch: pytest.MonkeyPatch, texts: Mapping[str, bytes]) -> None:
    def fetch(key: str, *, max_bytes: int) -> bytes:
        return texts[key][: max_bytes + 1]

    def listing(prefix: str) -> list[str]:
        return sorted(key for key in texts if key.startswith(prefix))

    monkeypatch.setattr(aws, "list_objects", listing)
    monkeypatch.setattr(aws, "fetch_object", fetch)


def test_one_certificate_of_no_authority_is_a_hosts_own(good: bytes) -> None:
    assert database_certificates.parse_leaf(good) == good.decode()
    assert database_certificates.parse_leaf(b"what it is\n" + good + b"and more") == good.decode(), "the certificate alone"


@pytest.mark.parametrize("extensions", [("basicConstraints=critical,CA:TRUE",), ("basicConstraints=CA:TRUE,pathlen:0",), ()], ids=str)
def test_an_authority_s_certificate_is_none(extensions: tuple[str, ...]) -> None:
    assert database_certificates.parse_leaf(certificate(*extensions)) is None


def test_several_a_key_rubbish_and_what_has_no_end_are_none(good: bytes) -> None:
    authority = certificate("basicConstraints=critical,CA:TRUE")
    for text in (good + authority, authority + good, good + good, b"rubbish", b"", b"\xff\xfe", b"x" * 20000 + good):
        assert database_certificates.parse_leaf(text) is None


def test_a_hacked_database_host_brings_no_certificate_but_its_own(
    good: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = certificate("basicConstraints=critical,CA:TRUE")
    publish(
        monkeypatch,
        {
            "database/certificates/A:i-1.pem": good,
            "database/certificates/A:i-2.pem": good + authority,
            "database/certificates/A:i-3.pem": authority,
            "database/primary.json": b"{}",
        },
    )
    assert database_certificates.fetch_published() == [good.decode()]
    told = capsys.readouterr().err
    assert "A:i-1" not in told
    assert "A:i-2.pem is not one host's certificate" in told
    assert "A:i-3.pem is not one host's certificate" in told


def test_the_app_trusts_every_published_certificate_and_an_empty_list_changes_nothing(good: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, str]] = []

    def write(path: str, content: str) -> None:
        written.append((path, content))

    monkeypatch.setattr(files, "write", write)
    publish(monkeypatch, {})
    assert database_ca.main() == 1
    assert written == [], "the old file stays"
    other = certificate("basicConstraints=critical,CA:FALSE")
    publish(monkeypatch, {"database/certificates/A:i-1.pem": good, "database/certificates/A:i-2.pem": other})
    assert database_ca.main() == 0
    assert written == [(database_ca.CA_FILE, good.decode() + other.decode())]
