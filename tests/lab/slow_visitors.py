"""Visitors on slow lines and with patience, and the pages that they ask for: beside the sample shop, put onto the web hosts by a test."""

import hashlib
import http.client
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

from tests.lab.harness import LabUnderTest, wait_until

APP = '''
"""The shop, and pages for visitors who take their time."""

import hashlib
import time

from wsgi import app as shop

PAUSE = 4


def stream(respond):
    respond("200 OK", [("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no")])
    for number in range(6):
        yield b"data: %d\\n\\n" % number
        time.sleep(PAUSE)


def app(environ, respond):
    path = environ["PATH_INFO"]
    if path == "/slow/stream":
        return stream(respond)
    if path == "/slow/upload":
        digest = hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()
        respond("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(digest)))])
        return [digest]
    if path == "/slow/headers":
        kib = int(environ["QUERY_STRING"])
        respond("200 OK", [("Content-Length", "2")] + [("Set-Cookie", f"c{n}=" + "x" * 1000 + "; path=/slow") for n in range(kib)])
        return [b"ok"]
    return shop(environ, respond)
'''
DROP_IN = """[Service]
ExecStart=
ExecStart=/opt/app/current/venv/bin/gunicorn --config /etc/webstack/gunicorn.conf.py slow_pages:app
"""
FOLDER = "/opt/app/current/app"
UNIT = "/run/systemd/system/webstack-app.service.d/slow-pages.conf"
LARGE, SMALL = ("large.bin", 12_000_000), ("small.bin", 1_600_000)
"""Static files. The large one is more than all buffers between a web host and a visitor hold."""
RATE = 50_000
"""Bytes in a second of a slow line."""
UPLOAD_SECONDS = 40
STREAM_PAUSE = 4
"""As in the app."""


def content(size: int) -> bytes:
    """What a static file of that size holds."""
    return random.Random(size).randbytes(size)  # noqa: S311 (no secret)


@contextmanager
def deployed_pages(lab: LabUnderTest, hosts: Sequence[str]) -> Generator[None]:
    """The pages on those web hosts; gone afterwards, also from a host whose plug was pulled meanwhile."""
    files = (f"{FOLDER}/slow_pages.py", *(f"{FOLDER}/static/{name}" for name, _ in (LARGE, SMALL)), UNIT)
    make = f"import random, pathlib\nfor name, size in {(LARGE, SMALL)!r}: pathlib.Path('{FOLDER}/static', name).write_bytes("
    make += "random.Random(size).randbytes(size))\n"
    make += f"pathlib.Path('{FOLDER}/slow_pages.py').write_text({APP!r})\n"
    make += f"unit = pathlib.Path('{UNIT}'); unit.parent.mkdir(exist_ok=True, parents=True); unit.write_text({DROP_IN!r})\n"
    try:
        for host in hosts:
            lab.run_on(host, "python3", "-c", make)
            _restart(lab, host)
        yield
    finally:
        for host in hosts:
            wait_until(lambda host=host: _answers(lab, host), seconds=60, what=f"{host}'s app answers")
            lab.run_on(host, "rm", "-f", *files)
            _restart(lab, host)


def _restart(lab: LabUnderTest, host: str) -> None:
    lab.run_on(host, "systemctl", "daemon-reload")
    lab.run_on(host, "systemctl", "restart", "webstack-app.service")
    wait_until(lambda: _answers(lab, host), seconds=60, what=f"{host}'s app answers")
    wait_until(lambda: _is_in_rotation(lab, host), seconds=30, what=f"lb-1 has seen that {host} is well")


def _answers(lab: LabUnderTest, host: str) -> bool:
    ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/api/products', timeout=3).status)"
    return lab.run_on(host, "python3", "-c", ask, check=False) == "200\n"


def _is_in_rotation(lab: LabUnderTest, host: str) -> bool:
    """Whether HAProxy has seen that a web host is well, in every backend: a restart of its app that took a second has it taken out."""
    address = str(lab.hosts()[host]["private_ip"])
    program = (
        "import sys; sys.path.insert(0, '/usr/local/lib/webstack')\n"
        "from load_balancer_role.haproxy import query, servers\n"
        "backends = [servers(query('show stat'), backend) for backend in ('web', 'web-writes')]\n"
        f"print(all(any(server.healthy for server in backend if server.address == {address!r}) for backend in backends))"
    )
    return lab.run_on("lb-1", "python3", "-c", program) == "True\n"


