"""When a web host calls itself ready, tried on a small HTTP server in place of its Nginx: what is asked, and what an answer means."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from web_role import checks
from webstack_host import http_check
from webstack_host.readiness import CheckResult
from webstack_host.variables import Bundle

from tests.unit.hosts.conftest import FakePrograms
from tests.unit.userdata.test_host_files import LOAD_BALANCER, WEB
from userdata.render import rendered_files

CONFIG = replace(WEB, app_bundle=Bundle(key="app/1.tar.gz", sha256="1" * 64))

Told = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


class App:
    """What stands behind the port: each page's answer by its path, and the requests that came."""

    def __init__(self) -> None:
        self.answers: dict[str, Told] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def answer(self, path: str, status: int, body: str = "", **headers: str) -> None:
        self.answers[path] = (status, headers, body.encode())


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, programs: FakePrograms, tmp_path: Path) -> Iterator[App]:
    del programs  # every unit runs
    serving = App()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            serving.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
            status, headers, body = serving.answers.get(self.path, (200, {}, b""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    _at_port(monkeypatch, server.server_address[1])
    monkeypatch.setattr(checks, "DRAINING", tmp_path / "draining")
    yield serving
    server.shutdown()
    server.server_close()


def _at_port(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    ask = checks.get_page

    def there(path: str, site: str) -> http_check.CheckResponse:
        return ask(path, site, port=port)

    monkeypatch.setattr(checks, "get_page", there)


def test_nginx_is_asked_word_for_word_what_haproxy_asks_and_then_for_the_deep_check(app: App) -> None:
    found = checks.check(CONFIG)
    assert (found.ok, found.facts) == (True, {"release": "1" * 16})
    (sent,) = {line.strip() for line in rendered_files(LOAD_BALANCER)["/etc/haproxy/haproxy.cfg"].splitlines() if "http-check send" in line}
    words = sent.removeprefix("http-check send ").replace("hdr ", "").split()
    wanted = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}
    method, path, headers = app.asked[0]
    assert (method, path) == (wanted.pop("meth"), wanted.pop("uri"))
    assert wanted.pop("ver") == "HTTP/1.1"
    assert wanted.pop("host") == LOAD_BALANCER.domain
    assert headers.pop("host") == CONFIG.site_host, "both are the site's name"
    assert {name: value for name, value in headers.items() if name not in ("accept-encoding", "connection")} == wanted
    assert [path for _, path, _ in app.asked] == ["/healthz", "/readyz"]


REFUSALS: list[tuple[int, dict[str, str], str]] = [
    (400, {}, "the hosts that it allows must hold shop.example (SITE_HOST)"),
    (301, {"Location": "https://shop.example/up/"}, "Let it believe X-Forwarded-Proto"),
    (308, {"Location": "https://shop.example/up/"}, "Let it believe X-Forwarded-Proto"),
    (302, {"Location": "/login"}, "{} must name a page that answers 200 itself, without a redirect"),
    (401, {}, "{} must name a page that answers 200 to whoever asks"),
    (403, {}, "{} must name a page that answers 200 to whoever asks"),
    (404, {}, "{} must name a page of the app"),
    (405, {}, "{} must name a page of the app"),
    (500, {}, ""),
    (503, {}, ""),
    (204, {}, ""),
]


@pytest.mark.parametrize(("status", "headers", "change"), REFUSALS, ids=[str(case[0]) for case in REFUSALS])
@pytest.mark.parametrize(("page", "path", "setting"), [("/healthz", "/up/", "web.checkPath"), ("/readyz", "/up/deep", "web.readyPath")])
def test_an_app_that_refuses_a_check_is_told_with_what_it_said_and_what_to_change(
    app: App, page: str, path: str, setting: str, status: int, headers: dict[str, str], change: str
) -> None:
    said = "" if status == 204 else "<h1>Sorry</h1>\n\n  and more\n"
    app.answer(page, status, said, **headers)
    found = checks.check(CONFIG)
    assert not found.ok
    assert found.reason == f"the app answers GET {path} (Host shop.example, https) with {status}"
    assert found.units == ("webstack-app.service",)
    assert [line for line in found.detail if line.startswith("To change: ")] == [line for line in found.detail[:1] if change]
    assert change.format(setting) in (found.detail or [""])[0]
    assert [line for line in found.detail if line.startswith("Location: ")] == [f"Location: {value}" for value in headers.values()]
    assert found.detail[-2:] == ([] if not said else ["<h1>Sorry</h1>", "and more"])


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (502, "the app gives no answer to GET /up/ (Host shop.example, https): Nginx says 502"),
        (504, "the app does not answer GET /up/ (Host shop.example, https) in time: Nginx says 504"),
    ],
)
def test_what_nginx_says_of_an_app_that_does_not_answer_is_not_put_into_the_apps_mouth(app: App, status: int, reason: str) -> None:
    app.answer("/healthz", status)
    assert checks.check(CONFIG).reason == reason


def test_of_a_long_answer_some_lines_are_told(app: App) -> None:
    app.answer("/healthz", 500, "\n".join([f"{'x' * 300}{number}" for number in range(50)]))
    assert [len(line) for line in checks.check(CONFIG).detail] == [http_check.MAX_LINE_LENGTH] * http_check.MAX_BODY_LINES


def test_a_host_that_drains_is_not_ready_and_says_so(app: App) -> None:
    checks.DRAINING.touch()
    found = checks.check(CONFIG)
    assert (found.ok, found.reason.partition(":")[0]) == (False, "drains")
    assert app.asked == [], "its app is well"


def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(checks, "TIMEOUT", 0.2)
    _at_port(monkeypatch, listening.getsockname()[1])
    monkeypatch.setattr(checks, "_kept_open", listening, raising=False)


def rubbish(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")
            connection.close()

    threading.Thread(target=answer, daemon=True).start()
    _at_port(monkeypatch, listening.getsockname()[1])


def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    _at_port(monkeypatch, port)


@pytest.mark.parametrize(("world", "said"), [(silent, "timed out"), (rubbish, "BadStatusLine"), (closed, "Connection refused")])
def test_a_port_that_gives_no_http_is_nginxs_failure(
    monkeypatch: pytest.MonkeyPatch, programs: FakePrograms, world: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    world(monkeypatch)
    found: CheckResult = checks.check(CONFIG)
    assert not found.ok
    assert found.reason.startswith("Nginx does not answer: ")
    assert said in found.reason
    assert found.units == ("nginx.service",)
