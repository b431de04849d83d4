"""Whether a database host serves, and what it says of it where it does not."""

from dataclasses import replace
from typing import Any

import pytest
from database_role import checks, records
from database_role.checks import HealthInputs, evaluate
from database_role.observed_state import ReplicationMode
from database_role.variables import DatabaseVariables
from webstack_host import services
from webstack_host.api_cache import CachedQuery
from webstack_host.variables import DatabaseEndpoint

from .support import CLAIM, DB_1, DB_2

STATUS: dict[str, Any] = {"primary": False, "replica": False, "semi_sync": True}
AGENT = {"action": "rest", "reason": "primary, lossless", "mode": "lossless"}


@pytest.mark.parametrize(
    ("variables", "found", "ok", "reason", "facts"),
    [
        (
            DB_2,
            HealthInputs(primary_record=None, status=STATUS, agent={}, accounts=False),
            False,
            "waiting for the first database host",
            {"waiting_for": "primary"},
        ),
        (DB_1, HealthInputs(primary_record=None, status=None, agent={}, accounts=False), False, "waiting for the first database host", {}),
        (
            DB_1,
            HealthInputs(primary_record=CLAIM, status=None, agent={}, accounts=False),
            False,
            "the role check does not answer",
            {"role": "primary"},
        ),
        (DB_1, HealthInputs(primary_record=CLAIM, status=STATUS, agent=AGENT, accounts=True), False, "not open for writes", None),
        (
            DB_1,
            HealthInputs(primary_record=CLAIM, status={**STATUS, "primary": True}, agent=AGENT, accounts=False),
            False,
            "making accounts",
            None,
        ),
        (
            DB_1,
            HealthInputs(primary_record=CLAIM, status={**STATUS, "primary": True}, agent=AGENT, accounts=True),
            True,
            "primary, lossless",
            {"role": "primary", "replication": "lossless"},
        ),
        (
            DB_2,
            HealthInputs(primary_record=CLAIM, status=STATUS, agent=AGENT, accounts=False),
            False,
            "not replicating yet",
            {"role": "replica"},
        ),
        (
            DB_2,
            HealthInputs(
                primary_record=CLAIM, status={**STATUS, "replica": True}, agent=AGENT, accounts=False, primary_status={"semi_sync": False}
            ),
            False,
            "db-1 does not wait for this replica",
            None,
        ),
        (
            DB_2,
            HealthInputs(
                primary_record=CLAIM,
                status={**STATUS, "replica": True},
                agent=AGENT,
                accounts=False,
                primary_status={"semi_sync": True},
                mode=ReplicationMode.LOSSLESS,
            ),
            True,
            "replica of db-1",
            {"role": "replica"},
        ),
        (
            DB_2,
            HealthInputs(
                primary_record=CLAIM,
                status={**STATUS, "replica": True},
                agent=AGENT,
                accounts=False,
                primary_status={"semi_sync": False, "expects_replica": False},
                mode=ReplicationMode.DEGRADED,
            ),
            True,
            "replica of db-1, which is not configured with one yet",
            {"role": "replica"},
        ),
    ],
)
def test_readiness(variables: DatabaseVariables, found: HealthInputs, ok: bool, reason: str, facts: dict[str, str] | None) -> None:
    check = evaluate(variables, found)
    assert check.ok is ok
    assert reason in check.reason
    assert facts is None or check.facts == facts


WELL = {"primary": False, "data": "seeded", "receiver": "ON", "applier": "ON", "applier_error": "", "writable": False, "lag_seconds": 0.2}
REPLICA = {**WELL, "replica": True}
STOPPED = {**WELL, "replica": False, "applier": "OFF"}
BAD_UPDATE = "Worker 1 failed executing transaction: Can't find record in 'product', Error_code: 1032"


def of_replica(status: dict[str, Any] | None, **changes: Any) -> HealthInputs:
    found: dict[str, Any] = {
        "primary_record": CLAIM,
        "agent": AGENT,
        "accounts": False,
        "primary_status": {"semi_sync": True},
        "mode": ReplicationMode.LOSSLESS,
    }
    return HealthInputs(status=status, **{**found, **changes})


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
    found: HealthInputs, ok: bool, reason: str, mending: bool
) -> None:
    check = evaluate(DB_2, found)
    assert (check.ok, check.recovering) == (ok, mending)
    assert check.reason.startswith(reason)


