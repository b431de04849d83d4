"""What keeps a database's data: guards that are used once in a blue moon, each seen to act."""

from pathlib import Path
from typing import Any

import pytest
from database_role import datadir
from database_role.boot import DataState
from database_role.datadir import DataRecord
from database_role.decision import Action, decide
from database_role.observed_state import LocalView, ReplicationMode
from database_role.role_check import RoleReading, replica_response

from .support import returning
from .test_decision import follower, gtids, leader, peer, primary_server, replica_server
from .test_role_check import REPLICA


def test_a_new_database_is_never_made_over_the_stacks_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "ibdata1").write_text("the stack's data")
    monkeypatch.setattr(datadir.paths, "DATA_DIRECTORY", data)
    monkeypatch.setattr(datadir.paths, "DATA_RECORD", tmp_path / "data.json")
    monkeypatch.setattr(datadir, "read", returning(DataRecord(data=DataState.SEEDED)))
    monkeypatch.setattr(datadir, "run", returning(None))
    with pytest.raises(RuntimeError, match="refusing to make a new database over the stack's data"):
        datadir.initialise(DataState.INITIALISED, "a mistake")
    assert (data / "ibdata1").read_text() == "the stack's data"


@pytest.mark.parametrize(
    ("receiver", "applier", "status"), [("ON", "ON", 200), ("ON", "OFF", 503), ("OFF", "ON", 503), ("CONNECTING", "ON", 503)]
)
def test_reads_go_to_no_replica_that_has_stopped_to_receive_or_to_apply(receiver: str, applier: str, status: int) -> None:
    local = LocalView(
        server_uuid=REPLICA.server_uuid, read_only=True, super_read_only=True, executed=REPLICA.executed, receiver=receiver, applier=applier
    )
    assert replica_response(RoleReading(local=local, lag=0.0), 5.0)[0] == status


def test_semi_sync_is_not_turned_on_before_mysql_counts_a_replica() -> None:
    seen = leader(primary_server(semi_sync=False, replicas=0), mode=ReplicationMode.DEGRADED)
    assert decide(seen).reason == "primary, degraded: the replica is not connected"


def test_a_relay_log_is_fetched_again_only_where_nothing_is_being_received() -> None:
    broken: dict[str, Any] = {"applier": "OFF", "applier_error": "Relay log read failure"}
    assert decide(follower(replica_server(receiver="OFF", **broken))).action is Action.RESET_RELAY_LOG
    assert decide(follower(replica_server(receiver="ON", **broken))).action is Action.BLOCKED
    assert decide(follower(replica_server(receiver="OFF", received=gtids("1:90-103"), **broken))).action is Action.BLOCKED
    assert peer("db-2").receiving
