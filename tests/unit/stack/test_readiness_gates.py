"""Hosts that wait for each other: what one lacks while another is on its way, and changes that are held back."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pulumi
import pytest

from stack.aws_client import InstanceState
from stack.host_status import record_key
from stack.readiness import POLL_MAX, ReadinessWaiter, UnknownStateError
from stack.wait_result import HostsNotReadyError, WaitResult
from tests.unit.stack.awaited_hosts import (
    DB_1,
    KEY,
    LATE,
    OWN,
    FakeHostApi,
    available_at,
    flapping_record,
    readiness,
    record,
    renewed_record,
    run_program,
    wait_for,
)
from tests.unit.stack.fake_clock import FakeClock


def results_of_both(aws: FakeHostApi, time: FakeClock, *, held: bool = False) -> list[WaitResult]:
    """How the waits for db-1 and web-1 end; `held`: db-1 serves, and its change waits for web-1."""
    ended: list[WaitResult] = []

    def body() -> None:
        text = pulumi.Output.from_input
        wait = readiness(aws, time, timeout=900)
        web, instance = wait_for(wait, "web-1", "i-1"), text("i-2")
        if held:
            changed = wait.gate_change(
                "db-1", [web], bucket=text("artifacts"), role_id=text("AROA"), stack_tags=pulumi.Output.from_input(OWN)
            )
            instance = pulumi.Output.all(instance, changed).apply(lambda both: str(both[0]))
        database = wait_for(wait, "db-1", instance)
        pulumi.Output.all(database, web).apply(lambda both: ended.extend(cast("list[WaitResult]", both)))

    with contextlib.suppress(HostsNotReadyError):
        run_program(body)
    return ended


def test_a_host_that_lacks_another_has_not_failed_while_that_one_is_on_its_way() -> None:
    time = FakeClock()
    database = record_key("AROA", "i-2")
    coming: Callable[[float], bytes] = lambda now: record("starting") if now < 90 else record()  # noqa: E731
    aws = FakeHostApi(records={KEY: flapping_record(until=100), database: coming})
    assert [outcome.ready for outcome in results_of_both(aws, time)] == [True, True]
    assert time.seconds >= 100

    time = FakeClock()
    aws = FakeHostApi(records={KEY: flapping_record(until=900), database: coming})
    assert [outcome.ready for outcome in results_of_both(aws, time)] == [True, False], "it tells so when nobody is to be waited for"
    assert 90 < time.seconds < 90 + 60


def test_two_that_failed_do_not_wait_for_each_other_nor_for_one_whose_change_waits_for_them() -> None:
    time = FakeClock()
    database = record_key("AROA", "i-2")
    aws = FakeHostApi(records={KEY: flapping_record(until=900), database: flapping_record(until=900)})
    assert [outcome.ready for outcome in results_of_both(aws, time)] == [False, False]
    assert time.seconds < 90

    time = FakeClock()
    aws = FakeHostApi(
        hosts={"db-1": replace(DB_1, id="i-2")}, records={KEY: flapping_record(until=900), database: lambda _: renewed_record()}
    )
    assert results_of_both(aws, time, held=True) == []
    assert 10 <= time.seconds < 90


@pytest.mark.parametrize("preview", [True, False])
def test_where_it_is_off_nobody_asks_aws(preview: bool) -> None:
    def never() -> FakeHostApi:
        raise AssertionError("AWS was asked")

    seen: list[str] = []

    def body() -> None:
        wait = ReadinessWaiter(client_factory=never, enabled=False, timeout=60)
        outcome = wait_for(wait, "db-2", "i-2")
        text = pulumi.Output.from_input
        wait.gate_change("db-1", [outcome], bucket=text("artifacts"), role_id=text("AROA"), stack_tags=pulumi.Output.from_input(OWN)).apply(
            lambda _: seen.append("held")
        )
        wait.require_ready([outcome], "value").apply(seen.append)

    run_program(body, preview=preview)
    assert sorted(seen) == ["held", "value"]


@pytest.mark.parametrize(
    ("hosts", "own", "partner", "passes"),
    [
        ({}, None, record("starting"), True),  # the first creation: both boot side by side
        ({"db-1": DB_1}, record(), record(), True),
        ({"db-1": DB_1}, record(), record("starting"), False),  # db-1 serves: it waits for db-2
        ({"db-1": DB_1}, record(sha="0" * 64), record("failed"), False),  # whatever user data it serves with
        ({"db-1": DB_1}, record("failed"), record("starting"), True),  # db-1 serves nothing: a repair must reach it
        ({"db-1": DB_1}, record(after=-5), record("starting"), True),
        ({"db-1": DB_1}, None, record("starting"), True),
        ({"db-1": DB_1}, renewed_record("failed"), record("starting"), True),
        ({"db-1": DB_1}, renewed_record("unready"), record("starting"), False),  # for a moment only, perhaps
    ],
)
def test_a_pet_that_serves_is_changed_only_while_its_partner_is_ready(
    hosts: dict[str, InstanceState], own: bytes | None, partner: bytes, passes: bool
) -> None:
    time = FakeClock()
    aws = FakeHostApi(hosts=hosts, records={record_key("AROA", "i-1"): lambda _: own, record_key("AROA", "i-2"): lambda _: partner})
    seen: list[str] = []

    def body() -> None:
        wait = readiness(aws, time, timeout=60)
        text = pulumi.Output.from_input
        outcome = wait_for(wait, "db-2", "i-2")
        held = wait.gate_change("db-1", [outcome], bucket=text("artifacts"), role_id=text("AROA"), stack_tags=pulumi.Output.from_input(OWN))
        held.apply(lambda _: seen.append(f"{time.seconds:.0f}"))

    if passes:
        run_program(body)
        assert len(seen) == 1
    else:
        with pytest.raises(HostsNotReadyError, match="db-2"):
            run_program(body)
        assert seen == []


def test_a_pet_that_is_not_heard_may_serve_and_is_not_changed_beside_its_partner() -> None:
    time = FakeClock()
    aws = FakeHostApi(
        hosts={"db-1": DB_1},
        records={KEY: available_at(0, renewed_record()), record_key("AROA", "i-2"): available_at(0, record("starting"))},
    )
    aws.written = -LATE - 1

    def body() -> None:
        wait = readiness(aws, time, timeout=60)
        text = pulumi.Output.from_input
        outcome = wait_for(wait, "db-2", "i-2")
        wait.gate_change("db-1", [outcome], bucket=text("artifacts"), role_id=text("AROA"), stack_tags=pulumi.Output.from_input(OWN))

    with pytest.raises(HostsNotReadyError, match="db-2"):
        run_program(body)


def test_a_pet_that_falters_is_asked_until_it_has_failed_and_then_a_repair_reaches_it() -> None:
    time = FakeClock()

    def word(now: float) -> bytes:
        return renewed_record("unready") if now < 30 else renewed_record("failed")

    aws = FakeHostApi(hosts={"db-1": DB_1}, records={KEY: word, record_key("AROA", "i-2"): available_at(0, record("starting"))})
    seen: list[float] = []

    def body() -> None:
        wait = readiness(aws, time, timeout=900)
        text = pulumi.Output.from_input
        held = wait.gate_change(
            "db-1",
            [text(WaitResult(host="db-2", ready=False))],
            bucket=text("artifacts"),
            role_id=text("AROA"),
            stack_tags=pulumi.Output.from_input(OWN),
        )
        held.apply(lambda _: seen.append(time.seconds))

    run_program(body)
    assert seen == [pytest.approx(30, abs=POLL_MAX + 1)]


@pytest.mark.parametrize(("broken_until", "passes"), [(50, True), (1000, False)])
def test_whether_a_pet_serves_is_asked_until_aws_answers(broken_until: float, passes: bool) -> None:
    time = FakeClock()
    always = available_at(0, record())
    aws = FakeHostApi(hosts={"db-1": DB_1}, records={KEY: always, record_key("AROA", "i-2"): always}, broken_until=broken_until)
    seen: list[float] = []

    def body() -> None:
        wait = readiness(aws, time, timeout=60)
        text = pulumi.Output.from_input
        ready = text(WaitResult(host="db-2", ready=True))
        held = wait.gate_change("db-1", [ready], bucket=text("artifacts"), role_id=text("AROA"), stack_tags=pulumi.Output.from_input(OWN))
        held.apply(lambda _: seen.append(time.seconds))

    if passes:
        assert run_program(body).log == ["db-1: AWS does not answer: ConnectionError: no route"]
        assert seen == [pytest.approx(broken_until, abs=POLL_MAX)]
    else:
        with pytest.raises(UnknownStateError, match=r"db-1: could not find out within 60 s whether it serves: .*ConnectionError: no route"):
            run_program(body)
        assert seen == []
