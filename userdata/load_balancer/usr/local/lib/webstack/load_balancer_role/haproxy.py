"""What HAProxy says on its local socket."""

import csv
import socket
from pathlib import Path

SOCKET = Path("/run/haproxy/admin.sock")


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


def server_states(statistics: str, backend: str) -> dict[str, tuple[str, str]]:
    """Server → (status, what its last check said), of the servers of a backend that have an address, from `show stat`'s CSV."""
    rows = csv.DictReader(statistics.removeprefix("# ").splitlines())
    return {
        row["svname"]: (row["status"], f"{row['check_status']} {row['last_chk']}".strip())
        for row in rows
        if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND") and not row["status"].startswith("MAINT")
    }
