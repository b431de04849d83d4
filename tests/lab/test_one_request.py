"""One request, followed by its id: through HAProxy's, Nginx's and the app's log, and back to the visitor; with the commands for that."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

from tests.lab.harness import LabUnderTest, wait_until

WEB_HOSTS = ("web-1", "web-2")
IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@contextmanager
def _without_databases(lab: LabUnderTest) -> Generator[None]:
    """The apps cannot reach a database meanwhile: they answer 503, and say so."""
    try:
        for host in WEB_HOSTS:
            lab.run_on(host, "systemctl", "stop", "webstack-database-proxy.service")
        yield
    finally:
        for host in WEB_HOSTS:
            lab.run_on(host, "systemctl", "start", "webstack-database-proxy.service")


@contextmanager
def _without_web_hosts(lab: LabUnderTest) -> Generator[None]:
    """HAProxy sends nobody a request meanwhile."""
    program = (
        "import sys; sys.path.insert(0, '/usr/local/lib/webstack')\n"
        "from load_balancer_role.haproxy import query\n"
        "for line in query('show servers state').splitlines():\n"
        "    words = line.split()\n"
        "    if words[1:2] == ['web'] and words[4][0] == '1': query(f'set server web/{words[3]} state ' + sys.argv[1])\n"
    )
    lab.run_on("lb-1", "python3", "-c", program, "maint")
    try:
        yield
    finally:
        lab.run_on("lb-1", "python3", "-c", program, "ready")


def _line(lab: LabUnderTest, identifier: str, *arguments: str) -> str:
    """The line of a host's log that has the id, by `webstack lab logs`."""

    def found() -> str:
        return next((line for line in lab.command("logs", *arguments).stdout.splitlines() if identifier in line), "")

    return wait_until(found, seconds=20, what=f"{identifier} stands in the log of {arguments}")


def test_a_request_that_failed_is_found_by_its_id_in_all_three_logs(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        with _without_databases(lab):
            answer = browser.get("/api/products", headers={"X-Request-ID": "forged"})
        assert answer.status_code == 503
        identifier = answer.headers["x-request-id"]
        assert IDENTIFIER.fullmatch(identifier), "HAProxy's own, whatever the visitor sent"
        assert "x-webstack-host" not in answer.headers
        host = answer.headers["x-web-host"]

        line = _line(lab, identifier, "lb-1", "--unit", "haproxy", "--since", "-5min")
        assert line.split()[-3:] == [identifier, str(lab.hosts()[host]["private_ip"]), host]
        assert " 503 " in line
        assert '"GET /api/products' in _line(lab, identifier, host, "--access")
        assert " WARNING in database" in _line(lab, identifier, host, "--unit", "webstack-app")

        too_long = browser.post("/api/orders", content=b"x" * (11 << 20))
        assert too_long.status_code == 413
        assert IDENTIFIER.fullmatch(too_long.headers["x-request-id"])
        static = browser.get("/static/shop.css")
        assert IDENTIFIER.fullmatch(static.headers["x-request-id"])
        assert "x-webstack-host" not in static.headers
        with _without_web_hosts(lab):
            nobody = browser.get("/")
        assert nobody.status_code == 503
        assert _line(lab, nobody.headers["x-request-id"], "lb-1", "--unit", "haproxy").split()[-2:] == ["-", "-"]


def test_what_visitors_send_does_not_fill_the_disk_of_a_web_host(lab: LabUnderTest) -> None:
    """A log that has grown beyond its size is rotated by the timer's service, and Nginx goes on in a new one; long paths are cut."""
    with lab.http_client() as browser:
        lab.run_on("web-1", "truncate", "--size=60M", "/var/log/nginx/access.log")
        lab.run_on("web-1", "systemctl", "start", "logrotate.service")
        sizes = lab.run_on("web-1", "stat", "--format=%s", "/var/log/nginx/access.log.1", "/var/log/nginx/access.log").split()
        assert int(sizes[0]) >= 60 << 20
        assert int(sizes[1]) < 1 << 20
        identifiers = [browser.get(f"/static/{'x' * 7000}").headers["x-request-id"] for _ in range(8)]
    shown = ("logs", "web-1", "--access", "-n", "0")

    def found() -> list[str]:
        return [line for line in lab.command(*shown).stdout.splitlines() if any(identifier in line for identifier in identifiers)]

    assert all(len(line) < 1300 for line in wait_until(found, seconds=20, what="web-1 has logged one of them"))


def test_a_slow_statement_stands_in_its_log_which_rotates(lab: LabUnderTest) -> None:
    lab.query("db-1", "SELECT SLEEP(1.1), 'seen as slow'")
    assert "seen as slow" in lab.command("logs", "db-1", "--slow").stdout
    lab.run_on("db-1", "logrotate", "--force", "/etc/logrotate.d/webstack-slow-queries")
    lab.query("db-1", "SELECT SLEEP(1.1), 'after the rotation'")
    shown = lab.command("logs", "db-1", "--slow").stdout
    assert "after the rotation" in shown
    assert "seen as slow" not in shown


def test_exec_hands_nothing_over_but_its_input(lab: LabUnderTest) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ops", "lab", "exec", "--lab", lab.name, "web-1", "--", "sh", "-c", "env; cat"],
        capture_output=True,
        text=True,
        input="from stdin",
        check=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(lab.clone), "CANARY": "sings"},
    )
    assert "CANARY" not in result.stdout
    assert "HOME=/root" in result.stdout
    assert result.stdout.endswith("from stdin")


def test_a_log_is_followed_as_it_is_written(lab: LabUnderTest) -> None:
    following = subprocess.Popen(
        [sys.executable, "-m", "ops", "lab", "logs", "--lab", lab.name, "web-1", "--follow"],
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(lab.clone)},
    )
    assert following.stdout is not None
    shown: list[str] = []
    threading.Thread(target=shown.extend, args=(following.stdout,), daemon=True).start()

    def seen() -> bool:
        lab.run_on("web-1", "logger", "a note for who follows")
        return any("a note for who follows" in line for line in list(shown))

    try:
        wait_until(seen, seconds=30, what="the line is shown")
        assert following.poll() is None
    finally:
        following.terminate()
        following.wait(30)
