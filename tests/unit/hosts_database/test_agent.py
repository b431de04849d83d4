"""The agent's steps against a server, a bucket and a clock that are not there: what is recorded before what is done."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from database_role import agent, certificates, datadir
from database_role.boot import DataState, PrimaryRecord
from database_role.datadir import DataRecord
from database_role.decision import Action
from database_role.gtid import GtidSet
from database_role.observed_state import LocalView, PeerView, ReplicationMode
from webstack_host import database_certificates

from stack.artifacts import CERTIFICATE_EXPIRATION_DAYS, CERTIFICATE_PREFIX

from .support import DB_1, returning

UUID = "11111111-0000-0000-0000-000000000000"


class World:
    """One primary as its agent meets it: the state of the server and of the bucket, and everything that happened, in order."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.mode: ReplicationMode | None = None
        self.bucket_works = True
        self.peer: PeerView | None = None
        self.leaving = False
        self.server: dict[str, Any] = {
            "server_uuid": UUID,
            "read_only": True,
            "super_read_only": True,
            "executed": GtidSet.parse(f"{UUID}:1-9"),
            "replicas": 0,
        }
        self.now = 0.0

    def look(self, *_: object, **__: object) -> LocalView:
        return LocalView(**self.server)

    def look_at_peer(self, _: object) -> PeerView | None:
        return self.peer

    def is_leaving(self, *_: object) -> bool:
        return self.leaving

    def write_mode(self, mode: ReplicationMode, **_: str) -> None:
        if not self.bucket_works:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "PutObject")
        self.mode = mode
        self.happened.append(mode.value)

    def do(self, action: Action, _: str) -> None:
        self.happened.append(action.value)
        changes: dict[Action, dict[str, Any]] = {
            Action.SET_WRITABLE: {"read_only": False, "super_read_only": False},
            Action.SEMI_SYNC_ON: {"semi_sync": True},
            Action.SEMI_SYNC_OFF: {"semi_sync": False},
        }
        self.server.update(changes[action])

    def connect_replica(self) -> None:
        self.server["replicas"] = 1
        self.peer = PeerView(
            host="db-2", data=DataState.SEEDED, writable=False, executed=self.server["executed"], received=GtidSet.parse(""), receiving=True
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    found = World()
    monkeypatch.setattr(agent, "local_view", found.look)
    monkeypatch.setattr(agent, "peer_view", found.look_at_peer)
    monkeypatch.setattr(agent, "has_announced_stop", found.is_leaving)
    monkeypatch.setattr(agent.records, "read_primary", returning(PrimaryRecord(primary="db-1", data_id="one")))
    monkeypatch.setattr(agent.records, "read_mode", lambda: found.mode)
    monkeypatch.setattr(agent.records, "write_mode", found.write_mode)
    monkeypatch.setattr(agent.ActionExecutor, "execute", found.do)
    monkeypatch.setattr(agent.certificates, "refresh", returning(False))
    monkeypatch.setattr(agent.time, "monotonic", lambda: found.now)
    monkeypatch.setattr(datadir, "read", returning(DataRecord(data=DataState.SEEDED)))
    for name in ("STOPPING", "ROLE_LOCK", "AGENT_STATUS"):
        monkeypatch.setattr(agent.paths, name, tmp_path / name)
    return found


def steps(subject: agent.Agent, count: int = 6) -> None:
    """Some steps; a failing one is tried again, as run() does."""
    for _ in range(count):
        try:
            subject.step()
        except ClientError:
            continue


def test_a_first_start_opens_degraded_and_becomes_lossless_with_its_replica(world: World) -> None:
    subject = agent.Agent(DB_1)
    steps(subject)
    assert world.happened == ["degraded", "open for writes"]
    world.connect_replica()
    steps(subject)
    assert world.happened[2:] == ["semi-sync on", "lossless"]


def test_a_lossless_primary_opens_with_semi_sync_and_degrades_after_its_patience_recorded_first(world: World) -> None:
    world.mode = ReplicationMode.LOSSLESS
    subject = agent.Agent(DB_1)
    steps(subject)
    assert world.happened == ["semi-sync on", "open for writes"]
    world.now = 4.9
    steps(subject)
    assert len(world.happened) == 2
    world.now = 5.1
    steps(subject)
    assert world.happened[2:] == ["degraded", "semi-sync off"]


def test_a_leaving_replica_is_let_go_at_once_recorded_first(world: World) -> None:
    world.mode = ReplicationMode.LOSSLESS
    world.connect_replica()
    subject = agent.Agent(DB_1)
    steps(subject)
    world.leaving = True
    steps(subject)
    assert world.happened == ["semi-sync on", "open for writes", "degraded", "semi-sync off"]


def test_where_degraded_cannot_be_recorded_semi_sync_stays_on(world: World) -> None:
    world.mode = ReplicationMode.LOSSLESS
    subject = agent.Agent(DB_1)
    steps(subject)
    world.bucket_works = False
    world.now = 60
    steps(subject)
    assert world.server["semi_sync"]
    assert world.happened == ["semi-sync on", "open for writes"]
    world.bucket_works = True
    steps(subject)
    assert world.happened[2:] == ["degraded", "semi-sync off"]


def test_a_server_that_crashed_is_opened_again_by_the_same_agent(world: World) -> None:
    world.mode = ReplicationMode.LOSSLESS
    subject = agent.Agent(DB_1)
    steps(subject)
    world.server.update(read_only=True, super_read_only=True, semi_sync=False)
    steps(subject)
    assert world.happened == ["semi-sync on", "open for writes"] * 2


def test_while_mysqld_is_being_stopped_nothing_is_done(world: World) -> None:
    agent.paths.STOPPING.touch()
    steps(agent.Agent(DB_1))
    assert world.happened == []


def test_a_host_that_lives_publishes_its_certificate_every_day_and_a_gone_one_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    days: list[float] = []
    monkeypatch.setattr(agent.certificates, "publish", lambda: days.append(world.now / 86400))
    subject = agent.Agent(DB_1)
    for quarter in range(13):
        world.now = quarter * 86400 / 4
        steps(subject)
    assert days == [1, 2, 3]
    assert max(1, certificates.REPUBLISH_INTERVAL / 86400) * 3 <= CERTIFICATE_EXPIRATION_DAYS, "some days without the bucket do no harm"
    assert database_certificates.PREFIX == CERTIFICATE_PREFIX
