"""Whether a database host serves, and what it says of it where it does not."""

from dataclasses import replace
from typing import Any

import pytest
from database_role import health, records
from database_role.health import Health, judge
from database_role.settings import Endpoint, Settings
from database_role.views import Mode
from webstack_host.config import HostConfig
from webstack_host.remembered import Remembered

from .test_parts import CLAIM, DB_1, DB_2, VARIABLES

STATUS: dict[str, Any] = {"primary": False, "replica": False, "semi_sync": True}
AGENT = {"action": "rest", "reason": "primary, lossless", "mode": "lossless"}


@pytest.mark.parametrize(
    ("settings", "found", "ok", "reason", "facts"),
    [
        (
            DB_2,
            Health(claim=None, status=STATUS, agent={}, accounts=False),
            False,
            "waiting for the first database host",
            {"waiting_for": "primary"},
        ),
        (DB_1, Health(claim=None, status=None, agent={}, accounts=False), False, "waiting for the first database host", {}),
        (DB_1, Health(claim=CLAIM, status=None, agent={}, accounts=False), False, "the role check does not answer", {"role": "primary"}),
        (DB_1, Health(claim=CLAIM, status=STATUS, agent=AGENT, accounts=True), False, "not open for writes", None),
        (DB_1, Health(claim=CLAIM, status={**STATUS, "primary": True}, agent=AGENT, accounts=False), False, "making accounts", None),
        (
            DB_1,
            Health(claim=CLAIM, status={**STATUS, "primary": True}, agent=AGENT, accounts=True),
            True,
            "primary, lossless",
            {"role": "primary", "replication": "lossless"},
        ),
        (DB_2, Health(claim=CLAIM, status=STATUS, agent=AGENT, accounts=False), False, "not replicating yet", {"role": "replica"}),
        (
            DB_2,
            Health(claim=CLAIM, status={**STATUS, "replica": True}, agent=AGENT, accounts=False, primary_status={"semi_sync": False}),
            False,
            "db-1 does not wait for this replica",
            None,
        ),
        (
            DB_2,
            Health(
                claim=CLAIM,
                status={**STATUS, "replica": True},
                agent=AGENT,
                accounts=False,
                primary_status={"semi_sync": True},
                mode=Mode.LOSSLESS,
            ),
            True,
            "replica of db-1",
            {"role": "replica"},
        ),
        (
            DB_2,
            Health(
                claim=CLAIM,
                status={**STATUS, "replica": True},
                agent=AGENT,
                accounts=False,
                primary_status={"semi_sync": False, "expects_replica": False},
                mode=Mode.DEGRADED,
            ),
            True,
            "replica of db-1, which is not configured with one yet",
            {"role": "replica"},
        ),
    ],
)
def test_readiness(settings: Settings, found: Health, ok: bool, reason: str, facts: dict[str, str] | None) -> None:
    check = judge(settings, found)
    assert check.ok is ok
    assert reason in check.reason
    assert facts is None or check.facts == facts


WELL = {"primary": False, "data": "seeded", "receiver": "ON", "applier": "ON", "applier_error": "", "writable": False, "lag_seconds": 0.2}
REPLICA = {**WELL, "replica": True}
STOPPED = {**WELL, "replica": False, "applier": "OFF"}
BAD_UPDATE = "Worker 1 failed executing transaction: Can't find record in 'product', Error_code: 1032"


def of_replica(status: dict[str, Any] | None, **changes: Any) -> Health:
    found: dict[str, Any] = {
        "claim": CLAIM,
        "agent": AGENT,
        "accounts": False,
        "primary_status": {"semi_sync": True},
        "mode": Mode.LOSSLESS,
    }
    return Health(status=status, **{**found, **changes})


