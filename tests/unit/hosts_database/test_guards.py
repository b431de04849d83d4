"""What keeps a database's data: guards that are used once in a blue moon, each seen to act."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from database_role import datadir, stopping
from database_role.boot import Data
from database_role.datadir import DataRecord
from database_role.decision import Action, decide
from database_role.mysql import MySQLError
from database_role.role_check import Reading, replica_answer
from database_role.views import LocalView, Mode

from .test_decision import follower, gtids, leader, peer, primary_server, replica_server
from .test_parts import DB_1, DB_2, FENCED, WAITING, returning, server
from .test_role_check import REPLICA


def test_a_new_database_is_never_made_over_the_stacks_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "ibdata1").write_text("the stack's data")
    monkeypatch.setattr(datadir.paths, "DATA", data)
    monkeypatch.setattr(datadir.paths, "DATA_RECORD", tmp_path / "data.json")
    monkeypatch.setattr(datadir, "read", returning(DataRecord(data=Data.SEEDED)))
    monkeypatch.setattr(datadir, "run", returning(None))
    with pytest.raises(RuntimeError, match="refusing to make a new database over the stack's data"):
        datadir.initialise(Data.INITIALISED, "a mistake")
    assert (data / "ibdata1").read_text() == "the stack's data"


@pytest.mark.parametrize(
    ("receiver", "applier", "status"), [("ON", "ON", 200), ("ON", "OFF", 503), ("OFF", "ON", 503), ("CONNECTING", "ON", 503)]
)
def test_reads_go_to_no_replica_that_has_stopped_to_receive_or_to_apply(receiver: str, applier: str, status: int) -> None:
    local = LocalView(
        server_uuid=REPLICA.server_uuid, read_only=True, super_read_only=True, executed=REPLICA.executed, receiver=receiver, applier=applier
    )
    assert replica_answer(Reading(local=local, lag=0.0), 5.0)[0] == status


def test_semi_sync_is_not_turned_on_before_mysql_counts_a_replica() -> None:
    seen = leader(primary_server(semi_sync=False, replicas=0), mode=Mode.DEGRADED)
    assert decide(seen).reason == "primary, degraded: the replica is not connected"


def test_a_relay_log_is_fetched_again_only_where_nothing_is_being_received() -> None:
    broken: dict[str, Any] = {"applier": "OFF", "applier_error": "Relay log read failure"}
    assert decide(follower(replica_server(receiver="OFF", **broken))).action is Action.REFETCH
    assert decide(follower(replica_server(receiver="ON", **broken))).action is Action.REFUSE
    assert decide(follower(replica_server(receiver="OFF", received=gtids("1:90-103"), **broken))).action is Action.REFUSE
    assert peer("db-2").receiving


class Server:
    """One mysqld in its stop: what it says in turn (an exception is raised), whom it serves, and what was done to it."""

    def __init__(
        self, views: Sequence[LocalView | Exception], sessions: list[int] | None = None, semi_sync: list[int] | None = None
    ) -> None:
        self.views, self.sessions, self.semi_sync = list(views), sessions or [], semi_sync or [0]
        self.ran: list[str] = []
        self.asked: list[str] = []

    def look(self, _: object) -> LocalView:
        seen = self.views.pop(0) if len(self.views) > 1 else self.views[0]
        if isinstance(seen, Exception):
            raise seen
        return seen

    def run(self, *statements: str) -> None:
        self.ran += statements

    def rows(self, _: str) -> list[dict[str, int]]:
        return [{"id": number} for number in self.sessions]

    def row(self, statement: str, _: object = None) -> dict[str, int]:
        self.asked.append(statement)
        if "GET_LOCK" in statement:
            return {"held": 1}
        return {"semi_sync": self.semi_sync.pop(0) if len(self.semi_sync) > 1 else self.semi_sync[0]}

    def close(self) -> None:
        """Ends the connection, and with it the lock."""
        self.asked.append("closed")


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[int]]:
    """Stops a host's mysqld; the processes that were killed."""
    killed: list[int] = []

    def kill(pid: int, _: int) -> None:
        killed.append(pid)

    def stopped(fake: Server, settings: object = DB_1) -> list[int]:
        ticks = iter(range(1_000_000))
        monkeypatch.setattr(stopping.paths, "STOPPING", tmp_path / "stopping")
        monkeypatch.setattr(stopping.paths, "ROLE_LOCK", tmp_path / "lock")
        monkeypatch.setattr(stopping, "Server", returning(fake))
        monkeypatch.setattr(stopping, "local_view", fake.look)
        monkeypatch.setattr(stopping.aws, "secret", returning("a password"))
        monkeypatch.setattr(stopping.records, "write_mode", returning(None))
        monkeypatch.setattr(stopping.os, "kill", kill)
        monkeypatch.setattr(stopping.time, "monotonic", lambda: next(ticks) / 2)
        monkeypatch.setattr(stopping.time, "sleep", returning(None))
        stopping.stop(settings, 4711)  # pyright: ignore[reportArgumentType]
        return killed

    return stopped


def test_a_primary_whose_fencing_breaks_off_is_killed_rather_than_stopped(stop: Callable[..., list[int]]) -> None:
    assert stop(Server([server(), MySQLError("gone for a moment"), server()])) == [4711]


def test_statements_that_hold_up_the_fence_are_ended(stop: Callable[..., list[int]]) -> None:
    busy = Server([server()] * 14 + [FENCED], sessions=[11, 12])
    assert stop(busy) == []
    assert [statement for statement in busy.ran if statement.startswith("KILL")] == ["KILL 11", "KILL 12"]


def test_sessions_are_left_alone_while_commits_wait_for_the_replica(stop: Callable[..., list[int]]) -> None:
    waiting = Server([WAITING] * 14 + [FENCED], sessions=[11])
    assert stop(waiting) == []
    assert [statement for statement in waiting.ran if statement.startswith("KILL")] == []


def test_a_replica_tells_the_primary_that_it_leaves_and_waits_until_nobody_waits_for_it(stop: Callable[..., list[int]]) -> None:
    replica = server(read_only=True, super_read_only=True, receiver="ON", source_address="10.20.4.11")
    leaving = Server([replica], semi_sync=[1, 1, 0])
    assert stop(leaving, DB_2) == []
    assert leaving.asked[0].startswith("SELECT GET_LOCK(")
    assert len([statement for statement in leaving.asked if "rpl_semi_sync_source_enabled" in statement]) == 3
    assert leaving.asked[-1] == "closed", "the lock is held until the receiver has stopped"
    assert leaving.ran == ["STOP REPLICA IO_THREAD"]
