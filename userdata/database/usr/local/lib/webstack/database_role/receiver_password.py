"""The password of a replica's receiver, which keeps it only in memory and is restarted when the secret changes."""

import fcntl

from webstack_host import stack_secrets

from . import paths
from .mysql import MySQLClient, quote

PURPOSE = "database-replication"


def statements(password: str) -> tuple[str, ...]:
    """Returns the statements that start the receiver with a password, which is not written to the data directory."""
    return "STOP REPLICA IO_THREAD", f"START REPLICA IO_THREAD USER='replication' PASSWORD={quote(password)}"


def start(server: MySQLClient) -> None:
    """Starts the receiver with the current password and records its version."""
    version, password = stack_secrets.current(PURPOSE)
    server.run(*statements(password))
    paths.RECEIVER_VERSION.write_text(version)


def refresh(server: MySQLClient) -> str:
    """Restarts the receiver if it does not use the current password. Returns the version that it uses, empty before its first start.

    The primary accepts both meanwhile. It holds the lock for role changes, so that the agent does not see a stopped receiver.
    """
    version = current_version()
    if version and version != stack_secrets.labels(PURPOSE).current:
        with paths.ROLE_LOCK.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            start(server)
    return current_version()


def current_version() -> str:
    """Returns the version that the receiver was started with; empty if it was not started since the boot."""
    return paths.RECEIVER_VERSION.read_text() if paths.RECEIVER_VERSION.exists() else ""
