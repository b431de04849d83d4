"""The AWS API of the lab: moto's server with the lab's additions (`lab.cloud.emulator`), in a process of its own.

    python -m lab.cloud.moto_server --socket PATH | --port 0 --port-file FILE
        [--public-range 198.18.0.0/24] [--machines] [--until-stdin-ends]

It does not authenticate callers: everyone who can reach it is an administrator. On a Unix socket that is only root.

moto's backends are not thread-safe, so calls run one at a time; requests are read and responses written concurrently.

Besides AWS's API it has private routes for the lab's API gateway and, with `--machines`, for the hypervisor:

    GET  /_lab/regions                              the regions that contain EC2 resources: `{"regions": […]}`
    GET  /_lab/sessions/<access key id>             the role's session that the key belongs to: `lab.cloud.internal_api.SessionInfo`

    GET  /_lab/quotas                               the account's quotas (`lab.cloud.emulator.quotas`), by name
    POST /_lab/quotas                               changes some: `{"vcpus": 64}`; 400 with a reason if invalid

    POST /_lab/instances/<instance id>/<started|stopped|terminated>
    POST /_lab/instances/<instance id>/volumes/<volume id>/<detached|busy>

The last two report an event of a machine (`lab.hypervisor.protocols.MachineEvent`) and return 200 with `{"state": …}`, the new state of the
instance or volume in the API. They are idempotent. An unknown instance, volume or key gives 404.
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

from lab.cloud import browser_guard, emulator
from lab.cloud.emulator import instance_state, quotas, volumes
from lab.cloud.emulator.sts_sessions import find_session
from lab.cloud.internal_api import INTERNAL_PREFIX, QUOTAS_PATH, REGIONS_PATH, SESSIONS_PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_EVENT_ROUTE = re.compile(re.escape(INTERNAL_PREFIX) + r"instances/(i-[0-9a-f]+)(?:/volumes/(vol-[0-9a-f]+))?/([a-z]+)")
_INSTANCE_EVENTS: dict[str, Callable[[str], str]] = {
    "started": instance_state.machine_started,
    "stopped": instance_state.machine_stopped,
    "terminated": instance_state.machine_terminated,
}
_VOLUME_EVENTS: dict[str, Callable[[str, str], str]] = {"detached": volumes.volume_detached, "busy": volumes.volume_busy}


class LockMiddleware:
    """WSGI middleware that runs one call at a time. Bodies are read before that, so that a slow sender does not block others."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = _read_body(environ)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        with self._lock:
            answer = self._application(environ, start_response)
            try:
                return [b"".join(answer)]
            finally:
                close: Callable[[], object] | None = getattr(answer, "close", None)
                if close is not None:
                    close()


class BrowserGuardMiddleware:
    """WSGI middleware that rejects requests from web pages (`lab.cloud.browser_guard`)."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if browser_guard.is_browser_request(str(environ.get("REQUEST_METHOD", "")), EnvironHeaders(environ)):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [browser_guard.REJECTION_TEXT.encode()]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            return start_response(status, browser_guard.without_cors_headers(headers), exc_info)

        return self._application(environ, start)


class InternalApiMiddleware:
    """WSGI middleware that adds the private routes."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if not path.startswith(INTERNAL_PREFIX):
            return self._application(environ, start_response)
        method = str(environ.get("REQUEST_METHOD", ""))
        status, answer = _quotas_response(method, environ) if path == QUOTAS_PATH else _internal_response(method, path)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


def _quotas_response(method: str, environ: "WSGIEnvironment") -> tuple[str, object]:
    if method != "POST":
        return "200 OK", quotas.as_dict()
    try:
        return "200 OK", quotas.update(json.loads(_read_body(environ)))
    except (ValueError, AttributeError) as error:
        return "400 Bad Request", {"error": str(error)}


def _internal_response(method: str, path: str) -> tuple[str, object]:
    if path == REGIONS_PATH:
        return "200 OK", {"regions": instance_state.regions_in_use()}
    if path.startswith(SESSIONS_PREFIX):
        session = find_session(path.removeprefix(SESSIONS_PREFIX))
        return ("200 OK", session) if session else ("404 Not Found", {"error": "no such access key"})
    route = _EVENT_ROUTE.fullmatch(path)
    instance_id, volume_id, event = route.groups() if route else ("", None, "")
    if event not in (_VOLUME_EVENTS if volume_id else _INSTANCE_EVENTS):
        return "404 Not Found", {"error": f"{path}: no such route; lab/cloud/moto_server.py lists them"}
    if method != "POST":
        return "405 Method Not Allowed", {"error": f"{method} {path}: only POST is allowed"}
    try:
        state = _VOLUME_EVENTS[event](instance_id, volume_id) if volume_id else _INSTANCE_EVENTS[event](instance_id)
    except KeyError as error:
        return "404 Not Found", {"error": f"{error.args[0]}: does not exist"}
    return "200 OK", {"state": state}


def _read_body(environ: "WSGIEnvironment") -> bytes:
    stream: Any = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):  # a chunked request: werkzeug has decoded it and ends the stream itself
        return bytes(stream.read())
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return bytes(stream.read(length)) if length else b""


def application() -> "WSGIApplication":
    """Returns the whole API as a WSGI application. Call `lab.cloud.emulator.install` first, once per process."""
    return BrowserGuardMiddleware(LockMiddleware(InternalApiMiddleware(DomainDispatcherApplication(create_backend_app))))


def make_tcp_server(port: int, host: str = "127.0.0.1") -> BaseWSGIServer:
    """Returns a server that is already listening; port 0 picks a free one (`server.port`). Serve with `serve_forever()`."""
    return make_server(host, port, application(), threaded=True, request_handler=QuietHandler)


def make_unix_server(path: Path) -> BaseWSGIServer:
    """Returns a server on a Unix socket that only its owner can open. The path appears once the socket accepts connections."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    before = os.umask(0o177)
    try:
        serving = make_tcp_server(0, f"unix://{scratch}")
    finally:
        os.umask(before)
    scratch.rename(path)
    return serving


class QuietHandler(MotoRequestHandler):
    """Logs no requests: the API gateway keeps the call log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Does nothing."""


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _exit_on_stdin_eof() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: list[str] | None = None) -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m lab.cloud.moto_server", description="The AWS API of the lab.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="Unix socket to listen on, accessible only to its owner")
    where.add_argument("--port", type=int, help="port of 127.0.0.1 to listen on; 0 picks a free one")
    parser.add_argument("--port-file", type=Path, help="file to write the port to, once it listens")
    parser.add_argument(
        "--public-range", type=IPv4Network, default=emulator.DEFAULT_PUBLIC_RANGE, help="range of public addresses (default: %(default)s)"
    )
    parser.add_argument("--machines", action="store_true", help="expect a hypervisor that boots the instances and reports their states")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)
    emulator.install(public_range=options.public_range, machines=options.machines)
    serving = make_unix_server(options.socket) if options.socket else make_tcp_server(options.port)
    if options.port_file:
        options.port_file.write_text(f"{serving.port}\n")
    signal.signal(signal.SIGTERM, _exit)
    if options.until_stdin_ends:
        threading.Thread(target=_exit_on_stdin_eof, daemon=True).start()
    try:
        serving.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
