"""Between load balancers and web hosts there is TLS, and a load balancer knows the one certificate that it takes."""

import hashlib
import ssl
from collections.abc import Iterator

import pytest

from tests.lab.harness import LabUnderTest, wait_until

VECTOR = """
import sys
sys.path.insert(0, "/usr/local/lib/webstack")
from webstack_host import internal_tls
print(internal_tls.certificate(internal_tls.private_key("a" * 64)))
"""
KNOWN = "6e546a19e8f9d75dd2d69a2fd7feac98d07f959b021c664158874894d422d388"
"""SHA-256 of the certificate (DER) of a secret of 64 `a`: another would be one that older load balancers do not know."""

OPEN = "openssl s_client -connect {address}:8443 -CAfile /run/webstack/web.pem -verify_return_error -verify_hostname {name} {more}"
ANOTHER = (
    "openssl req -x509 -newkey ed25519 -noenc -days 2 -subj /CN=web.webstack.internal -addext subjectAltName=DNS:web.webstack.internal "
    "-keyout /run/webstack/web.key -out /run/webstack/web.pem 2>&1 && systemctl reload nginx"
)


@pytest.mark.parametrize("host", ["web-1", "lb-1"])
def test_a_secret_is_the_same_certificate_wherever_it_is_made(lab: LabUnderTest, host: str) -> None:
    made = lab.run_on(host, "python3", "-c", VECTOR)
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.strip())).hexdigest() == KNOWN


def test_a_load_balancer_and_the_web_hosts_have_the_same(lab: LabUnderTest) -> None:
    assert len({lab.run_on(host, "cat", "/run/webstack/web.pem") for host in ("lb-1", "web-1", "web-2")}) == 1
    assert lab.run_on("lb-1", "sh", "-c", "ls /run/webstack/web.key 2>&1 || true").strip().endswith("No such file or directory")
    assert lab.run_on("web-1", "stat", "--format=%a %U", "/run/webstack/web.key").strip() == "600 root"


@pytest.mark.parametrize(
    ("name", "more", "passes"),
    [("web.webstack.internal", "", True), ("another.webstack.internal", "", False), ("web.webstack.internal", "-tls1_2", False)],
)
def test_the_certificate_is_for_its_name_and_for_tls_of_today(lab: LabUnderTest, name: str, more: str, passes: bool) -> None:
    address = str(lab.hosts()["web-1"]["private_ip"])
    script = f"{OPEN.format(address=address, name=name, more=more)} < /dev/null > /dev/null 2>&1 && echo passes || echo fails"
    assert lab.run_on("lb-1", "sh", "-c", script) == ("passes\n" if passes else "fails\n")


@pytest.fixture
def another_certificate(lab: LabUnderTest) -> Iterator[None]:
    """web-1 shows a certificate of the right name that is not the stack's."""
    own = {name: lab.run_on("web-1", "cat", f"/run/webstack/{name}") for name in ("web.key", "web.pem")}
    lab.run_on("web-1", "sh", "-c", ANOTHER)
    try:
        yield
    finally:
        for name, text in own.items():
            lab.run_on("web-1", "sh", "-c", f"cat > /run/webstack/{name} <<'END'\n{text}END")
        lab.run_on("web-1", "systemctl", "reload", "nginx")
        wait_until(lambda: serving(lab) == 2, seconds=60, what="both web hosts serve again")


def servers(lab: LabUnderTest) -> list[str]:
    """What HAProxy says of each web host, a line of CSV."""
    shown = lab.run_on("lb-1", "sh", "-c", "echo 'show stat' | socat - /run/haproxy/admin.sock")
    return [line for line in shown.splitlines() if line.startswith("web,web")]


def serving(lab: LabUnderTest) -> int:
    """How many web hosts the load balancer sends visitors to, by its own word."""
    return sum(",UP," in line for line in servers(lab))


def test_a_host_with_another_certificate_gets_nothing_of_visitors(lab: LabUnderTest, another_certificate: None) -> None:
    # Between the two it is "UP 1/2", by one failed check.
    [line] = wait_until(lambda: [line for line in servers(lab) if ",DOWN," in line], seconds=60, what="the load balancer leaves web-1")
    assert serving(lab) == 1
    assert "L6RSP" in line, line
    with lab.http_client() as browser:
        assert {browser.get("/").status_code for _ in range(6)} == {200}