@pytest.mark.parametrize(
    ("found", "ok", "reason", "mending"),
    [
        (of_replica(REPLICA), True, "replica of db-1", False),
        (of_replica({**STOPPED, "applier_error": BAD_UPDATE}), False, f"the applier stopped: {BAD_UPDATE}", False),
        (
            of_replica(STOPPED, agent={"action": "refuse", "reason": "the applier stopped: (13124, 'no such log')"}),
            False,
            "the applier stopped: (13124, 'no such log')",
            False,
        ),
        (of_replica(STOPPED, agent={"action": "start applier", "reason": "x"}), False, "not replicating yet: start applier: x", False),
        (of_replica({**WELL, "replica": False, "receiver": "OFF"}), False, "not replicating yet: rest", False),
        (of_replica({**WELL, "replica": False, "lag_seconds": 6.0}), False, "too far behind db-1: reads go there", True),
        (of_replica({**WELL, "replica": False, "lag_seconds": None}), False, "not replicating yet", False),
        (of_replica(REPLICA, primary_status={"semi_sync": False}), False, "replicating, but db-1 does not wait for this replica's", True),
        (of_replica(REPLICA, primary_status=None), False, "replicating, but db-1 does not wait for this replica's", True),
        (
            of_replica({**STOPPED, "data": "recipient"}, agent={"action": "wait", "reason": "cloning"}),
            False,
            "not replicating yet: wait: cloning",
            True,
        ),
        (
            of_replica({**STOPPED, "data": "recipient"}, agent={"action": "refuse", "reason": "db-1 holds no data"}),
            False,
            "not replicating yet: refuse: db-1 holds no data",
            False,
        ),
    ],
)
def test_a_replica_that_does_not_serve_says_why_and_whether_that_mends_by_itself(
    found: Health, ok: bool, reason: str, mending: bool
) -> None:
    check = judge(DB_2, found)
    assert (check.ok, check.mending) == (ok, mending)
    assert check.reason.startswith(reason)


def test_a_replica_whose_applier_stopped_names_the_command_that_copies_the_primary_anew() -> None:
    check = judge(DB_2, of_replica({**STOPPED, "applier_error": BAD_UPDATE}))
    assert "`webstack-database reseed` on this host" in check.detail[0]
    assert check.lasting, "nobody is to wait for it"
    assert not judge(DB_2, of_replica({**WELL, "replica": False, "receiver": "OFF"})).lasting
    assert "webstack-database reseed" not in str(judge(DB_2, of_replica({**WELL, "replica": False, "receiver": "OFF"})))


def test_how_far_a_replica_is_behind_is_a_measure_and_no_news() -> None:
    assert judge(DB_2, of_replica(REPLICA)).measures == {"lag": "0.2 s"}
    late = [judge(DB_2, of_replica({**WELL, "replica": False, "lag_seconds": lag})) for lag in (6.0, 7.0)]
    assert (late[0].reason, late[0].facts) == (late[1].reason, late[1].facts)


@pytest.mark.parametrize(
    ("settings", "found", "ok", "reason"),
    [
        (DB_1, of_replica({**WELL, "primary": True, "replica": False, "writable": True}, claim=None), True, "takes writes"),
        (DB_2, of_replica(REPLICA, claim=None), True, "replicates"),
        (DB_2, of_replica(REPLICA, mode=None), True, "replica of db-1"),
        (DB_2, of_replica(REPLICA, mode=None, primary_status={"semi_sync": False}), False, "replicating, but db-1 does not wait"),
        (DB_2, of_replica({**STOPPED, "applier_error": BAD_UPDATE}, mode=None), False, "the applier stopped"),
        (DB_2, of_replica(STOPPED, claim=None), False, "neither takes writes nor replicates"),
        (DB_1, of_replica(None, claim=None), False, "the role check does not answer"),
    ],
)
def test_a_bucket_that_does_not_answer_makes_no_database_that_serves_look_failed(
    settings: Settings, found: Health, ok: bool, reason: str
) -> None:
    check = judge(settings, replace(found, unasked="the artifact bucket cannot be asked: SlowDown"))
    assert check.ok is ok
    assert check.reason.startswith(reason)
    assert check.unasked == ("the artifact bucket cannot be asked: SlowDown" if ok else "")


def test_the_bucket_is_asked_rarely_and_its_last_answers_stand_while_it_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked, away = [0.0], list[str](), list[bool]()

    def answer(name: str, value: object) -> object:
        asked.append(name)
        if away:
            raise ConnectionError("SlowDown")
        return value

    def status(host: Endpoint) -> dict[str, Any]:
        return {**REPLICA, "semi_sync": host.host == "db-1"}

    for name in ("CLAIM", "MODE"):
        monkeypatch.setattr(health, name, Remembered[Any](clock=lambda: now[0]))
    monkeypatch.setattr(records, "read_claim", lambda: answer("claim", CLAIM))
    monkeypatch.setattr(records, "read_mode", lambda: answer("mode", Mode.LOSSLESS))
    monkeypatch.setattr(health, "_status", status)
    config = HostConfig({**VARIABLES, "host": "db-2"}, "host.json")
    for second in range(0, 600, 5):
        now[0] = float(second)
        assert health.check(config).ok
    assert len(asked) == 40
    away.append(True)
    now[0] = 2000.0
    found = health.check(config)
    assert (found.ok, found.reason, found.unasked) == (True, "replica of db-1", "")
