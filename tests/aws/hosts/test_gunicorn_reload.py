"""A reload of the app: other variables, and somebody who answers all the while."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from userdata.render import ROOT

APP = """
import os, time
KEY, PID = os.environ["SESSION_KEY"], os.getpid()
while os.path.exists("held"):
    time.sleep(0.05)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        open("asked", "w").close()
        while not os.path.exists("answer"):
            time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{KEY} {PID} {os.environ.get('GONE', '')}".encode()]
"""


class Server:
    """Gunicorn with the hosts' own configuration, but for where it listens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "wsgi.py").write_text(APP)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "web/etc/webstack/gunicorn.conf.py")]
        command += ["--bind", f"127.0.0.1:{self.port}", "--workers", "2", "wsgi:app"]
        environment = {**os.environ, "SESSION_KEY": "first", "GONE": "x", "RUNTIME_DIRECTORY": str(folder)}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path: str = "/", timeout: float = 30) -> tuple[str, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            key, pid, *_ = connection.getresponse().read().decode().split()
        finally:
            connection.close()
        return key, pid

    def reload(self, **variables: str) -> None:
        (self.folder / "environment.json").write_text(json.dumps(variables))
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    try:
        while True:
            try:
                made.get()
                break
            except OSError:
                assert made.process.poll() is None, "Gunicorn has ended"
                time.sleep(0.1)
        yield made
    finally:
        made.process.terminate()
        made.process.wait(60)


def until(server: Server, key: str) -> set[str]:
    """Asks until forty answers in a row come by this key; the processes that gave them."""
    answers: list[tuple[str, str]] = []
    while len(answers) < 40 or {one for one, _ in answers[-40:]} != {key}:
        answers.append(server.get())
        time.sleep(0.02)
    return {pid for _, pid in answers[-40:]}


def test_a_reload_brings_other_variables_and_is_answered_while_the_app_is_loaded(server: Server, tmp_path: Path) -> None:
    first = until(server, "first")
    (tmp_path / "held").touch()
    server.reload(SESSION_KEY="second")
    assert until(server, "first") <= first, "the old workers answer as long as the new ones load the app"
    (tmp_path / "held").unlink()
    second = until(server, "second")
    server.reload(SESSION_KEY="third")
    server.reload(SESSION_KEY="fourth")  # before the first of these has come to its end
    fourth = until(server, "fourth")
    assert not first & second
    assert not second & fourth


def test_what_is_being_answered_is_answered_by_the_old_worker(server: Server, tmp_path: Path) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/slow")
    while not (tmp_path / "asked").exists():
        time.sleep(0.05)
    server.reload(SESSION_KEY="second")
    until(server, "second")
    (tmp_path / "answer").touch()
    assert connection.getresponse().read().decode().split()[0] == "first"
    connection.close()
