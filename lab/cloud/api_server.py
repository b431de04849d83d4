"""The AWS API of the lab: moto's server with the lab's additions (`lab.cloud.emulator`), in a process of its own.

    python -m lab.cloud.api_server --socket PATH | --port 0 --port-file FILE
        [--public-range 198.18.0.0/24] [--machines] [--until-stdin-ends]

It checks nobody: whoever reaches it is its administrator. On a Unix socket that is root alone.

moto's backends are not safe for threads, so its calls run one at a time; requests are read, and answers written, side by side.

Beside AWS's API it answers private routes, for the lab's door and for whoever boots the machines (`--machines`):

    GET  /_lab/regions                              the regions in which somebody has made something in EC2: `{"regions": […]}`
    GET  /_lab/sessions/<access key id>             the role's session that the key belongs to: `lab.cloud.reports.SessionReport`

    GET  /_lab/quotas                               the account's quotas (`lab.cloud.emulator.quotas`), by name
    POST /_lab/quotas                               changes some: `{"vcpus": 64}`; 400 with a reason for what is none

    POST /_lab/instances/<instance id>/<started|stopped|terminated>
    POST /_lab/instances/<instance id>/volumes/<volume id>/<detached|busy>

The last two tell what happened to a machine (`lab.hypervisor.interface.MachineEvent`) and answer 200 with `{"state": …}`, the state of
the instance or volume that the API shows from now on; repeating them does no harm. 404 for an unknown instance, volume or key.
"""

import argparse
import io
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.datastructures import EnvironHeaders
from werkzeug.serving import BaseWSGIServer, make_server

from lab.cloud import browsers, emulator
from lab.cloud.emulator import power, quotas, storage
from lab.cloud.emulator.sessions import session_of
from lab.cloud.reports import PRIVATE_PREFIX, QUOTAS_PATH, REGIONS_PATH, SESSIONS_PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ROUTE = re.compile(re.escape(PRIVATE_PREFIX) + r"instances/(i-[0-9a-f]+)(?:/volumes/(vol-[0-9a-f]+))?/([a-z]+)")
_OF_MACHINES: dict[str, Callable[[str], str]] = {
    "started": power.machine_started,
    "stopped": power.machine_stopped,
    "terminated": power.machine_terminated,
}
_OF_VOLUMES: dict[str, Callable[[str, str], str]] = {"detached": storage.volume_detached, "busy": storage.volume_busy}


class OneAtATime:
    """A WSGI application whose calls take turns. Bodies are read before a call's turn, so that a slow sender holds nobody up."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._turn = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = _read_body(environ)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        with self._turn:
            answer = self._application(environ, start_response)
            try:
                return [b"".join(answer)]
            finally:
                close: Callable[[], object] | None = getattr(answer, "close", None)
                if close is not None:
                    close()


class NotForPages:
    """A WSGI application that no page in a browser reaches (`lab.cloud.browsers`)."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if browsers.from_a_page(str(environ.get("REQUEST_METHOD", "")), EnvironHeaders(environ)):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [browsers.REFUSED.encode()]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            return start_response(status, browsers.without_grants(headers), exc_info)

        return self._application(environ, start)


class WithReports:
    """A WSGI application with the private routes beside it."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if not path.startswith(PRIVATE_PREFIX):
            return self._application(environ, start_response)
        method = str(environ.get("REQUEST_METHOD", ""))
        status, answer = _quotas(method, environ) if path == QUOTAS_PATH else _report(method, path)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


def _quotas(method: str, environ: "WSGIEnvironment") -> tuple[str, object]:
    if method != "POST":
        return "200 OK", quotas.shown()
    try:
        return "200 OK", quotas.change(json.loads(_read_body(environ)))
    except (ValueError, AttributeError) as error:
        return "400 Bad Request", {"error": str(error)}


def _report(method: str, path: str) -> tuple[str, object]:
    if path == REGIONS_PATH:
        return "200 OK", {"regions": power.regions_in_use()}
    if path.startswith(SESSIONS_PREFIX):
        session = session_of(path.removeprefix(SESSIONS_PREFIX))
        return ("200 OK", session) if session else ("404 Not Found", {"error": "no such access key"})
    route = _ROUTE.fullmatch(path)
    instance_id, volume_id, event = route.groups() if route else ("", None, "")
    if event not in (_OF_VOLUMES if volume_id else _OF_MACHINES):
        return "404 Not Found", {"error": f"{path}: no such route; see lab/cloud/api_server.py"}
    if method != "POST":
        return "405 Method Not Allowed", {"error": f"{method} {path}: only POST"}
    try:
        state = _OF_VOLUMES[event](instance_id, volume_id) if volume_id else _OF_MACHINES[event](instance_id)
    except KeyError as error:
        return "404 Not Found", {"error": f"{error.args[0]}: there is none"}
    return "200 OK", {"state": state}


def _read_body(environ: "WSGIEnvironment") -> bytes:
    stream: Any = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):  # a chunked request: werkzeug has undone the chunks and ends the stream itself
        return bytes(stream.read())
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return bytes(stream.read(length)) if length else b""


def application() -> "WSGIApplication":
    """The whole API as one WSGI application. `lab.cloud.emulator.install` comes first, once a process."""
    return NotForPages(OneAtATime(WithReports(DomainDispatcherApplication(create_backend_app))))


def server(port: int, host: str = "127.0.0.1") -> BaseWSGIServer:
    """A server that listens already; port 0 takes a free one (`server.port`). Serve with `serve_forever()`."""
    return make_server(host, port, application(), threaded=True, request_handler=QuietHandler)


def server_on(path: Path) -> BaseWSGIServer:
    """One that listens on a Unix socket, which only its owner can open, and is at its place only once it can be used."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    before = os.umask(0o177)
    try:
        serving = server(0, f"unix://{scratch}")
    finally:
        os.umask(before)
    scratch.rename(path)
    return serving


class QuietHandler(MotoRequestHandler):
    """Writes no line per request: the front keeps the call log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: list[str] | None = None) -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m lab.cloud.api_server", description="The AWS API of the lab.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="Unix socket to listen on, for root alone")
    where.add_argument("--port", type=int, help="port of 127.0.0.1 to listen on; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="file to write the port to, once it listens")
    parser.add_argument(
        "--public-range", type=IPv4Network, default=emulator.DEFAULT_PUBLIC_RANGE, help="public addresses (default: %(default)s)"
    )
    parser.add_argument("--machines", action="store_true", help="machines are booted for the instances, and their end is reported")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with whoever holds the other end of standard input")
    options = parser.parse_args(arguments)
    emulator.install(public_range=options.public_range, machines=options.machines)
    serving = server_on(options.socket) if options.socket else server(options.port)
    if options.port_file:
        options.port_file.write_text(f"{serving.port}\n")
    signal.signal(signal.SIGTERM, _end)
    if options.until_stdin_ends:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        serving.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
