"""What a visitor gets: HTTPS and nothing less, both web hosts, the real files, no forged address believed."""

import socket
import ssl
import warnings
from urllib.parse import urlsplit

import httpx
import pytest

from tests.lab.harness import LabUnderTest, wait_until

HOSTS = {"lb-1": "load_balancer", "web-1": "web", "web-2": "web", "db-1": "database", "db-2": "database"}


def test_every_host_is_there_and_ready(lab: LabUnderTest) -> None:
    hosts = lab.hosts()
    assert {name: host["role"] for name, host in hosts.items()} == HOSTS
    assert [name for name, host in hosts.items() if not host["ready"]] == []


def test_the_page_is_the_shop_over_https(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        answer = browser.get("/")
    assert answer.status_code == 200
    assert "<html" in answer.text
    assert "web-" in answer.text, "the footer names the web host"
    assert "db-" in answer.text, "the footer names the database host"


def test_http_redirects_to_https_and_serves_nothing_else(lab: LabUnderTest) -> None:
    address = urlsplit(lab.url).hostname
    answer = httpx.get(f"http://{address}/orders?page=2", follow_redirects=False)
    assert answer.status_code in (301, 308)
    assert answer.headers["location"] == f"https://{address}/orders?page=2"


def test_the_browser_is_told_to_come_back_by_https(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        header = browser.get("/").headers["strict-transport-security"]
    assert int(header.split("max-age=")[1].split(";")[0]) >= 31_536_000


def test_http2_is_spoken(lab: LabUnderTest) -> None:
    with lab.http_client(http2=True) as browser:
        assert browser.get("/").http_version == "HTTP/2"


def test_both_web_hosts_answer_in_turn(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        seen = [browser.get("/api/products").headers["x-web-host"] for _ in range(8)]
    assert seen.count("web-1") == seen.count("web-2") == 4


def test_static_files_come_from_nginx_with_a_cache_time(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        answer = browser.get("/static/shop.css")
    assert answer.status_code == 200
    assert "x-web-host" not in answer.headers, "the app did not answer"
    assert "max-age" in answer.headers["cache-control"]


def test_pages_are_compressed_for_who_asks(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        assert browser.get("/static/shop.css", headers={"Accept-Encoding": "gzip"}).headers.get("content-encoding") == "gzip"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["TLS 1.0", "TLS 1.1"])
def test_old_tls_is_refused(lab: LabUnderTest, version: ssl.TLSVersion) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(lab, version)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def test_current_tls_is_spoken(lab: LabUnderTest, version: ssl.TLSVersion) -> None:
    assert _handshake(lab, version) == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]


def test_a_forged_client_address_is_not_believed(lab: LabUnderTest) -> None:
    forged = {"X-Forwarded-For": "203.0.113.66", "X-Real-IP": "203.0.113.66", "Forwarded": "for=203.0.113.66", "X-Marker": "forged-address"}
    with lab.http_client() as browser:
        for _ in range(2):
            assert browser.get("/?forged-address", headers=forged).status_code == 200

    def logged() -> list[str]:
        show = "cat /var/log/nginx/*.log; journalctl -b --no-pager -o cat"
        text = "".join(lab.run_on(host, "sh", "-c", show) for host in ("web-1", "web-2"))
        return [line for line in text.splitlines() if "forged-address" in line]

    lines = wait_until(logged, seconds=30, what="the requests are in the web hosts' logs")
    assert [line for line in lines if "203.0.113.66" in line] == []
    assert any(str(lab.names.wan_peer_address) in line for line in lines), "the log names the address that the request really came from"


def _handshake(lab: LabUnderTest, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # this side would speak the old versions
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((str(urlsplit(lab.url).hostname), 443), timeout=10) as plain,
        context.wrap_socket(plain) as secured,
    ):
        return secured.version()
