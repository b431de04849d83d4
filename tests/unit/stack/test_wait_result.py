"""What is said of hosts that are not ready, and what becomes of them."""

import json

import pytest

from stack.aws_client import InstanceState
from stack.host_status import record_key
from stack.readiness import POLL_MAX
from stack.wait_result import HostsNotReadyError, WaitResult
from tests.unit.stack.awaited_hosts import (
    KEY,
    LAUNCHED,
    FakeHostApi,
    available_at,
    log_hint,
    readiness,
    record,
    renewed_record,
    run_program,
    wait_for,
)
from tests.unit.stack.fake_clock import FakeClock


@pytest.mark.parametrize("state", ["terminated", "shutting-down"])
def test_a_host_that_was_terminated_is_healed_by_a_refresh_alone_and_the_error_says_so(state: str) -> None:
    time = FakeClock()
    aws = FakeHostApi(
        instances={"i-1": InstanceState(id="i-1", state=state, launch_time=LAUNCHED)}, records={KEY: available_at(0, record())}
    )

    def body() -> None:
        wait = readiness(aws, time)
        wait.require_ready([wait_for(wait, "web-1", "i-1")], None)

    with pytest.raises(HostsNotReadyError) as raised:
        run_program(body)
    assert time.seconds == 0, "nothing that waiting could mend"
    assert aws.started == []
    assert str(raised.value) == (
        f"web-1 (i-1) failed: the instance is {state}\n\n"
        "Nothing was deleted. A plain `up` does not see that an instance is gone: `up --refresh` replaces it."
    )


def test_the_error_says_which_hosts_only_a_refresh_heals_and_that_others_are_waited_for() -> None:
    failures = [
        WaitResult(host="web-1", ready=False, message="web-1 is gone", terminated=True),
        WaitResult(host="web-2", ready=False, message="web-2"),
    ]
    assert str(HostsNotReadyError(failures)) == (
        "web-1 is gone\n\nweb-2\n\nNothing was deleted. The next `up` waits for the same hosts again. "
        "A plain `up` does not see that an instance is gone: `up --refresh` replaces it."
    )


def failing_unit(
    failures: int, *, state: str = "starting", detail: tuple[str, ...] = ('  File "migrate.py", line 9', "No module x")
) -> bytes:
    told = json.loads(record(state, after=failures, reason=f"webstack-migrate.service has failed {failures} times", detail=detail))
    return json.dumps({**told, "facts": {"failing": "webstack-migrate.service"}}).encode()


UNIT_LOG = (
    "    full log: `aws ssm start-session --target i-1`, then `journalctl -b -u webstack-migrate.service`; "
    "in the lab `webstack lab logs i-1 --unit webstack-migrate.service`"
)


def test_a_failing_unit_is_shown_with_its_lines_and_the_way_to_its_log_before_the_wait_ends() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: lambda now: failing_unit(5, state="failed") if now > 30 else failing_unit(2 if now < 15 else 3)})
    seen: list[WaitResult] = []

    def body() -> None:
        wait_for(readiness(aws, time, timeout=900), "web-1", "i-1").apply(seen.append)

    log = run_program(body).log
    lines = '      File "migrate.py", line 9\n    No module x'
    assert log[0] == f"web-1: webstack-migrate.service has failed 2 times\n{lines}\n{UNIT_LOG}"
    assert log[1] == "web-1: webstack-migrate.service has failed 3 times", "once is enough"
    assert seen[0].message == f"web-1 (i-1) failed: webstack-migrate.service has failed 5 times\n{lines}\n{UNIT_LOG}"
    assert time.seconds < 30 + POLL_MAX + 1, "a host that the wait has seen boot is believed at once"


def test_the_error_names_the_hosts_that_are_half_made_and_what_becomes_of_them() -> None:
    aws = FakeHostApi(
        records={
            **{record_key("AROA", f"i-{number}"): available_at(1, record("failed", reason="no module")) for number in (1, 2, 3)},
            record_key("AROA", "i-5"): available_at(1, renewed_record("failed", reason="Nginx is stopped")),
        },
        instances={"i-4": InstanceState(id="i-4", state="terminated", launch_time=LAUNCHED)},
    )

    def body() -> None:
        wait = readiness(aws, FakeClock())
        hosts = [wait_for(wait, f"web-{number}", f"i-{number}", replaceable=True) for number in (1, 2, 4, 5)]
        wait.require_ready([*hosts, wait_for(wait, "db-1", "i-3")], None)

    with pytest.raises(HostsNotReadyError) as raised:
        run_program(body)
    said = str(raised.value).rpartition("\n\n")[2]
    assert "Not in use yet, but running and costing: web-1 (i-1), web-2 (i-2). Fix the cause, or go back" in said
    assert "db-1" not in said, "it is changed in place"
    assert "web-4" not in said, "it does not run"
    assert "web-5" not in said, "it has served: nothing that is half made"


def test_what_depends_on_hosts_is_held_until_all_are_ready_and_told_of_every_one_that_is_not() -> None:
    time = FakeClock()
    aws = FakeHostApi(
        records={
            record_key("AROA", "i-1"): available_at(0, record()),
            record_key("AROA", "i-2"): available_at(1, record("failed", reason="no bundle")),
            record_key("AROA", "i-3"): available_at(1, record("failed", reason="no database")),
        }
    )
    seen: list[str] = []

    def body() -> None:
        wait = readiness(aws, time)
        outcomes = [wait_for(wait, f"web-{number}", f"i-{number}") for number in (1, 2, 3)]
        wait.require_ready(outcomes, "addresses").apply(seen.append)

    with pytest.raises(HostsNotReadyError) as raised:
        run_program(body)
    assert seen == []
    assert str(raised.value) == (
        f"web-2 (i-2) failed: no bundle\n{log_hint('i-2')}\n\nweb-3 (i-3) failed: no database\n{log_hint('i-3')}\n\n"
        "Nothing was deleted. The next `up` waits for the same hosts again."
    )
