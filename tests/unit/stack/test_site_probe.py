"""One look at a site: by https at its address, by http, and what counts as no answer."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stack import site_probe
from stack.site_check import REQUIRED_PROBES, SITE_UP, SiteError
from stack.site_probe import SiteEndpoint
from tests.unit.stack.fake_site import NAME, FakeSite, endpoint, run_check, write_certificate


def test_a_site_without_a_name_is_asked_by_its_address(fake_site: FakeSite) -> None:
    assert run_check(endpoint(fake_site)).log == [f"{SITE_UP}https://127.0.0.1/"]
    assert fake_site.asked == [("/healthz", "127.0.0.1"), ("/", "127.0.0.1")] * REQUIRED_PROBES
    assert set(fake_site.names) == {None}, "an address is no server name (RFC 6066, 3)"


@pytest.mark.parametrize("status", [200, 301, 302, 401, 403, 404, 429])
def test_what_the_first_page_is_is_the_apps_own_matter_but_for_a_servers_error(fake_site: FakeSite, status: int) -> None:
    fake_site.pages["/"] = (status, "", "")
    assert run_check(endpoint(fake_site)).log == [f"{SITE_UP}https://127.0.0.1/"]


def test_proxies_that_the_environment_names_are_not_asked(fake_site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert run_check(endpoint(fake_site)).log == [f"{SITE_UP}https://127.0.0.1/"]


def test_a_first_page_that_never_ends_answers(fake_site: FakeSite) -> None:
    fake_site.endless = True
    assert run_check(endpoint(fake_site)).log == [f"{SITE_UP}https://127.0.0.1/"]


def test_an_answer_whose_head_never_ends_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its bytes comes in time; all together never do."""
    monkeypatch.setattr(site_probe, "RESPONSE_TIMEOUT", 0.3)

    def trickle(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.sendall(b"HTTP/1.1 301 x\r\nLocation: ")
                while connection.send(b"x"):
                    threading.Event().wait(0.01)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=trickle, args=(listening,), daemon=True).start()
        place = SiteEndpoint(address="127.0.0.1", name="127.0.0.1", http_port=listening.getsockname()[1])
        with pytest.raises(site_probe.ProbeError, match="is not answered within"):
            site_probe._get(place, "/", range(300, 400), encrypted=False)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("verified", [False, True])
def test_a_certificate_that_has_ended_serves_nobody(fake_site: FakeSite, tmp_path: Path, verified: bool) -> None:
    assert fake_site.secured
    fake_site.secured.load_cert_chain(write_certificate(tmp_path / "old.pem", until=-timedelta(days=1)))
    with pytest.raises(SiteError, match="its certificate has ended"):
        run_check(endpoint(fake_site, name=NAME, verified=verified), found=["127.0.0.1"])


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        ((200, ""), "GET / by http is answered with 200"),
        ((301, "http://shop.example/"), "http, port 80, does not lead to https"),
        (None, r"127\.0\.0\.1, port \d+: Connection refused"),
    ],
)
def test_who_types_the_name_alone_comes_by_http_and_must_get_on(fake_site: FakeSite, plain: tuple[int, str] | None, reason: str) -> None:
    fake_site.plain, place = plain, endpoint(fake_site)
    if plain is None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            place = replace(place, http_port=free.getsockname()[1])
    with pytest.raises(SiteError, match=reason):
        run_check(place)


def closed(listening: socket.socket) -> None:
    listening.close()


def plain_http(listening: socket.socket) -> None:
    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.recv(1000)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                connection.close()

    threading.Thread(target=answer, daemon=True).start()


def silent(_: socket.socket) -> None:
    """Connections are made, and nobody says anything."""


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize(
    ("world", "reason"), [(closed, "Connection refused"), (plain_http, "by https ends with SSLError"), (silent, "is not answered within")]
)
def test_who_refuses_or_says_something_else_is_no_site(
    monkeypatch: pytest.MonkeyPatch, world: Callable[[socket.socket], None], reason: str, restricted: bool
) -> None:
    monkeypatch.setattr(site_probe, "RESPONSE_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = SiteEndpoint(address="127.0.0.1", name="127.0.0.1", port=listening.getsockname()[1], restricted=restricted)
        world(listening)
        with pytest.raises(SiteError, match=reason):
            run_check(place)


def test_a_certificate_that_proves_the_name_is_not_spoken_of(
    fake_site: FakeSite, site_certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{site_certificate}.crt")
    assert run_check(endpoint(fake_site, name=NAME, verified=True), found=["127.0.0.1"]).log == [f"{SITE_UP}https://{NAME}/ (127.0.0.1)"]


def test_names_are_looked_up_as_the_machine_does_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*_: object) -> list[Any]:
        return [(0, 0, 0, "", (address, 443)) for address in ("192.0.2.2", "192.0.2.1", "192.0.2.2")]

    def unknown(*_: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def unwell(*_: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    ended = threading.Event()

    def hangs(*_: object) -> list[Any]:
        ended.wait(10)
        return []

    monkeypatch.setattr(site_probe, "DNS_TIMEOUT", 0.05)
    given: list[tuple[Callable[..., list[Any]], list[str] | None]] = [
        (answers, ["192.0.2.1", "192.0.2.2"]), (unknown, []), (unwell, None), (hangs, None)
    ]  # fmt: skip
    for resolver, found in given:
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        assert site_probe.resolve_ipv4(NAME) == found
    ended.set()
