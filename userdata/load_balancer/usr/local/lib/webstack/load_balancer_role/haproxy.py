"""What HAProxy says on its local socket."""

import csv
import socket
import sys
from pathlib import Path

from webstack_host import files

SOCKET = Path("/run/haproxy/admin.sock")
NO_ADDRESS = "0.0.0.0"  # noqa: S104 (nothing listens there)
"""Of a place that DNS has not filled yet; "-" once it has been emptied."""
STATES = Path("/run/haproxy/servers.state")


def ask(command: str, path: Path = SOCKET) -> str:
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
        lines = ask("show info").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Pid:")), "")


def keep_servers() -> None:
    """Writes what is known of the servers to where haproxy.cfg's `server-state-file` points; nothing where HAProxy does not answer.

    Places without an address are left out: the new worker knows nothing of them anyway, and would tell of each that it is down.
    """
    try:
        known = ask("show servers state")
    except OSError as error:
        print(f"the servers' states are not kept: {error}", file=sys.stderr)
        return
    lines = [line for line in known.splitlines() if line.split()[4:5] not in (["-"], [NO_ADDRESS])]
    files.write(STATES, "\n".join(lines) + "\n")


def server_states(statistics: str, backend: str) -> dict[str, tuple[str, str]]:
    """Server → (status, what its last check said), of the servers of a backend that have an address, from `show stat`'s CSV."""
    rows = csv.DictReader(statistics.removeprefix("# ").splitlines())
    return {
        row["svname"]: (row["status"], f"{row['check_status']} {row['last_chk']}".strip())
        for row in rows
        if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND") and not row["status"].startswith("MAINT")
    }