def test_a_replica_whose_applier_stopped_names_the_command_that_copies_the_primary_anew() -> None:
    check = evaluate(DB_2, of_replica({**STOPPED, "applier_error": BAD_UPDATE}))
    assert "`webstack-database reseed` on this host" in check.detail[0]
    assert check.permanent, "nobody is to wait for it"
    assert not evaluate(DB_2, of_replica({**WELL, "replica": False, "receiver": "OFF"})).permanent
    assert "webstack-database reseed" not in str(evaluate(DB_2, of_replica({**WELL, "replica": False, "receiver": "OFF"})))


def test_how_far_a_replica_is_behind_is_a_measure_and_no_news() -> None:
    assert evaluate(DB_2, of_replica(REPLICA)).metrics == {"lag": "0.2 s"}
    late = [evaluate(DB_2, of_replica({**WELL, "replica": False, "lag_seconds": lag})) for lag in (6.0, 7.0)]
    assert (late[0].reason, late[0].facts) == (late[1].reason, late[1].facts)


@pytest.mark.parametrize(
    ("variables", "found", "ok", "reason"),
    [
        (DB_1, of_replica({**WELL, "primary": True, "replica": False, "writable": True}, primary_record=None), True, "takes writes"),
        (DB_2, of_replica(REPLICA, primary_record=None), True, "replicates"),
        (DB_2, of_replica(REPLICA, mode=None), True, "replica of db-1"),
        (DB_2, of_replica(REPLICA, mode=None, primary_status={"semi_sync": False}), False, "replicating, but db-1 does not wait"),
        (DB_2, of_replica({**STOPPED, "applier_error": BAD_UPDATE}, mode=None), False, "the applier stopped"),
        (DB_2, of_replica(STOPPED, primary_record=None), False, "neither takes writes nor replicates"),
        (DB_1, of_replica(None, primary_record=None), False, "the role check does not answer"),
    ],
)
def test_a_bucket_that_does_not_answer_makes_no_database_that_serves_look_failed(
    variables: DatabaseVariables, found: HealthInputs, ok: bool, reason: str
) -> None:
    check = evaluate(variables, replace(found, bucket_error="the artifact bucket cannot be asked: SlowDown"))
    assert check.ok is ok
    assert check.reason.startswith(reason)
    assert check.unverified == ("the artifact bucket cannot be asked: SlowDown" if ok else "")


def test_the_bucket_is_asked_rarely_and_its_last_answers_stand_while_it_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked, away = [0.0], list[str](), list[bool]()

    def answer(name: str, value: object) -> object:
        asked.append(name)
        if away:
            raise ConnectionError("SlowDown")
        return value

    def status(host: DatabaseEndpoint) -> dict[str, Any]:
        return {**REPLICA, "semi_sync": host.host == "db-1"}

    for name in ("PRIMARY_CACHE", "MODE_CACHE"):
        monkeypatch.setattr(checks, name, CachedQuery[Any](clock=lambda: now[0]))
    monkeypatch.setattr(records, "read_primary", lambda: answer("claim", CLAIM))
    monkeypatch.setattr(records, "read_mode", lambda: answer("mode", ReplicationMode.LOSSLESS))
    monkeypatch.setattr(checks, "_status", status)
    monkeypatch.setattr(services, "is_active", lambda _: True)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    for second in range(0, 600, 5):
        now[0] = float(second)
        assert checks.check(DB_2).ok
    assert len(asked) == 40
    away.append(True)
    now[0] = 2000.0
    found = checks.check(DB_2)
    assert (found.ok, found.reason, found.unverified) == (True, "replica of db-1", "")


@pytest.mark.parametrize(("active", "reason"), [(True, "replica of db-1"), (False, "the firewall's rules are not in force")])
def test_a_host_without_the_firewalls_rules_says_so(monkeypatch: pytest.MonkeyPatch, active: bool, reason: str) -> None:
    def status(host: DatabaseEndpoint) -> dict[str, Any]:
        return {**REPLICA, "semi_sync": host.host == "db-1"}

    def is_active(unit: str) -> bool:
        return active or unit != "webstack-firewall.service"

    for name in ("PRIMARY_CACHE", "MODE_CACHE"):
        monkeypatch.setattr(checks, name, CachedQuery[Any]())
    monkeypatch.setattr(records, "read_primary", lambda: CLAIM)
    monkeypatch.setattr(records, "read_mode", lambda: ReplicationMode.LOSSLESS)
    monkeypatch.setattr(checks, "_status", status)
    monkeypatch.setattr(services, "is_active", is_active)
    found = checks.check(DB_2)
    assert (found.ok, found.reason) == (active, reason)