@contextmanager
def drained(lab: LabUnderTest, host: str) -> Generator[None]:
    """The load balancer gives a web host no new requests meanwhile."""
    address = str(lab.hosts()[host]["private_ip"])
    program = (
        "import sys; sys.path.insert(0, '/usr/local/lib/webstack')\n"
        "from load_balancer_role.haproxy import query\n"
        "for line in query('show servers state').splitlines():\n"
        "    words = line.split()\n"
        f"    if words[4:5] == [{address!r}]: query(f'set server {{words[1]}}/{{words[3]}} state ' + sys.argv[1])\n"
    )
    lab.run_on("lb-1", "python3", "-c", program, "drain")
    try:
        yield
    finally:
        lab.run_on("lb-1", "python3", "-c", program, "ready")


class Visitor(threading.Thread):
    """One visit. `error` is "" once it is as it should be, else what was wrong."""

    def __init__(self, name: str, visit: "Callable[[threading.Event], str]") -> None:
        super().__init__(name=name, daemon=True)
        self._visit = visit
        self.request_received = threading.Event()
        """Set once a web host has the request."""
        self.error = "has not come to an end"

    def run(self) -> None:
        """Makes the visit."""
        try:
            self.error = self._visit(self.request_received)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"


def visitors(lab: LabUnderTest) -> list[Visitor]:
    """All of them, not yet started."""
    return [
        Visitor("whose window is shut for ten seconds", lambda begun: _download(lab, LARGE, _Pause(10), begun)),
        Visitor("who takes 50 KB/s", lambda begun: _download(lab, SMALL, _slow_line, begun)),
        Visitor("who follows a stream with pauses", lambda begun: _follow(lab, begun)),
        Visitor("who uploads for 40 s", lambda begun: _upload(lab, begun)),
    ]


def _connect(lab: LabUnderTest) -> http.client.HTTPSConnection:
    """A connection with little room for what comes, so that its window closes when nothing is taken."""
    host = lab.url.removeprefix("https://")
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    plain.settimeout(60)
    plain.connect((host, 443))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host)
    connection.sock = context.wrap_socket(plain)
    return connection


def _download(lab: LabUnderTest, file: tuple[str, int], pause: Callable[[int], object], begun: threading.Event) -> str:
    name, size = file
    connection = _connect(lab)
    connection.request("GET", f"/static/{name}")
    answer = connection.getresponse()
    begun.set()
    digest, taken = hashlib.sha256(), 0
    while part := answer.read(10_000):
        digest.update(part)
        taken += len(part)
        pause(len(part))
    if answer.status != http.HTTPStatus.OK or digest.digest() != hashlib.sha256(content(size)).digest():
        return f"{answer.status}, and {taken} bytes of {size} came"
    return ""


class _Pause:
    """Takes nothing for some seconds, once, after the first bytes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, taken: int) -> None:
        time.sleep(self._seconds)
        self._seconds = 0


def _slow_line(taken: int) -> None:
    time.sleep(taken / RATE)


def _follow(lab: LabUnderTest, begun: threading.Event) -> str:
    connection = _connect(lab)
    connection.request("GET", "/slow/stream")
    answer = connection.getresponse()
    asked, first = time.monotonic(), answer.readline()
    waited = time.monotonic() - asked
    begun.set()
    rest = answer.read()
    if waited > STREAM_PAUSE * 2:
        return f"the first event came after {waited:.1f} s: it was held back"
    whole = b"".join(b"data: %d\n\n" % number for number in range(6))
    return "" if first + rest == whole else f"{answer.status}: {first + rest!r}"


def _upload(lab: LabUnderTest, begun: threading.Event) -> str:
    body = content(1_000_000)
    step = len(body) // UPLOAD_SECONDS

    def parts() -> Iterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]
            time.sleep(1)
            begun.set()

    connection = _connect(lab)
    connection.request("POST", "/slow/upload", body=parts(), headers={"Content-Length": str(len(body))})
    answer = connection.getresponse()
    said = answer.read().decode()
    return "" if said == hashlib.sha256(body).hexdigest() else f"{answer.status}: {said[:100]}"
