"""The site's certificate: made here and kept, or the user's own."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from load_balancer_role import tls
from webstack_host import aws, files
from webstack_host.errors import PermanentError

from tests.unit.hosts.conftest import FakePrograms
from tests.unit.hosts.load_balancer.conftest import CONFIG, PEM


@pytest.fixture
def pems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[Path, str]:
    """What is written, by path, and nothing on a disk."""
    written: dict[Path, str] = {}

    def write(path: Path, content: str | bytes, *, mode: int) -> bool:
        assert mode == 0o600, "a key is for root alone"
        text = content if isinstance(content, str) else content.decode()
        written[path] = text
        path.write_text(text)
        return True

    monkeypatch.setattr(files, "write", write)
    monkeypatch.setattr(tls, "SELF_SIGNED_FILE", tmp_path / "kept.pem")
    return written


def test_a_self_signed_certificate_is_made_once_and_kept(
    pems: dict[Path, str], monkeypatch: pytest.MonkeyPatch, programs: FakePrograms
) -> None:
    made: list[str] = []

    def self_signed(domain: str) -> str:
        made.append(domain)
        return PEM

    monkeypatch.setattr(tls, "self_signed", self_signed)
    assert tls.pem(CONFIG) == PEM
    programs.answers["openssl x509 -in"] = (0, "IP 198.51.100.7 does match certificate")
    assert tls.pem(CONFIG) == PEM
    assert made == ["198.51.100.7"]
    assert pems == {tls.SELF_SIGNED_FILE: PEM}
    programs.answers["openssl x509 -in"] = (0, "IP 198.51.100.7 does NOT match certificate")
    tls.pem(CONFIG)
    assert len(made) == 2, "a certificate for another name is made anew"


@pytest.mark.programs
@pytest.mark.parametrize(
    ("days", "name", "good"), [(31, "198.51.100.7", True), (29, "198.51.100.7", False), (31, "198.51.100.8", False), (0, "", False)]
)
def test_a_certificate_that_ends_soon_or_names_another_is_made_anew(tmp_path: Path, days: int, name: str, good: bool) -> None:
    pem = tmp_path / "tls.pem"
    if name:
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", "/dev/null"]
        told = ["-days", str(days), "-subj", "/CN=x", "-addext", f"subjectAltName=IP:{name}", "-out", str(pem)]
        subprocess.run([*made, *told], check=True, capture_output=True)
    assert tls.usable(pem, "198.51.100.7") is good


def test_the_users_pem_never_touches_the_disk_and_is_refused_without_its_key(
    pems: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = replace(CONFIG, tls_mode="secret", tls_secret="my/tls")
    values = {"my/tls": PEM}
    monkeypatch.setattr(aws, "named_secret", values.__getitem__)
    assert tls.pem(secret) == PEM + "\n"
    assert pems == {}
    values["my/tls"] = PEM.split("-----BEGIN PRIVATE")[0]
    with pytest.raises(PermanentError, match=r"the secret my/tls has no private key .*: it must hold") as refused:
        tls.pem(secret)
    assert "x\n" not in str(refused.value)
