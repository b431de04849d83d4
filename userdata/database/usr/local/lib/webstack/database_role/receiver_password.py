"""The password by which a replica's receiver logs in: it holds it in memory, and is started again where the secret has another one."""

import fcntl

from webstack_host import stack_secrets

from . import paths
from .mysql import MySQLClient, quote

PURPOSE = "database-replication"


def statements(password: str) -> tuple[str, ...]:
    """What starts the receiver with a password. It stays in memory: nothing of it is written to the data directory."""
    return "STOP REPLICA IO_THREAD", f"START REPLICA IO_THREAD USER='replication' PASSWORD={quote(password)}"


def start(server: MySQLClient) -> None:
    """Starts the receiver with the current password and notes which one that is."""
    version, password = stack_secrets.current(PURPOSE)
    server.run(*statements(password))
    paths.RECEIVER_VERSION.write_text(version)


def refresh(server: MySQLClient) -> str:
    """Starts the receiver anew where it holds another password than the current one; the version that it holds, empty before its start.

    The primary accepts both meanwhile. Under the lock of roles, so that the agent does not see a receiver that is off.
    """
    version = current_version()
    if version and version != stack_secrets.labels(PURPOSE).current:
        with paths.ROLE_LOCK.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            start(server)
    return current_version()


def current_version() -> str:
    """The version that the receiver was started with; empty where none was started since the boot."""
    return paths.RECEIVER_VERSION.read_text() if paths.RECEIVER_VERSION.exists() else ""
