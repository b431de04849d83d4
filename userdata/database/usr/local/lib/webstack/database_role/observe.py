"""Reads the agent's views: of the local server, of the primary over TLS, and of the other host's role check over HTTP."""

import json
import urllib.request
from typing import Any

from webstack_host.variables import DatabaseEndpoint

from . import paths
from .boot import DataState
from .gtid import GtidSet
from .mysql import MySQLClient, MySQLError, Row
from .observed_state import LocalView, PeerView, PrimaryView

STOP_LOCK = "webstack.leaving.{host}"
"""The name of the lock that a replica takes on the primary, with the replication account, to announce that it is about to stop."""

_STATE = """SELECT @@server_uuid AS server_uuid, @@global.read_only AS read_only, @@global.super_read_only AS super_read_only,
 @@global.gtid_executed AS executed, @@global.rpl_semi_sync_source_enabled AS semi_sync"""
_STATUS = """SELECT VARIABLE_NAME AS name, VARIABLE_VALUE AS value FROM performance_schema.global_status WHERE VARIABLE_NAME IN
 ('Rpl_semi_sync_source_clients', 'Rpl_semi_sync_source_wait_sessions', 'Rpl_semi_sync_source_yes_tx')"""
_CHANNEL = """SELECT c.HOST AS source, s.SERVICE_STATE AS receiver, s.RECEIVED_TRANSACTION_SET AS received, s.LAST_ERROR_NUMBER AS errno,
 s.LAST_ERROR_MESSAGE AS error, a.SERVICE_STATE AS applier FROM performance_schema.replication_connection_configuration c
 JOIN performance_schema.replication_connection_status s USING (CHANNEL_NAME)
 JOIN performance_schema.replication_applier_status a USING (CHANNEL_NAME) WHERE c.CHANNEL_NAME = ''"""
_APPLIER_ERROR = """SELECT LAST_ERROR_MESSAGE AS error
 FROM performance_schema.replication_applier_status_by_worker WHERE LAST_ERROR_NUMBER <> 0
 UNION SELECT LAST_ERROR_MESSAGE FROM performance_schema.replication_applier_status_by_coordinator WHERE LAST_ERROR_NUMBER <> 0"""
_CLONE = "SELECT STATE AS state, ERROR_MESSAGE AS error, CAST(BEGIN_TIME AS CHAR) AS began FROM performance_schema.clone_status"


def local_view(server: MySQLClient, *, cloned_before: str = "") -> LocalView | None:
    """Returns the local server's view, or None if it does not answer. A clone that began at `cloned_before` is ignored as an old one."""
    try:
        state = server.row(_STATE)
        status = {str(row["name"]).lower(): int(row["value"]) for row in server.rows(_STATUS)}
        channel = server.row(_CHANNEL)
        error = server.row(_APPLIER_ERROR) if channel else {}
        clone = server.row(_CLONE)
    except MySQLError:
        return None
    if clone and clone["began"] == cloned_before:
        clone = Row()
    return LocalView(
        server_uuid=state["server_uuid"],
        read_only=bool(state["read_only"]),
        super_read_only=bool(state["super_read_only"]),
        executed=GtidSet.parse(state["executed"]),
        semi_sync=bool(state["semi_sync"]),
        replicas=status.get("rpl_semi_sync_source_clients", 0),
        waiting=status.get("rpl_semi_sync_source_wait_sessions", 0),
        acknowledged=status.get("rpl_semi_sync_source_yes_tx", 0),
        source_address=channel.get("source", ""),
        received=GtidSet.parse(channel.get("received", "")),
        receiver=channel.get("receiver", "OFF"),
        receiver_error=channel.get("error", ""),
        receiver_errno=int(channel.get("errno", 0)),
        applier=channel.get("applier", "OFF"),
        applier_error=error.get("error", ""),
        clone_state=clone.get("state", ""),
        clone_error=clone.get("error") or "",
    )


def last_clone(server: MySQLClient) -> str:
    """Returns when the last clone onto this server began; empty if there was none."""
    return server.row(_CLONE).get("began", "")


def has_announced_stop(server: MySQLClient, host: str) -> bool:
    """Whether a session of the replication account, and no other, holds the lock by which `host` announces its stop."""
    found = server.row(
        "SELECT COUNT(*) AS held FROM performance_schema.threads"
        " WHERE PROCESSLIST_ID = IS_USED_LOCK(%s) AND PROCESSLIST_USER = 'replication'",
        [STOP_LOCK.format(host=host)],
    )
    return bool(found.get("held"))


def primary_view(server: MySQLClient) -> PrimaryView | None:
    """Returns the primary's view over TLS, or None if it does not answer."""
    try:
        found = server.row("SELECT @@server_uuid AS server_uuid, @@global.gtid_executed AS executed")
    except (MySQLError, OSError):
        return None
    return PrimaryView(server_uuid=found["server_uuid"], executed=GtidSet.parse(found["executed"]))


def peer_view(peer: DatabaseEndpoint, *, timeout: float = 1.0) -> PeerView | None:
    """Returns the other host's view from its role check, or None if it does not give a valid answer."""
    try:
        with urllib.request.urlopen(f"http://{peer.address}:{paths.CHECK_PORT}/status", timeout=timeout) as answer:
            return parse_peer(peer.host, json.loads(answer.read()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parse_peer(host: str, status: dict[str, Any]) -> PeerView:
    """Converts a host's /status to a view. Raises KeyError or ValueError if it is invalid."""
    return PeerView(
        host=host,
        data=DataState(status["data"]),
        writable=bool(status["writable"]),
        executed=GtidSet.parse(status["executed"]),
        received=GtidSet.parse(status["received"]),
        receiving=status["receiver"] == "ON",
        stopping=bool(status["stopping"]),
    )
