"""A certificate of one's own, from a secret: served as it is, and the host's own again without it."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.lab.harness import LabUnderTest

NAME = "shop.example"
SECRET = "the-shops-own-certificate"


@pytest.fixture
def certificate(lab: LabUnderTest, tmp_path: Path) -> Iterator[Path]:
    """A certificate, whose key and chain are in Secrets Manager for as long as the test runs; the lab is as before afterwards."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2", "-keyout", str(key), "-out", str(chain)),
        ],
        check=True,
        capture_output=True,
    )
    lab.secrets().create_secret(Name=SECRET, SecretString=chain.read_text() + key.read_text())
    try:
        yield chain
    finally:
        lab.up()
        lab.secrets().delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)


def trusted(lab: LabUnderTest, chain: Path) -> bool:
    """Whether the load balancer proves to be NAME to a client that trusts this chain alone."""
    context = ssl.create_default_context(cafile=chain)
    address = (str(urlsplit(lab.url).hostname), 443)
    try:
        with socket.create_connection(address, timeout=10) as connection, context.wrap_socket(connection, server_hostname=NAME):
            return True
    except ssl.SSLCertVerificationError:
        return False


def test_a_certificate_from_a_secret_is_served_and_its_key_is_nowhere_else(lab: LabUnderTest, certificate: Path) -> None:
    assert not trusted(lab, certificate)
    lab.up("loadBalancer.tls.mode=secret", f"loadBalancer.tls.secret={SECRET}")
    assert trusted(lab, certificate)
    with lab.browser() as client:
        assert client.get("/").status_code == 200
    key_line = (certificate.parent / "key.pem").read_text().splitlines()[1]
    holders = lab.run_on("lb-1", "grep", "-rlF", "--", key_line, "/etc", "/var", "/run", "/usr/local", check=False).split()
    assert len(holders) == 1, "the file that HAProxy reads, and none besides"
    assert lab.run_on("lb-1", "stat", "-c", "%a", holders[0]).strip() in {"400", "600", "640"}
