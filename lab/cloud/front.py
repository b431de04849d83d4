"""The only door to the lab's AWS API: HTTP for programs on this machine, HTTPS under AWS's own names for the hosts.

Each call is read whole, named (`lab.cloud.calls`), struck by the faults that the API has on purpose (`lab.cloud.api_faults`), judged if
there is a judge, passed on to the API server, which takes one at a time, and written to the call log; calls that may have changed something
are told to the hypervisor.
"""

import asyncio
import json
import logging
import logging.handlers
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from botocore.exceptions import BotoCoreError, ClientError
from multidict import CIMultiDict
from yarl import URL

from lab.bare_api import socket_of, url_of
from lab.cloud import browsers, denials
from lab.cloud.api_faults import ApiFaults
from lab.cloud.calls import Call, Message, identify
from lab.cloud.reports import PRIVATE_PREFIX

if TYPE_CHECKING:
    from lab.hypervisor.interface import ChangeListener

_LOG = logging.getLogger(__name__)
_SERVER_LOG = logging.getLogger("aiohttp.server")

MAX_BODY_BYTES = 64 * 1024 * 1024 + 1024 * 1024
"""An object of 64 MiB and its chunk signatures; S3's clients send larger ones in parts."""

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"}
)
_ABSOLUTE = re.compile(r"^https?://[^/?]*")
"""What clients send before the path to a proxy, and any server has to take (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2)."""
_LINE_BYTES = 65536
_CLOSED_PATHS = (PRIVATE_PREFIX, "/moto-api")
_LOG_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to become of a call. Neither: it goes its way."""

    refusal: denials.Refusal | None = None
    """The call is not passed on."""
    if_missing: denials.Refusal | None = None
    """The answer where the API would say that nothing is there (404): the caller may not know even that."""


class Judge(Protocol):
    """Whether a call is allowed."""

    async def __call__(self, call: Call) -> Verdict:
        """Raises botocore's errors where the API server does not answer what must be known."""
        ...


