"""`webstack-database reseed`: what it refuses, what it marks, and that it ends when the host replicates."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from database_role import datadir, reseed
from database_role.boot import DataState, PrimaryRecord
from database_role.cli import main as command
from database_role.datadir import DataRecord
from database_role.gtid import GtidSet
from database_role.observed_state import LocalView, PeerView
from database_role.variables import DatabaseVariables

from .support import CLAIM, DB_1, DB_2, UUID, returning, server

OWN = "22222222-0000-0000-0000-000000000000"
OTHER = "33333333-0000-0000-0000-000000000000"
LOCAL = server(
    server_uuid=OWN, read_only=True, super_read_only=True, receiver="ON", source_address="10.20.4.11", executed=GtidSet.parse(f"{UUID}:1-9")
)
PRIMARY = PeerView(
    host="db-1",
    data=DataState.SEEDED,
    writable=True,
    executed=GtidSet.parse(f"{UUID}:1-9"),
    received=GtidSet.parse(""),
    receiving=False,
)


def returning_now(value: Callable[[], object]) -> Callable[..., Any]:
    """A function that takes anything and gives what `value` gives then."""
    return lambda *_, **__: value()


class World:
    """A replica, its primary as it answers in turn, and what was done."""

    def __init__(self) -> None:
        self.claim: PrimaryRecord | Exception | None = CLAIM
        self.peer: list[PeerView | None] = [PRIMARY]
        self.local: LocalView | None = LOCAL
        self.record = DataRecord(data=DataState.SEEDED)
        self.root = True
        self.did: list[str] = []
        self.now = 0.0

    def begin(self, variables: DatabaseVariables = DB_2, *, discard: bool = False) -> str:
        return reseed.begin(variables, discard=discard)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = World()

    def claim() -> PrimaryRecord | None:
        if isinstance(made.claim, Exception):
            raise made.claim
        return made.claim

    def peer(*_: object, **__: object) -> PeerView | None:
        return made.peer.pop(0) if len(made.peer) > 1 else made.peer[0]

    class Hands:
        def __init__(self, **_: object) -> None: ...

        def execute(self, action: Any, reason: str) -> None:
            made.did.append(f"{action.value}: {reason}")

    def sleep(seconds: float) -> None:
        made.now += seconds

    monkeypatch.setattr(reseed.os, "geteuid", lambda: 0 if made.root else 1000)
    monkeypatch.setattr(reseed.records, "read_primary", claim)
    monkeypatch.setattr(reseed, "peer_view", peer)
    monkeypatch.setattr(reseed, "local_view", returning_now(lambda: made.local))
    monkeypatch.setattr(reseed, "MySQLClient", returning(object()))
    monkeypatch.setattr(reseed, "ActionExecutor", Hands)
    monkeypatch.setattr(datadir, "read", lambda: made.record)
    monkeypatch.setattr(reseed.shutdown, "announce_stop", returning_now(lambda: made.did.append("left")))
    monkeypatch.setattr(reseed.paths, "ROLE_LOCK", tmp_path / "lock")
    monkeypatch.setattr(reseed.paths, "AGENT_STATUS", tmp_path / "agent.json")
    monkeypatch.setattr(reseed.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(reseed.time, "sleep", sleep)
    return made


MARKED = "become recipient: asked for by `webstack-database reseed`"


def test_a_replica_leaves_its_primary_in_order_and_is_then_marked_to_be_copied_anew(world: World) -> None:
    assert world.begin() == "db-1"
    assert world.did == ["left", MARKED]


def test_a_replica_that_receives_nothing_has_nobody_to_leave(world: World) -> None:
    world.local = replace(LOCAL, receiver="OFF")
    world.begin()
    assert world.did == [MARKED]


@pytest.mark.parametrize(
    ("variables", "change", "reason"),
    [
        (DB_1, {}, "it is the primary, and its data is the stack's. A replica is copied anew on the replica: db-2"),
        (DB_2, {"root": False}, "this takes root"),
        (DB_2, {"claim": None}, "nobody has begun this stack's database yet"),
        (DB_2, {"claim": OSError("SlowDown")}, "does not say who is primary: SlowDown"),
        (DB_2, {"peer": [None]}, "the primary db-1 does not answer: there is nothing to copy"),
        (DB_2, {"peer": [replace(PRIMARY, writable=False)]}, "the primary db-1 does not take writes"),
        (DB_2, {"peer": [replace(PRIMARY, stopping=True)]}, "the primary db-1 does not take writes"),
        (DB_2, {"peer": [replace(PRIMARY, data=DataState.CLONE_TARGET)]}, "the primary db-1 does not take writes"),
        (DB_2, {"local": None}, "its own mysqld does not answer"),
        (DB_2, {"record": DataRecord(data=DataState.INITIALISED)}, "it holds no data of the stack yet"),
        (
            DB_2,
            {"local": replace(LOCAL, received=GtidSet.parse(f"{UUID}:10"))},
            f"it holds transactions that db-1 does not and that were not made here: {UUID}:10",
        ),
        (
            DB_2,
            {"local": replace(LOCAL, executed=GtidSet.parse(f"{OTHER}:1"))},
            f"it holds transactions that db-1 does not and that were not made here: {OTHER}:1",
        ),
    ],
)
def test_what_would_lose_data_or_copy_nothing_is_refused_in_words_and_nothing_is_touched(
    world: World, capsys: pytest.CaptureFixture[str], variables: DatabaseVariables, change: dict[str, Any], reason: str
) -> None:
    for name, value in change.items():
        setattr(world, name, value)
    assert reseed.main(variables, discard=False) == 1
    assert world.did == []
    said = capsys.readouterr().err
    assert said.startswith(f"{variables.host} is not copied anew: ")
    assert reason in said


def test_what_the_primary_is_about_to_execute_is_waited_for_and_what_was_made_here_alone_is_given_up(world: World) -> None:
    world.local = replace(LOCAL, received=GtidSet.parse(f"{UUID}:10"), executed=GtidSet.parse(f"{UUID}:1-9,{OWN}:1"))
    world.peer = [PRIMARY, PRIMARY, None, replace(PRIMARY, executed=GtidSet.parse(f"{UUID}:1-10"))]
    world.begin()
    assert world.did == ["left", MARKED]


def test_what_only_this_host_holds_is_discarded_where_that_is_asked_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.local = replace(LOCAL, executed=GtidSet.parse(f"{OTHER}:1"))
    world.begin(discard=True)
    assert f"given up: {OTHER}:1" in capsys.readouterr().out
    assert world.did == ["left", MARKED]


def test_a_copy_that_is_under_way_is_followed_and_not_begun_again(world: World) -> None:
    world.record = DataRecord(data=DataState.CLONE_TARGET)
    assert world.begin() == "db-1"
    assert world.did == []


def says(action: str, reason: str, time: str = "9") -> None:
    reseed.paths.AGENT_STATUS.write_text(json.dumps({"action": action, "reason": reason, "time": time}))


def test_what_the_agent_does_is_shown_until_the_host_replicates(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[tuple[str, str, str]] = [
        ("refuse", "the applier stopped: of before", "1"),
        ("clone", "from db-1", "6"),
        ("clone", "from db-1", "6"),
        ("start applier", "what was received must be applied", "7"),
    ]

    def replicates(_: DatabaseVariables) -> bool:
        if not steps:
            return True
        says(*steps.pop(0))
        return False

    world.record = DataRecord(data=DataState.CLONE_TARGET)
    monkeypatch.setattr(reseed, "_replicates", replicates)
    monkeypatch.setattr(reseed, "_clone_progress", lambda: "")
    assert reseed.watch_progress(DB_2, "db-1", since="5") == 0
    assert capsys.readouterr().out.splitlines() == [
        "the agent has not spoken yet",
        "clone: from db-1",
        "start applier: what was received must be applied",
        "db-2 replicates from db-1",
    ]


def test_a_copy_that_the_agent_refuses_ends_with_its_reason(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.record = DataRecord(data=DataState.CLONE_TARGET)
    monkeypatch.setattr(reseed, "_replicates", returning(False))
    says("refuse", "db-1 takes no writes")
    with pytest.raises(reseed.ReseedRefusedError, match="db-1 takes no writes"):
        reseed.watch_progress(DB_2, "db-1", since="5")


@pytest.mark.parametrize("arguments", [["reseed", "now"], ["reseed", "--discard", "x"], ["reseeding"], []])
def test_words_that_the_command_does_not_know_do_nothing(world: World, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert command(arguments) == 2
    assert "webstack-database reseed [--discard]" in capsys.readouterr().err
    assert world.did == []
