"""The password by which a replica's receiver logs in: it holds it in memory, and is started again where the secret has another one."""

import fcntl

from webstack_host import secrets

from . import paths
from .mysql import Server, quoted

PURPOSE = "database-replication"


def statements(password: str) -> tuple[str, ...]:
    """What starts the receiver with a password. It stays in memory: nothing of it is written to the data directory."""
    return "STOP REPLICA IO_THREAD", f"START REPLICA IO_THREAD USER='replication' PASSWORD={quoted(password)}"


def start(server: Server) -> None:
    """Starts the receiver with the current password and notes which one that is."""
    version, password = secrets.current(PURPOSE)
    server.run(*statements(password))
    paths.RECEIVER_SECRET.write_text(version)


def renew(server: Server) -> str:
    """Starts the receiver anew where it holds another password than the current one; the version that it holds, empty before its start.

    The primary accepts both meanwhile. Under the lock of roles, so that the agent does not see a receiver that is off.
    """
    version = used()
    if version and version != secrets.labels(PURPOSE).current:
        with paths.ROLE_LOCK.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            start(server)
    return used()


def used() -> str:
    """The version that the receiver was started with; empty where none was started since the boot."""
    return paths.RECEIVER_SECRET.read_text() if paths.RECEIVER_SECRET.exists() else ""
