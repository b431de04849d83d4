"""API gateway of the lab, its only entrance: HTTP for programs on this machine, HTTPS under AWS's own names for the hosts.

Each call is read whole, parsed (`lab.cloud.calls`), subjected to injected faults (`lab.cloud.api_fault_filter`), authorized, forwarded to
the moto server, which handles one at a time, and logged. The hypervisor is notified of calls that may have changed something.
"""

import asyncio
import json
import logging
import logging.handlers
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from botocore.exceptions import BotoCoreError, ClientError
from multidict import CIMultiDict
from yarl import URL

from lab.cloud import aws_errors, browser_guard
from lab.cloud.api_fault_filter import ApiFaultFilter, throttling_error
from lab.cloud.calls import Call, HttpRequest, access_key_of, parse_call
from lab.cloud.internal_api import INTERNAL_PREFIX
from lab.moto_address import base_url, socket_path

if TYPE_CHECKING:
    from lab.hypervisor.protocols import ChangeListener

_LOG = logging.getLogger(__name__)
_SERVER_LOG = logging.getLogger("aiohttp.server")

MAX_BODY_BYTES = 64 * 1024 * 1024 + 1024 * 1024
"""The largest body in bytes: an object of 64 MiB with its chunk signatures. S3's clients send larger ones in parts."""
MAX_UNKNOWN_BODY_BYTES = 64 * 1024
"""The largest body of callers with an unknown access key: a body is read into memory before its signature can be verified."""

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"}
)
_ABSOLUTE_FORM = re.compile(r"^https?://[^/?]*")
"""What clients send to proxies before the path, and every server must accept (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2)."""
_MAX_LINE_BYTES = 65536
_INTERNAL_PATHS = (INTERNAL_PREFIX, "/moto-api")
_MAX_LOG_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class AuthDecision:
    """The result of authorizing a call. With neither field set, the call is allowed."""

    error: aws_errors.AwsError | None = None
    """The response; the call is not forwarded."""
    not_found_error: aws_errors.AwsError | None = None
    """Replaces a 404 of the API, if the caller may not even know that the resource does not exist."""


class Authorizer(Protocol):
    """Decides whether a call is allowed."""

    async def __call__(self, call: Call) -> AuthDecision:
        """Returns the decision. Raises botocore's errors if the API server does not return the data that it needs."""
        ...


