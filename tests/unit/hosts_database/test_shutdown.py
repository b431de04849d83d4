"""An orderly stop of mysqld: a primary acknowledges nothing that only it has, and a replica tells that it leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from botocore.exceptions import ClientError
from database_role import shutdown
from database_role.mysql import MySQLError
from database_role.observed_state import LocalView, ReplicationMode
from database_role.variables import DatabaseVariables

from .support import DB_1, DB_2, returning, server

T = TypeVar("T")

WAITING = server(waiting=2)
FENCED = server(read_only=True, super_read_only=True)
LEAVING = server(read_only=True, super_read_only=True, receiver="ON", source_address="10.20.4.11")


class Server:
    """One mysqld in its stop: what it says in turn (an exception is raised), whom it serves, and what was done to it."""

    def __init__(
        self, views: Sequence[LocalView | Exception], sessions: Sequence[int] = (), semi_sync: Sequence[int | Exception] = (0,)
    ) -> None:
        self.views, self.sessions, self.semi_sync = list(views), list(sessions), list(semi_sync)
        self.ran: list[str] = []
        self.asked: list[str] = []

    def look(self, _: object) -> LocalView:
        return _next(self.views)

    def run(self, *statements: str) -> None:
        self.ran += statements

    def rows(self, _: str) -> list[dict[str, int]]:
        return [{"id": number} for number in self.sessions]

    def row(self, statement: str, _: object = None) -> dict[str, int]:
        self.asked.append(statement)
        return {"held": 1} if "GET_LOCK" in statement else {"semi_sync": _next(self.semi_sync)}

    def close(self) -> None:
        """Ends the connection, and with it the lock."""
        self.asked.append("closed")

    @property
    def ended(self) -> list[str]:
        """The statements that ended somebody's session."""
        return [statement for statement in self.ran if statement.startswith("KILL")]


def _next(values: list[T | Exception]) -> T:
    value = values.pop(0) if len(values) > 1 else values[0]
    if isinstance(value, Exception):
        raise value
    return value


@dataclass(frozen=True)
class Outcome:
    """What a stop recorded, and which processes it killed."""

    modes: list[ReplicationMode]
    killed: list[int]


Stop = Callable[..., Outcome]


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stop:
    """Stops a host's mysqld on a clock of the test's own. `recorded`: whether "degraded" can be recorded."""

    def stopped(fake: Server, variables: DatabaseVariables = DB_1, *, recorded: bool = True) -> Outcome:
        outcome = Outcome([], [])

        def record(mode: ReplicationMode, **_: str) -> None:
            if not recorded:
                raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "PutObject")
            outcome.modes.append(mode)

        def kill(pid: int, _: int) -> None:
            outcome.killed.append(pid)

        ticks = iter(range(1_000_000))
        monkeypatch.setattr(shutdown.paths, "STOPPING", tmp_path / "stopping")
        monkeypatch.setattr(shutdown.paths, "ROLE_LOCK", tmp_path / "lock")
        monkeypatch.setattr(shutdown, "MySQLClient", returning(fake))
        monkeypatch.setattr(shutdown, "local_view", fake.look)
        monkeypatch.setattr(shutdown.aws, "secret", returning("a password"))
        monkeypatch.setattr(shutdown.records, "write_mode", record)
        monkeypatch.setattr(shutdown.os, "kill", kill)
        monkeypatch.setattr(shutdown.time, "monotonic", lambda: next(ticks) / 2)
        monkeypatch.setattr(shutdown.time, "sleep", returning(None))
        shutdown.stop(variables, 4711)
        assert (tmp_path / "stopping").exists()
        return outcome

    return stopped


def test_a_primary_is_fenced_and_stops_with_nothing_recorded(stop: Stop) -> None:
    primary = Server([server(), WAITING, FENCED])
    assert stop(primary) == Outcome([], [])
    assert primary.ran == ["SET GLOBAL super_read_only = ON"]


def test_degraded_is_recorded_before_waiting_commits_are_let_go(stop: Stop) -> None:
    primary = Server([WAITING] * 14 + [FENCED])
    assert stop(primary) == Outcome([ReplicationMode.DEGRADED], [])
    assert primary.ran[-1] == "SET GLOBAL rpl_semi_sync_source_enabled = OFF"


def test_where_degraded_cannot_be_recorded_nothing_is_acknowledged(stop: Stop) -> None:
    primary = Server([WAITING])
    assert stop(primary, recorded=False) == Outcome([], [4711])
    assert "SET GLOBAL rpl_semi_sync_source_enabled = OFF" not in primary.ran


def test_a_primary_whose_fencing_breaks_off_is_killed_rather_than_stopped(stop: Stop) -> None:
    assert stop(Server([server(), MySQLError("gone for a moment"), server()])).killed == [4711]


def test_statements_that_hold_up_the_fence_are_ended(stop: Stop) -> None:
    busy = Server([server()] * 14 + [FENCED], sessions=[11, 12])
    assert stop(busy).killed == []
    assert busy.ended == ["KILL 11", "KILL 12"]


def test_sessions_are_left_alone_while_commits_wait_for_the_replica(stop: Stop) -> None:
    waiting = Server([WAITING] * 14 + [FENCED], sessions=[11])
    assert stop(waiting).killed == []
    assert waiting.ended == []


def test_a_replica_tells_the_primary_that_it_leaves_and_waits_until_nobody_waits_for_it(stop: Stop) -> None:
    leaving = Server([LEAVING], semi_sync=[1, 1, 0])
    assert stop(leaving, DB_2) == Outcome([], [])
    assert leaving.asked[0].startswith("SELECT GET_LOCK(")
    assert len([statement for statement in leaving.asked if "rpl_semi_sync_source_enabled" in statement]) == 3
    assert leaving.asked[-1] == "closed", "the lock is held until the receiver has stopped"
    assert leaving.ran == ["STOP REPLICA IO_THREAD"]


def test_a_replica_whose_primary_is_gone_stops_all_the_same(stop: Stop) -> None:
    leaving = Server([LEAVING], semi_sync=[MySQLError("lost connection")])
    assert stop(leaving, DB_2) == Outcome([], [])
    assert leaving.ran == ["STOP REPLICA IO_THREAD"]