class Front:
    """Passes calls on to the API server at `address` (`lab.bare_api`). Doors are opened on sockets that listen already."""

    def __init__(
        self,
        address: str,
        *,
        on_change: "ChangeListener | None" = None,
        judge: Judge | None = None,
        faults: ApiFaults | None = None,
        log_file: Path | None = None,
    ) -> None:
        self.judge = judge
        self.faults = faults or ApiFaults()
        self.on_change = on_change
        self._address = address
        self._log = CallLog(log_file) if log_file else None
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Makes ready; doors are opened afterwards (`open_door`)."""
        _SERVER_LOG.addFilter(_ours)
        # A connection per call: one that the API server has closed in the meantime would lose the call sent on it.
        self._session = client_session(
            self._address,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
        )
        server = web.Server(self._serve, auto_decompress=False, max_line_size=_LINE_BYTES, max_field_size=_LINE_BYTES)
        self._runner = web.ServerRunner(server, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()

    async def open_door(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serves on a listening socket, with TLS if a context is given."""
        if self._runner is None:
            raise RuntimeError("the front has not been started")
        await web.SockSite(self._runner, listening, ssl_context=tls).start()

    async def stop(self) -> None:
        """Closes the doors and everything behind them."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        if self._log is not None:
            self._log.close()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.monotonic()
        if browsers.from_a_page(request.method, request.headers):
            return web.Response(status=403, text=browsers.REFUSED)
        body = await _read(request)
        if body is None:
            return web.Response(
                status=413, text=f"The lab's API takes bodies of {MAX_BODY_BYTES} bytes at most; send larger objects in parts.\n"
            )
        target = _ABSOLUTE.sub("", request.raw_path)
        raw_path, _, query = target.partition("?")
        if not raw_path.startswith("/") or _closed(raw_path):
            return web.Response(status=404, text="Not a path of AWS's API.\n")
        message = Message(
            method=request.method,
            host=request.host,
            path=raw_path,
            query=query,
            headers=request.headers,
            body=body,
            secure=request.secure,
        )
        call = identify(message, request.remote or "")
        response = await self._struck(call, request) or await self._passed(call, request, target, body)
        if self._log is not None:
            self._log.write(call, response.status, time.monotonic() - started)
        return response

    async def _struck(self, call: Call, request: web.BaseRequest) -> web.Response | None:
        """The answer of an API that has a fault; None for a call that goes its way, late perhaps."""
        outcome = self.faults.meet(call)
        if outcome.delay:
            await asyncio.sleep(outcome.delay)
        if outcome.unanswered:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)  # for nobody: the connection is gone
        return _refused(call, outcome.refusal) if outcome.refusal is not None else None

    async def _passed(self, call: Call, request: web.BaseRequest, target: str, body: bytes) -> web.Response:
        response = await self._answer(call, request, target, body)
        # A failure of the API server (5xx) may have come after half of the change.
        if self.on_change is not None and call.changes and not 400 <= response.status < 500:
            self.on_change(region=call.region, service=call.service, action=call.action, parameters=call.parameters)
        return response

    async def _answer(self, call: Call, request: web.BaseRequest, target: str, body: bytes) -> web.Response:
        try:
            verdict = await self.judge(call) if self.judge is not None else Verdict()
        except (BotoCoreError, ClientError, aiohttp.ClientError):
            _LOG.exception("%s:%s cannot be judged, because the API server does not tell what must be known", call.service, call.action)
            return web.Response(status=503, text="The lab's API server does not answer. Its log says why.\n")
        if verdict.refusal is not None:
            return _refused(call, verdict.refusal)
        if self._session is None:
            raise RuntimeError("the front has not been started")
        url = URL(f"{url_of(self._address)}{target}", encoded=True)  # as sent: the path is part of what is signed
        try:
            async with self._session.request(
                request.method, url, headers=_passed_on(request.headers), data=body, allow_redirects=False, skip_auto_headers=_NOT_ADDED
            ) as answer:
                if answer.status == 404 and verdict.if_missing is not None:
                    return _refused(call, verdict.if_missing)
                return _response(answer, await answer.read(), head=request.method == "HEAD")
        except aiohttp.ClientConnectionError:
            return web.Response(status=503, text="The lab's API server does not answer. Its log says why.\n")


def _closed(raw_path: str) -> bool:
    """Whether the API server would take a path for one of its own: it decodes them, and drops what repeats the first slash."""
    return f"/{unquote(raw_path).lstrip('/')}".startswith(_CLOSED_PATHS)


_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def _ours(record: logging.LogRecord) -> bool:
    """Whether aiohttp tells of more than a caller who speaks no HTTP, or has gone: anybody could fill the log with those."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


async def _read(request: web.BaseRequest) -> bytes | None:
    """The whole body; None when it is too large."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _refused(call: Call, refusal: denials.Refusal) -> web.Response:
    answer = denials.answer(call, refusal)
    return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type, **answer.headers})


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    dropped = _HOP_BY_HOP | {"expect", "content-length"}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def _response(answer: aiohttp.ClientResponse, body: bytes, *, head: bool) -> web.Response:
    shown = browsers.without_grants(answer.headers.items())
    headers = CIMultiDict((name, value) for name, value in shown if name.lower() not in _HOP_BY_HOP)
    if not head:
        headers.popall("Content-Length", None)
    return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=None if head else body)


class CallLog:
    """One JSON line per call: who called what, and how it ended. No body, no parameter, no credential."""

    def __init__(self, path: Path) -> None:
        self._handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")

    def write(self, call: Call, status: int, seconds: float) -> None:
        """Appends the call's line."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "caller": call.caller,
            "service": call.service,
            "action": call.action,
            "status": status,
            "milliseconds": round(seconds * 1000),
        }
        self._handler.emit(logging.makeLogRecord({"msg": json.dumps(line), "levelno": logging.INFO}))

    def close(self) -> None:
        """Closes the file."""
        self._handler.close()


def client_session(address: str, **options: Any) -> aiohttp.ClientSession:
    """A client of the API server at `address` (`lab.bare_api`), which takes paths; made in a running loop. It keeps no connection open."""
    path = socket_of(address)
    connector = (
        aiohttp.TCPConnector(limit=0, force_close=True) if path is None else aiohttp.UnixConnector(str(path), limit=0, force_close=True)
    )
    return aiohttp.ClientSession(url_of(address), connector=connector, **options)


def loopback_listener(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1; raises OSError (EADDRINUSE) when something else does."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening
