"""What HAProxy says on its local socket."""

import csv
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webstack_host import files

SOCKET = Path("/run/haproxy/admin.sock")
NO_ADDRESS = "0.0.0.0"  # noqa: S104 (nothing listens there)
"""Of a place that DNS has not filled yet; "-" once it has been emptied."""
STATE_FILE = Path("/run/haproxy/servers.state")


def query(command: str, path: Path = SOCKET) -> str:
    """One command of HAProxy's runtime API and its answer; raises OSError where HAProxy does not listen."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(3)
        connection.connect(str(path))
        connection.sendall(command.encode() + b"\n")
        parts: list[bytes] = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


def worker() -> str:
    """The process id of the worker that answers now; empty where none does."""
    try:
        lines = query("show info").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Pid:")), "")


def save_server_state() -> None:
    """Writes what is known of the servers to where haproxy.cfg's `server-state-file` points; nothing where HAProxy does not answer.

    Places without an address are left out: the new worker knows nothing of them anyway, and would tell of each that it is down.
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
    """One web host as one backend knows it."""

    name: str
    address: str
    up: bool
    """Whether requests are sent to it."""
    healthy: bool
    """Whether its last check passed; one that DNS has just named gets requests before it was checked at all."""
    check_result: str
    """What became of its last check: `L7STS 400`, `L4CON Connection refused`."""
    code: int | None = None
    """The status of an HTTP answer."""


def servers(statistics: str, backend: str) -> list[Server]:
    """The servers of a backend that have an address, from `show stat`'s CSV.

    An operator of the socket is shown addresses (STAT_SHLGNDS in HAProxy's stats.c); `UP 1/2` is a server that goes down with its next
    failed check, or has not been checked at its address yet.
    """
    rows = csv.DictReader(statistics.removeprefix("# ").splitlines())
    return [
        _server(row)
        for row in rows
        if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND") and not row["status"].startswith("MAINT")
    ]


def _server(row: Mapping[str, str]) -> Server:
    kind = row["check_status"].removeprefix("* ")  # with the mark a check is on its way
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
