"""What a database host certifies of itself, made and judged by openssl."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from database_role import certificates, paths

from .support import DB_1

pytestmark = pytest.mark.programs

ITSELF = replace(DB_1, private_address="10.20.128.10")


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's folder; who owns a file is left out."""

    def write(path: Path, content: str, **_: Any) -> None:
        path.write_text(content)

    monkeypatch.setattr(certificates.files, "write", write)
    for name, file in (("TLS", "."), ("TLS_KEY", "key.pem"), ("TLS_CERTIFICATE", "certificate.pem")):
        monkeypatch.setattr(paths, name, tmp_path / file)
    return tmp_path


def made() -> None:
    certificates.ensure_pair(ITSELF)


def openssl(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_a_host_is_believed_to_be_itself_and_its_key_signs_for_nobody(tls: Path) -> None:
    made()
    own = openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "certificate.pem", "certificate.pem", folder=tls)
    assert own.returncode == 0, own.stderr
    assert (
        "DNS:db-1.dev.webstack.internal, IP Address:10.20.128.10, IP Address:127.0.0.1"
        in openssl("x509", "-in", "certificate.pem", "-noout", "-text", folder=tls).stdout
    )
    openssl(
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "k",
        "-subj",
        "/CN=x",
        "-out",
        "r",
        folder=tls,
    )
    signs = ("-CA", "certificate.pem", "-CAkey", "key.pem", "-CAcreateserial", "-out", "forged.pem")
    assert openssl("x509", "-req", "-in", "r", *signs, folder=tls).returncode == 0
    forged = openssl("verify", "-CAfile", "certificate.pem", "forged.pem", folder=tls)
    assert forged.returncode != 0
    assert "invalid CA certificate" in forged.stderr


def test_a_pair_stays_for_as_long_as_it_is_for_the_same_and_one_that_was_an_authority_s_is_made_anew(tls: Path) -> None:
    made()
    first = (tls / "certificate.pem").read_text()
    made()
    assert (tls / "certificate.pem").read_text() == first
    (tls / "names").write_text("DNS:db-1.dev.webstack.internal,IP:10.20.128.10,IP:127.0.0.1")  # what stood there before
    made()
    assert (tls / "certificate.pem").read_text() != first
