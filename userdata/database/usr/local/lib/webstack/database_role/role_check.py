"""The HTTP service on port 9200 that tells routing whether this host is the writable primary or a replica that keeps up.

It queries MySQL at most once in `CACHE_SECONDS` seconds, however many requests it gets, as a system user without other rights. Only the web
and database tiers can reach it.

    GET /primary                 200 if this host takes writes, else 503
    GET /replica?max_lag=SECONDS 200 if it replicates and lags no more than that (default 5), else 503
    GET /status                  200 with MySQL's state as JSON; 503 if MySQL does not answer
"""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from . import datadir, paths
from .mysql import MySQLClient, MySQLError
from .observe import local_view
from .observed_state import LocalView

CACHE_SECONDS = 0.2
"""Seconds for which an answer of MySQL is reused: less than the interval of every checker."""

DEFAULT_MAX_LAG = 5.0

_LAG = """SELECT
 TIMESTAMPDIFF(MICROSECOND, GREATEST(s.LAST_HEARTBEAT_TIMESTAMP, s.LAST_QUEUED_TRANSACTION_END_QUEUE_TIMESTAMP), NOW(6)) / 1e6 AS silence,
 TIMESTAMPDIFF(MICROSECOND, NULLIF((SELECT MIN(w.APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP) FROM
  performance_schema.replication_applier_status_by_worker w WHERE w.APPLYING_TRANSACTION <> ''), 0), NOW(6)) / 1e6 AS applying
 FROM performance_schema.replication_connection_status s WHERE s.CHANNEL_NAME = ''"""


@dataclass(frozen=True, kw_only=True)
class RoleReading:
    """One reading of MySQL's state. `lag` is in seconds, None if unknown."""

    local: LocalView | None
    lag: float | None


def primary_response(reading: RoleReading) -> tuple[int, str]:
    """Returns status and text for /primary."""
    local = reading.local
    if local is None:
        return 503, "mysqld does not answer"
    if local.read_only or local.super_read_only:
        return 503, "read-only"
    return 200, "primary"


def replica_response(reading: RoleReading, max_lag: float) -> tuple[int, str]:
    """Returns status and text for /replica."""
    local = reading.local
    if local is None:
        return 503, "mysqld does not answer"
    if not local.read_only:
        return 503, "not a replica: it takes writes"
    if local.receiver != "ON" or local.applier != "ON":
        return 503, f"not replicating: receiver {local.receiver}, applier {local.applier}"
    if reading.lag is None:
        return 503, "no sign of the primary yet"
    if reading.lag > max_lag:
        return 503, f"{reading.lag:.1f} s behind"
    return 200, f"replica, {reading.lag:.1f} s behind"


def seconds_behind(local: LocalView, silence: float | None, applying: float | None) -> float | None:
    """Returns how stale reads may be: seconds since the source's last heartbeat (one per second), or the age of what is being applied."""
    if silence is None:
        return None
    behind = (applying or 0.0) if not local.received <= local.executed else 0.0
    return max(0.0, silence - 1.0, behind)


def status_body(
    reading: RoleReading, *, data: str, stopping: bool, expects_replica: bool, lag_limit: float = DEFAULT_MAX_LAG
) -> dict[str, Any]:
    """Returns the body of /status."""
    local = reading.local
    if local is None:
        raise MySQLError("mysqld does not answer")
    return {
        "data": data,
        "stopping": stopping,
        "primary": primary_response(reading)[0] == 200,
        "replica": replica_response(reading, lag_limit)[0] == 200,
        "writable": not local.read_only,
        "server_uuid": local.server_uuid,
        "executed": str(local.executed),
        "received": str(local.received),
        "receiver": local.receiver,
        "receiver_error": local.receiver_error,
        "applier": local.applier,
        "applier_error": local.applier_error,
        "expects_replica": expects_replica,
        "semi_sync": local.semi_sync,
        "semi_sync_replicas": local.replicas,
        "waiting_commits": local.waiting,
        "lag_seconds": reading.lag,
    }


class RoleChecker:
    """Queries MySQL for all requests, one query at a time. `expects_replica`: whether this host is configured with a replica."""

    def __init__(self, *, expects_replica: bool) -> None:
        self._expects_replica = expects_replica
        self._server = MySQLClient(paths.CHECK_USER, timeout=1.0, connect_timeout=1.0)
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._reading = RoleReading(local=None, lag=None)

    def reading(self) -> RoleReading:
        """Returns MySQL's current state, at most CACHE_SECONDS seconds old."""
        with self._lock:
            if time.monotonic() - self._read_at > CACHE_SECONDS:
                self._reading = self._ask()
                self._read_at = time.monotonic()
            return self._reading

    def _ask(self) -> RoleReading:
        local = local_view(self._server)
        if local is None:
            return RoleReading(local=None, lag=None)
        try:
            row = self._server.row(_LAG) if local.read_only else {}
        except MySQLError:
            return RoleReading(local=None, lag=None)
        silence, applying = (None if row.get(name) is None else float(row[name]) for name in ("silence", "applying"))
        return RoleReading(local=local, lag=seconds_behind(local, silence, applying))

    def respond(self, target: str) -> tuple[int, str, str]:
        """Returns status, content type and body for a request target."""
        url = urlsplit(target)
        if url.path == "/primary":
            return _plain(*primary_response(self.reading()))
        if url.path == "/replica":
            try:
                max_lag = float(parse_qs(url.query).get("max_lag", [str(DEFAULT_MAX_LAG)])[0])
            except ValueError:
                return _plain(400, "max_lag is a number of seconds")
            return _plain(*replica_response(self.reading(), max_lag))
        if url.path == "/status":
            try:
                body = status_body(
                    self.reading(),
                    data=datadir.read().data.value,
                    stopping=paths.STOPPING.exists(),
                    expects_replica=self._expects_replica,
                )
            except (MySQLError, OSError, ValueError) as error:
                return _plain(503, str(error))
            return 200, "application/json", json.dumps(body, indent=2)
        return _plain(404, "one of /primary, /replica?max_lag=SECONDS, /status")


def _plain(status: int, text: str) -> tuple[int, str, str]:
    return status, "text/plain", text


class _Handler(BaseHTTPRequestHandler):
    timeout = 2
    checker: RoleChecker

    def do_GET(self) -> None:
        status, kind, text = self.checker.respond(self.path)
        body = text.encode() + b"\n"
        # A single write: HAProxy closes the connection as soon as it has read the status line, and a second write would fail.
        head = f"HTTP/1.0 {status} {'OK' if status == 200 else 'No'}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            self.wfile.write(head.encode() + body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: there are several checks a second."""


class _CheckServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        """Binds without HTTPServer's lookup of its own name, which would wait for a resolver that may not answer."""
        TCPServer.server_bind(self)


def serve(address: str, *, expects_replica: bool) -> None:
    """Serves on this host's own address until it is stopped."""
    handler = type("Handler", (_Handler,), {"checker": RoleChecker(expects_replica=expects_replica)})
    with _CheckServer((address, paths.CHECK_PORT), handler) as server:
        server.serve_forever()
