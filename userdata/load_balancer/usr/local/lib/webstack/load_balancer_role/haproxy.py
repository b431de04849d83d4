"""Queries HAProxy on its local socket."""

import csv
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webstack_host import files

SOCKET = Path("/run/haproxy/admin.sock")
NO_ADDRESS = "0.0.0.0"  # noqa: S104 (nothing listens there)
"""The address of a server slot that DNS has not filled yet; "-" once it has been emptied."""
STATE_FILE = Path("/run/haproxy/servers.state")


def query(command: str, path: Path = SOCKET) -> str:
    """Runs a command of HAProxy's runtime API and returns its output. Raises OSError if HAProxy does not listen."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(3)
        connection.connect(str(path))
        connection.sendall(command.encode() + b"\n")
        parts: list[bytes] = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


def worker() -> str:
    """Returns the process id of the current worker; empty if none answers."""
    try:
        lines = query("show info").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Pid:")), "")


def save_server_state() -> None:
    """Writes the servers' state to haproxy.cfg's `server-state-file`. Writes nothing if HAProxy does not answer.

    Slots without an address are omitted: the new worker has no state for them anyway and would log each as down.
    """
    try:
        known = query("show servers state")
    except OSError as error:
        print(f"the servers' states are not kept: {error}", file=sys.stderr)
        return
    lines = [line for line in known.splitlines() if line.split()[4:5] not in (["-"], [NO_ADDRESS])]
    files.write(STATE_FILE, "\n".join(lines) + "\n")


@dataclass(frozen=True, kw_only=True)
class Server:
    """One web host in one backend."""

    name: str
    address: str
    up: bool
    """Whether it receives requests."""
    healthy: bool
    """Whether its last check passed. A server that DNS has just added receives requests before its first check."""
    check_result: str
    """The result of its last check: `L7STS 400`, `L4CON Connection refused`."""
    code: int | None = None
    """The HTTP status of the check's response, if any."""


def servers(statistics: str, backend: str) -> list[Server]:
    """Returns the servers of a backend that have an address, from `show stat`'s CSV.

    The socket's `operator` level shows addresses (STAT_SHLGNDS in HAProxy's stats.c). `UP 1/2` is a server that goes down at its next
    failed check, or has not been checked at its address yet.
    """
    rows = csv.DictReader(statistics.removeprefix("# ").splitlines())
    return [
        _server(row)
        for row in rows
        if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND") and not row["status"].startswith("MAINT")
    ]


def _server(row: Mapping[str, str]) -> Server:
    kind = row["check_status"].removeprefix("* ")  # the mark means that a check is in progress
    code = row["check_code"] if kind.startswith("L7") else ""
    sound = row["status"] == "UP" and kind.startswith("L7OK")
    said = f"{kind} {code or row['last_chk']}".strip()
    if kind in ("", "INI", "UNK"):
        said = "not checked yet"
    elif kind.startswith("L7OK") and not sound:
        said = "checks have not passed often enough yet"
    return Server(
        name=row["svname"],
        address=row["addr"].rpartition(":")[0] or row["addr"],
        up=row["status"].startswith("UP"),
        healthy=sound,
        check_result=said,
        code=int(code) if code.isdecimal() else None,
    )