class ApiGateway:
    """Forwards calls to the moto server at `address` (`lab.moto_address`), from sockets that are already listening."""

    def __init__(
        self,
        address: str,
        *,
        on_change: "ChangeListener | None" = None,
        authorizer: Authorizer | None = None,
        is_known_key: Callable[[str], Awaitable[bool]] | None = None,
        faults: ApiFaultFilter | None = None,
        log_file: Path | None = None,
    ) -> None:
        self.authorizer = authorizer
        self._is_known_key = is_known_key
        self.faults = faults or ApiFaultFilter()
        self.on_change = on_change
        self._upstream = address
        self._log = CallLog(log_file) if log_file else None
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Prepares the gateway. Add listeners afterwards (`add_listener`)."""
        _SERVER_LOG.addFilter(_is_not_client_error)
        # A new connection per call: a call sent on a connection that the API server has just closed would be lost.
        self._session = client_session(
            self._upstream,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        server = web.Server(self._serve, auto_decompress=False, max_line_size=_MAX_LINE_BYTES, max_field_size=_MAX_LINE_BYTES)
        self._runner = web.ServerRunner(server, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()

    async def add_listener(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serves on a listening socket, with TLS if a context is given."""
        if self._runner is None:
            raise RuntimeError("the gateway has not been started")
        await web.SockSite(self._runner, listening, ssl_context=tls).start()

    async def stop(self) -> None:
        """Closes the listeners and all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        if self._log is not None:
            self._log.close()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.monotonic()
        if browser_guard.is_browser_request(request.method, request.headers):
            return web.Response(status=403, text=browser_guard.REJECTION_TEXT)
        target = _ABSOLUTE_FORM.sub("", request.raw_path)
        raw_path, _, query = target.partition("?")
        if not raw_path.startswith("/") or _is_internal_path(raw_path):
            return web.Response(status=404, text="Not a path of AWS's API.\n")
        head = HttpRequest(
            method=request.method, host=request.host, path=raw_path, query=query, headers=request.headers, secure=request.secure
        )
        max_bytes = MAX_BODY_BYTES if await self._has_known_key(head) else MAX_UNKNOWN_BODY_BYTES
        body = await _read_body(request, max_bytes)
        if body is None:
            return web.Response(status=413, text=_too_large(max_bytes))
        call = parse_call(replace(head, body=body), request.remote or "")
        response = await self._apply_faults(call, request) or await self._handle_call(call, request, target, body)
        if self._log is not None:
            self._log.write(call, response.status, time.monotonic() - started)
        return response

    async def _has_known_key(self, head: HttpRequest) -> bool:
        if self._is_known_key is None:
            return True
        key = access_key_of(head)
        try:
            return bool(key) and await self._is_known_key(key)
        except aiohttp.ClientError as error:
            _LOG.warning("an access key could not be looked up: %s", error)
            return False

    async def _apply_faults(self, call: Call, request: web.BaseRequest) -> web.Response | None:
        """Returns the response that a fault causes, or None if the call proceeds, possibly delayed."""
        outcome = self.faults.evaluate(call)
        if outcome.delay:
            await asyncio.sleep(outcome.delay)
        if outcome.drop_connection:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)  # never sent: the connection is closed
        return _error_response(call, throttling_error(call.service)) if outcome.throttled else None

    async def _handle_call(self, call: Call, request: web.BaseRequest, target: str, body: bytes) -> web.Response:
        response = await self._authorize_and_forward(call, request, target, body)
        # The API server may have failed (5xx) after making half of the change.
        if self.on_change is not None and call.is_write and not 400 <= response.status < 500:
            self.on_change(region=call.region, service=call.service, action=call.action, parameters=call.parameters)
        return response

    async def _authorize_and_forward(self, call: Call, request: web.BaseRequest, target: str, body: bytes) -> web.Response:
        try:
            verdict = await self.authorizer(call) if self.authorizer is not None else AuthDecision()
        except (BotoCoreError, ClientError, aiohttp.ClientError):
            _LOG.exception("%s:%s cannot be authorized: the API server does not return the data that this needs", call.service, call.action)
            return web.Response(status=503, text="The lab's API server does not answer. Its log says why.\n")
        if verdict.error is not None:
            return _error_response(call, verdict.error)
        if self._session is None:
            raise RuntimeError("the gateway has not been started")
        url = URL(f"{base_url(self._upstream)}{target}", encoded=True)  # as sent: the path is part of what is signed
        try:
            async with self._session.request(
                request.method,
                url,
                headers=_forwarded_headers(request.headers),
                data=body,
                allow_redirects=False,
                skip_auto_headers=_SKIPPED_AUTO_HEADERS,
            ) as answer:
                if answer.status == 404 and verdict.not_found_error is not None:
                    return _error_response(call, verdict.not_found_error)
                return _relayed_response(answer, await answer.read(), head=request.method == "HEAD")
        except aiohttp.ClientConnectionError:
            return web.Response(status=503, text="The lab's API server does not answer. Its log says why.\n")


def _is_internal_path(raw_path: str) -> bool:
    """Whether the API server would treat a path as one of its own: it decodes paths and removes repeated leading slashes."""
    return f"/{unquote(raw_path).lstrip('/')}".startswith(_INTERNAL_PATHS)


_SKIPPED_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def _is_not_client_error(record: logging.LogRecord) -> bool:
    """Drops aiohttp's records of callers that send invalid HTTP or disconnect: otherwise anyone could fill the log."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


async def _read_body(request: web.BaseRequest, max_bytes: int) -> bytes | None:
    """Returns the whole body, or None if it is larger than `max_bytes`."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)


def _too_large(max_bytes: int) -> str:
    if max_bytes == MAX_UNKNOWN_BODY_BYTES:
        return f"Without a key that the lab knows, a body may have at most {max_bytes} bytes.\n"
    return f"The lab's API accepts bodies of at most {max_bytes} bytes; send larger objects in parts.\n"


def _error_response(call: Call, error: aws_errors.AwsError) -> web.Response:
    answer = aws_errors.error_response(call, error)
    return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type, **answer.headers})


def _forwarded_headers(headers: Mapping[str, str]) -> CIMultiDict[str]:
    dropped = _HOP_BY_HOP | {"expect", "content-length"}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def _relayed_response(answer: aiohttp.ClientResponse, body: bytes, *, head: bool) -> web.Response:
    shown = browser_guard.without_cors_headers(answer.headers.items())
    headers = CIMultiDict((name, value) for name, value in shown if name.lower() not in _HOP_BY_HOP)
    if not head:
        headers.popall("Content-Length", None)
    return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=None if head else body)


class CallLog:
    """Writes one JSON line per call: the caller, the call and its status, but no body, parameter or credential."""

    def __init__(self, path: Path) -> None:
        self._handler = logging.handlers.RotatingFileHandler(path, maxBytes=_MAX_LOG_BYTES, backupCount=1, encoding="utf-8")

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
    """Returns an HTTP client of the moto server at `address` (`lab.moto_address`) that keeps no connections. Needs a running event loop."""
    path = socket_path(address)
    connector = (
        aiohttp.TCPConnector(limit=0, force_close=True) if path is None else aiohttp.UnixConnector(str(path), limit=0, force_close=True)
    )
    return aiohttp.ClientSession(base_url(address), connector=connector, **options)


def loopback_listener(port: int) -> socket.socket:
    """Returns a socket that listens on 127.0.0.1. Raises OSError (EADDRINUSE) if the port is taken."""
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
