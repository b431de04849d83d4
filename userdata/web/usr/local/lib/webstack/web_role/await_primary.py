"""Waits for the primary database before each attempt at the migration, without a limit, so that its absence is not a failure.

A migration that fails while the primary is available has an error of its own, which a host publishes after some attempts.
"""

import socket
import time

from web_role import database_ca, environment

POLL_INTERVAL = 0.25
"""Seconds between two checks."""
HANDSHAKE_TIMEOUT = 3.0
"""Seconds that the primary's greeting may take."""


def main() -> int:
    """Waits until the primary and a published certificate are available."""
    last_reason = ""
    while reason := missing_reason():
        if reason != last_reason:
            print(reason, flush=True)
            last_reason = reason
        time.sleep(POLL_INTERVAL)
    return 0


def missing_reason() -> str:
    """Returns what is still missing; empty if nothing is."""
    try:
        if not is_primary_reachable():
            return "the primary database is not reachable yet"
        if not database_ca.refresh():
            return "no database host has published its certificate yet"
    except Exception as error:
        return f"the certificates of the database hosts cannot be fetched: {error}"
    return ""


def is_primary_reachable() -> bool:
    """Whether a primary sends its greeting through this host's proxy, which connects only to a host that takes writes.

    In MySQL's protocol the server sends first (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html).
    """
    try:
        with socket.create_connection(("127.0.0.1", environment.WRITE_PORT), timeout=HANDSHAKE_TIMEOUT) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False
