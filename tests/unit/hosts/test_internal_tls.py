"""TLS between load balancers and web hosts: the key and the request for its certificate. What OpenSSL makes of them, tests/lab shows."""

import base64
import tempfile
from pathlib import Path
from typing import Any

import pytest
from webstack_host import internal_tls, stack_secrets

from stack.roles import SPECS
from tests.unit.userdata.test_host_files import LOAD_BALANCER
from userdata.render import ROOT, rendered_files

from .conftest import FakePrograms


def test_the_same_secret_is_the_same_key_and_another_is_another() -> None:
    key = internal_tls.private_key("a" * 64)
    assert key == internal_tls.private_key("a" * 64) != internal_tls.private_key("b" * 64)
    first, text, last = key.splitlines()
    assert (first, last) == ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----")
    der = base64.b64decode(text, validate=True)
    # RFC 8410, section 7: a sequence of 46 bytes with version 0, the algorithm 1.3.101.112, and 34 bytes that hold 32.
    assert (len(der), der[:2], der[2:5], der[7:12], der[12:16]) == (
        48,
        b"\x30\x2e",
        b"\x02\x01\x00",
        b"\x06\x03\x2b\x65\x70",
        b"\x04\x22\x04\x20",
    )


@pytest.fixture
def openssl(programs: FakePrograms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePrograms:
    """Writes as certificate what it was asked with, and lets the test see that."""
    temporary = tempfile.TemporaryDirectory

    def run(words: list[str | Path], **_: Any) -> None:
        programs.calls.append([str(word) for word in words])
        key, request, made = (Path(words[words.index(option) + 1]) for option in ("-key", "-config", "-out"))
        assert key.stat().st_mode & 0o777 == 0o600
        made.write_text(request.read_text())

    monkeypatch.setattr(internal_tls, "run", run)

    def here(**_: object) -> tempfile.TemporaryDirectory[str]:
        return temporary(dir=tmp_path)

    monkeypatch.setattr(internal_tls.tempfile, "TemporaryDirectory", here)
    return programs


def test_a_certificate_has_nothing_in_it_that_differs_from_host_to_host(
    openssl: FakePrograms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def current(purpose: str) -> tuple[str, str]:
        asked.append(purpose)
        return "version", "a" * 64

    monkeypatch.setattr(stack_secrets, "current", current)
    key, certificate = internal_tls.key_and_certificate()
    assert key == internal_tls.private_key("a" * 64)
    [words] = openssl.calls
    assert "-days" not in words
    assert [words[words.index(option) + 1] for option in ("-set_serial", "-not_before", "-not_after")] == [
        "1",
        "20260101000000Z",
        "20560101000000Z",
    ]
    assert "basicConstraints = critical, CA:FALSE" in certificate
    assert list(tmp_path.iterdir()) == [], "the key is in no file of this process any more"
    assert asked == [internal_tls.PURPOSE]
    assert {spec.name for spec in SPECS if internal_tls.PURPOSE in spec.secrets} == {"load_balancer", "web"}


def test_load_balancers_ask_for_the_name_that_the_certificate_bears_and_take_no_older_tls() -> None:
    servers = [line for line in rendered_files(LOAD_BALANCER)["/etc/haproxy/haproxy.cfg"].splitlines() if "default-server ssl" in line]
    assert len(servers) == 2
    for line in servers:
        assert f"verify required ca-file /run/webstack/web.pem verifyhost {internal_tls.NAME} ssl-min-ver TLSv1.3" in line
    assert "ssl_protocols TLSv1.3;" in (ROOT / "web/etc/nginx/conf.d/tls.conf").read_text()
