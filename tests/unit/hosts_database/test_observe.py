"""A peer's status, read as a view."""

from database_role.boot import DataState
from database_role.observe import parse_peer

from .support import UUID


def test_a_peers_status_is_read_as_a_view() -> None:
    seen = parse_peer(
        "db-2",
        {"data": "recipient", "writable": False, "executed": f"{UUID}:1-3", "received": "", "receiver": "OFF", "stopping": True},
    )
    assert (seen.data, seen.executed.count(), seen.receiving, seen.stopping) == (DataState.CLONE_TARGET, 3, False, True)
