"""The wait for hosts: what counts as ready, when it gives up, that hosts wait side by side and a partner is waited for."""

import asyncio
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pulumi
import pytest

from stack.aws_client import InstanceState, StoredObject
from stack.host_status import MAX_MISSED_RENEWALS, RENEWAL_GRACE_SECONDS, HostStatus, evaluate_host, record_key
from stack.readiness import EC2_CONSISTENCY_SECONDS, POLL_MAX, AwaitedHost, Clock, ReadinessWaiter, UnknownStateError
from stack.tags import stack_tags
from stack.wait_result import HostsNotReadyError, WaitResult
from tests.unit.monitor import StrictMonitor, run

LAUNCHED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
OWN = stack_tags("dev", "x7k2")
TEXT = "#cloud-config\n"
SHA = hashlib.sha256(TEXT.encode()).hexdigest()
RUNNING = InstanceState(id="i-1", state="running", launch_time=LAUNCHED)


def record(state: str = "ready", *, sha: str = SHA, after: float = 5, reason: str = "serves", detail: tuple[str, ...] = ()) -> bytes:
    moment = (LAUNCHED + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"state": state, "reason": reason, "detail": detail, "user_data_sha256": sha, "time": moment}).encode()


@pytest.mark.parametrize(
    ("instance", "content", "state", "reason"),
    [
        (RUNNING, record(), "ready", "serves"),
        (None, record(), "waiting", "does not show the instance"),
        (RUNNING, None, "waiting", "no report yet"),
        (RUNNING, b"{", "waiting", "its record cannot be read: it is not JSON"),
        (RUNNING, b"[]", "waiting", "its record cannot be read: it is not a JSON object"),
        (RUNNING, record(sha="0" * 64), "waiting", "older user data"),
        (RUNNING, record(after=-1), "waiting", "before its launch"),
        (RUNNING, record(after=0), "waiting", "before its launch"),
        (RUNNING, record("starting", reason="MySQL starts"), "waiting", "MySQL starts"),
        (RUNNING, record("failed", reason="no disk"), "failed", "no disk"),
        (RUNNING, record("failed", sha="0" * 64), "waiting", "older user data"),
        (InstanceState(id="i-1", state="stopped", launch_time=LAUNCHED), record(), "stopped", "the instance is stopped"),
        (InstanceState(id="i-1", state="stopping", launch_time=LAUNCHED), record(), "waiting", "the instance is stopping"),
        (InstanceState(id="i-1", state="shutting-down", launch_time=LAUNCHED), record(), "gone", "the instance is shutting-down"),
        (InstanceState(id="i-1", state="terminated", launch_time=LAUNCHED), None, "gone", "the instance is terminated"),
        (InstanceState(id="i-1", state="pending", launch_time=LAUNCHED), None, "waiting", "no report yet"),
    ],
)
def test_a_record_counts_only_for_this_user_data_and_after_this_launch(
    instance: InstanceState | None, content: bytes | None, state: str, reason: str
) -> None:
    verdict = evaluate_host(instance, content, SHA)
    assert verdict.state == state
    assert reason in verdict.reason


def serving_record(in_force: str | None, problem: dict[str, Any] | None = None) -> bytes:
    told = json.loads(record())
    return json.dumps({**told, "configuration_sha256": in_force, "configuration_problem": problem}).encode()


RENEWED = 70
LATE = MAX_MISSED_RENEWALS * RENEWED + RENEWAL_GRACE_SECONDS


def renewed_record(state: str = "ready", **changes: Any) -> bytes:
    """The word of a host that renews it."""
    return json.dumps({**json.loads(record(state, **changes)), "heartbeat_seconds": RENEWED}).encode()


@pytest.mark.parametrize(
    ("content", "age", "state", "reason"),
    [
        (renewed_record(), LATE, "ready", "serves"),
        (renewed_record(), LATE + 1, "waiting", "not heard for 4 minutes; its last report: ready, serves"),
        (renewed_record(), 3 * 86400, "waiting", "not heard for 72 hours; its last report: ready, serves"),
        (renewed_record("failed", reason="no disk"), LATE + 1, "waiting", "not heard for 4 minutes; its last report: failed, no disk"),
        (renewed_record("unready", reason="nginx is away"), LATE + 1, "waiting", "not heard for 4 minutes"),
        (renewed_record("unready", reason="nginx is away"), 5, "waiting", "nginx is away"),
        (renewed_record("failed", reason="no disk"), 5, "failed", "no disk"),
        (record(), 30 * 86400, "ready", "serves"),  # of a release before hosts renewed it
        (record("failed", reason="no disk"), 30 * 86400, "failed", "no disk"),
    ],
)
def test_a_word_that_should_have_been_renewed_counts_for_minutes(content: bytes, age: float, state: str, reason: str) -> None:
    verdict = evaluate_host(RUNNING, content, SHA, age=age)
    assert verdict.state == state
    assert reason in verdict.reason


def test_a_late_word_fails_no_up_before_its_timeout_and_a_new_one_ends_the_wait() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: available_at(0, renewed_record())}, written=-LATE - 1)
    outcome = asyncio.run(readiness(aws, time, timeout=900).poll_until_ready(target()))
    assert time.seconds >= 900
    assert outcome.message.splitlines()[0] == "web-1 (i-1) not ready after 900 s: not heard for 19 minutes; its last report: ready, serves"

    class HeardAgain(FakeHostApi):
        def get_object(self, bucket: str, key: str) -> StoredObject | None:
            self.written = None if self.now() >= 30 else -LATE - 1
            return super().get_object(bucket, key)

    time = FakeClock()
    assert asyncio.run(
        readiness(HeardAgain(records={KEY: available_at(0, renewed_record())}), time, timeout=900).poll_until_ready(target())
    ).ready
    assert 30 <= time.seconds < 30 + POLL_MAX + 1


@pytest.mark.parametrize("mended", [True, False])
def test_a_host_that_served_has_failed_only_when_it_says_so_again_and_again(mended: bool) -> None:
    """What it lacks this very `up` may have brought back (a rule, a database), some seconds before the host finds that it has it again."""
    time = FakeClock()

    def word(now: float) -> bytes:
        if now < 30:
            return renewed_record("unready", reason="the app answers 503")
        return renewed_record("ready") if mended and now >= 36 else renewed_record("failed", reason="the app answers 503", after=now // 15)

    outcome = asyncio.run(readiness(FakeHostApi(records={KEY: word}), time, timeout=900).poll_until_ready(target()))
    assert outcome.ready is mended
    if not mended:
        assert outcome.message.splitlines()[0] == "web-1 (i-1) failed: the app answers 503"
        assert 60 <= time.seconds < 60 + POLL_MAX + 1, "it has said so three times"


NEW, OLD = "1" * 64, "2" * 64


@pytest.mark.parametrize(
    ("content", "state", "reason"),
    [
        (serving_record(NEW), "ready", "serves"),
        (serving_record(OLD), "waiting", "its new configuration is not in force yet"),
        (record(), "waiting", "its new configuration is not in force yet"),
        (
            serving_record(OLD, {"sha256": NEW, "refused": True, "reason": "haproxy -c: unknown keyword"}),
            "failed",
            "haproxy -c: unknown keyword",
        ),
        (serving_record(OLD, {"sha256": NEW, "refused": False, "reason": "Throttled", "detail": []}), "waiting", "Throttled"),
        (serving_record(OLD, {"sha256": OLD, "refused": True, "reason": "an older one"}), "waiting", "not in force yet"),
        (serving_record(NEW, {"sha256": OLD, "refused": True, "reason": "an older one"}), "ready", "serves"),
    ],
)
def test_a_host_is_ready_only_with_the_wanted_configuration_in_force(content: bytes, state: str, reason: str) -> None:
    verdict = evaluate_host(RUNNING, content, SHA, NEW)
    assert verdict.state == state
    assert reason in verdict.reason
    assert evaluate_host(RUNNING, content, SHA).state == "ready", "it serves all the same: a partner may be changed"


def test_a_configuration_that_is_refused_already_ends_the_next_wait_at_once() -> None:
    time = FakeClock()
    refused = serving_record(OLD, {"sha256": NEW, "refused": True, "reason": "haproxy -c: unknown keyword"})
    aws = FakeHostApi(records={KEY: available_at(0, refused)})
    outcome = asyncio.run(readiness(aws, time, timeout=900).poll_until_ready(replace(target(), configuration_sha256=NEW)))
    assert "haproxy -c: unknown keyword" in outcome.message
    assert time.seconds == 0, "the host is done with it: nothing is to be waited for"


def test_the_wait_asks_for_the_configuration_that_the_host_is_given() -> None:
    text = pulumi.Output.from_input
    contents = [serving_record(OLD), serving_record(hashlib.sha256(b"files: []").hexdigest())]
    time = FakeClock()
    aws = FakeHostApi(records={KEY: lambda now: contents[0] if now < 10 else contents[1]})

    def body() -> None:
        wait = readiness(aws, time)
        outcome = wait.wait(
            "lb-1",
            instance=text("i-1"),
            bucket=text("artifacts"),
            role_id=text("AROA"),
            user_data=text(TEXT),
            configuration=text("files: []"),
        )
        wait.require_ready([outcome], None)

    run_program(body)
    assert 10 <= time.seconds <= 14.1


@pytest.mark.parametrize("moment", [None, "", "yesterday", 7, "2026-01-01T12:00:05", []])
def test_a_record_without_a_proper_time_never_counts(moment: object) -> None:
    content = json.dumps({"state": "ready", "user_data_sha256": SHA, "time": moment}).encode()
    assert evaluate_host(RUNNING, content, SHA).state == "waiting"


def test_the_key_is_the_one_that_only_the_instance_can_write() -> None:
    assert record_key("AROAEXAMPLE", "i-1") == "hosts/AROAEXAMPLE:i-1.json"


@dataclass
class FakeHostApi:
    """Answers from a script: `records` by key, as functions of the time."""

    now: Callable[[], float] = lambda: 0.0
    instances: dict[str, InstanceState] = field(default_factory=dict[str, InstanceState])
    records: dict[str, Callable[[float], bytes | None]] = field(default_factory=dict[str, Callable[[float], bytes | None]])
    hosts: dict[str, InstanceState] = field(default_factory=dict[str, InstanceState])
    broken_until: float = -1
    unknown_until: float = -1
    started: list[str] = field(default_factory=list[str])
    starts_until: float = float("inf")
    written: float | None = None
    """When the records were written; None: just now."""

    def start_instance(self, instance_id: str) -> None:
        if self.now() < self.broken_until:
            raise ConnectionError("no route")
        self.started.append(instance_id)
        if self.now() < self.starts_until:
            self.instances[instance_id] = InstanceState(id=instance_id, state="pending", launch_time=LAUNCHED + timedelta(seconds=1))

    def describe_instance(self, instance_id: str) -> InstanceState | None:
        if self.now() < self.broken_until:
            raise ConnectionError("no route")
        if self.now() < self.unknown_until:
            return None
        return self.instances.get(instance_id, InstanceState(id=instance_id, state="running", launch_time=LAUNCHED))

    def find_running_host(self, stack_tags: Mapping[str, str], host: str) -> InstanceState | None:
        if self.now() < self.broken_until:
            raise ConnectionError("no route")
        assert stack_tags == OWN
        return self.hosts.get(host)

    def get_object(self, bucket: str, key: str) -> StoredObject | None:
        assert bucket == "artifacts"
        body = self.records.get(key, lambda _: None)(self.now())
        return None if body is None else StoredObject(body=body, age=0 if self.written is None else self.now() - self.written)


class FakeClock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep)


def readiness(aws: FakeHostApi, time: FakeClock, *, enabled: bool = True, timeout: float = 60) -> ReadinessWaiter:
    aws.now = lambda: time.seconds
    return ReadinessWaiter(client_factory=lambda: aws, enabled=enabled, timeout=timeout, clock=time.clock())


def target(host: str = "web-1", instance: str = "i-1") -> AwaitedHost:
    return AwaitedHost(host=host, instance_id=instance, bucket="artifacts", role_id="AROA", user_data_sha256=SHA)


def available_at(seconds: float, content: bytes, before: bytes | None = None) -> Callable[[float], bytes | None]:
    return lambda now: content if now >= seconds else before


KEY = record_key("AROA", "i-1")


def log_hint(instance: str) -> str:
    """The line that says where a host's whole log is."""
    return f"    full log: `aws ssm start-session --target {instance}`, then `journalctl -b`; in the lab `webstack lab logs {instance}`"


def test_the_wait_ends_when_the_host_is_ready() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: available_at(20, record())})
    outcome = asyncio.run(readiness(aws, time).poll_until_ready(target()))
    assert outcome.ready
    assert 20 <= time.seconds <= 24.1, "looks are at most four seconds apart"


def test_the_wait_ends_at_its_deadline_with_the_last_word_of_the_host() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: available_at(0, record("starting", reason="MySQL recovers", detail=("page 1", "page 2")))})
    outcome = asyncio.run(readiness(aws, time, timeout=60).poll_until_ready(target()))
    assert outcome == WaitResult(
        host="web-1", ready=False, message=f"web-1 (i-1) not ready after 60 s: MySQL recovers\n    page 1\n    page 2\n{log_hint('i-1')}"
    )
    assert 60 <= time.seconds < 61


def test_a_host_that_fails_during_the_wait_ends_it_at_once() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: available_at(7, record("failed", reason="nginx -t", detail=("unknown directive",)))})
    outcome = asyncio.run(readiness(aws, time).poll_until_ready(target()))
    assert not outcome.ready
    assert outcome.message == f"web-1 (i-1) failed: nginx -t\n    unknown directive\n{log_hint('i-1')}"
    assert 7 <= time.seconds < 7 + POLL_MAX + 1


def failing_every(seconds: float, *, until: float = float("inf")) -> Callable[[float], bytes]:
    """The word of a host that has failed long ago and tries again, at last with success."""
    return lambda now: record(after=now) if now >= until else record("failed", after=100 + now // seconds, reason="no bundle")


def test_a_failure_from_before_the_wait_may_have_been_mended() -> None:
    """The host was failed when its cause was put right: the `up` after that must not repeat the old word."""
    time = FakeClock()
    aws = FakeHostApi(records={KEY: failing_every(15, until=20)})
    assert asyncio.run(readiness(aws, time).poll_until_ready(target())).ready
    assert 20 <= time.seconds < 20 + POLL_MAX + 1


def test_a_failure_that_lasts_is_believed_once_an_attempt_begun_during_the_wait_has_failed() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: failing_every(15)})
    outcome = asyncio.run(readiness(aws, time, timeout=600).poll_until_ready(target()))
    assert outcome.message == f"web-1 (i-1) failed: no bundle\n{log_hint('i-1')}"
    assert 30 <= time.seconds < 30 + POLL_MAX + 1


def test_an_old_failure_is_old_also_where_aws_did_not_answer_at_first() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: failing_every(15, until=40)}, broken_until=20)
    assert asyncio.run(readiness(aws, time).poll_until_ready(target())).ready


def test_a_host_that_failed_and_says_nothing_more_is_waited_for_to_the_end() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: available_at(0, record("failed", reason="no bundle"))})
    outcome = asyncio.run(readiness(aws, time, timeout=60).poll_until_ready(target()))
    assert outcome.message == f"web-1 (i-1) not ready after 60 s: it failed before and is trying again: no bundle\n{log_hint('i-1')}"


def stopped() -> dict[str, InstanceState]:
    return {"i-1": InstanceState(id="i-1", state="stopped", launch_time=LAUNCHED)}


def test_a_host_that_is_stopped_is_started_once_and_waited_for() -> None:
    time = FakeClock()
    aws = FakeHostApi(instances=stopped(), records={KEY: available_at(20, record(), record(after=0))})
    seen: list[WaitResult] = []

    def body() -> None:
        wait = readiness(aws, time)
        wait_for(wait, "db-1", "i-1").apply(seen.append)

    log = run_program(body).log
    assert aws.started == ["i-1"], "an old record must not count, nor must it be started twice"
    assert seen == [WaitResult(host="db-1", ready=True)]
    assert log[0] == "db-1: the instance is stopped: starting it"


def test_a_host_that_does_not_stay_up_after_it_was_started_has_failed() -> None:
    time = FakeClock()
    aws = FakeHostApi(instances=stopped(), starts_until=-1)
    outcome = asyncio.run(readiness(aws, time, timeout=900).poll_until_ready(target()))
    assert aws.started == ["i-1"], "once is enough: EC2 may show an old state for a while"
    assert outcome.message == f"web-1 (i-1) failed: the instance is stopped although it was started 60 s ago\n{log_hint('i-1')}"
    assert EC2_CONSISTENCY_SECONDS <= time.seconds < EC2_CONSISTENCY_SECONDS + 5
    assert not outcome.terminated


def test_a_start_that_aws_does_not_answer_is_tried_again() -> None:
    time = FakeClock()

    class Deaf(FakeHostApi):
        def start_instance(self, instance_id: str) -> None:
            if time.seconds < 5:
                raise ConnectionError("RequestLimitExceeded")
            super().start_instance(instance_id)

    aws = Deaf(instances=stopped(), records={KEY: available_at(20, record())})
    assert asyncio.run(readiness(aws, time).poll_until_ready(target())).ready
    assert aws.started == ["i-1"]


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


def test_an_instance_that_ec2_has_forgotten_is_gone_after_a_minute() -> None:
    time = FakeClock()
    aws = FakeHostApi(unknown_until=1e9)
    outcome = asyncio.run(readiness(aws, time, timeout=900).poll_until_ready(target()))
    assert outcome.terminated
    assert EC2_CONSISTENCY_SECONDS <= time.seconds < EC2_CONSISTENCY_SECONDS + 5
    shown = FakeHostApi(unknown_until=30, records={KEY: available_at(0, record())})
    assert asyncio.run(readiness(shown, FakeClock(), timeout=900).poll_until_ready(target())).ready, "EC2 may show a new one late"


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


def test_an_api_that_does_not_answer_is_asked_again() -> None:
    time = FakeClock()
    aws = FakeHostApi(records={KEY: available_at(0, record())}, broken_until=10)
    assert asyncio.run(readiness(aws, time).poll_until_ready(target())).ready
    assert time.seconds >= 10


def test_hosts_are_waited_for_side_by_side() -> None:
    time = FakeClock()
    keys = {f"i-{number}": record_key("AROA", f"i-{number}") for number in range(5)}
    together = threading.Barrier(len(keys), timeout=60)

    class Meeting(FakeHostApi):
        """Answers only when all hosts are asked about at the same time."""

        def describe_instance(self, instance_id: str) -> InstanceState | None:
            together.wait()
            return super().describe_instance(instance_id)

    aws = Meeting(records={key: available_at(0, record()) for key in keys.values()})

    async def all_of_them() -> list[WaitResult]:
        wait = readiness(aws, time, timeout=600)
        return await asyncio.gather(*(wait.poll_until_ready(target(instance, instance)) for instance in keys))

    assert all(outcome.ready for outcome in asyncio.run(all_of_them()))
    assert time.seconds == 0, "the first look at each was answered"


def run_program(body: Callable[[], None], *, preview: bool = False) -> Any:
    return run(body, monitor=StrictMonitor(preview=preview))


def wait_for(wait: ReadinessWaiter, host: str, instance: pulumi.Input[str], *, replaceable: bool = False) -> pulumi.Output[WaitResult]:
    text = pulumi.Output.from_input
    return wait.wait(
        host, instance=text(instance), bucket=text("artifacts"), role_id=text("AROA"), user_data=text(TEXT), replaceable=replaceable
    )


def flapping_record(*, until: float) -> Callable[[float], bytes]:
    """The words of a host that served, does not, and serves again from then on."""

    def word(now: float) -> bytes:
        return renewed_record("ready" if now >= until else "failed" if now >= 10 else "unready", after=5 + now // 15)

    return word


def results_of_both(aws: FakeHostApi, time: "FakeClock", *, held: bool = False) -> list[WaitResult]:
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


def test_a_repeated_up_fails_again_since_the_wait_is_no_part_of_the_state() -> None:
    aws = FakeHostApi(records={KEY: available_at(0, record("failed", reason="no bundle"))})

    def body() -> None:
        wait = readiness(aws, FakeClock())
        wait.require_ready([wait_for(wait, "web-1", "i-1")], None)

    for _ in range(2):
        with pytest.raises(HostsNotReadyError, match="web-1"):
            run_program(body)


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


DB_1 = InstanceState(id="i-1", state="running", launch_time=LAUNCHED)


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


def test_progress_is_told_once_for_each_new_reason() -> None:
    time = FakeClock()

    def telling(now: float) -> bytes:
        return record("starting", reason="packages") if now < 10 else record("starting", reason="MySQL") if now < 20 else record()

    def body() -> None:
        wait = readiness(FakeHostApi(records={KEY: telling}), time)
        wait.require_ready([wait_for(wait, "db-1", "i-1")], None)

    log = run_program(body).log
    assert log[:2] == ["db-1: packages", "db-1: MySQL"]
    assert log[2].startswith("db-1: ready after 2")
    assert len(log) == 3


def test_a_host_that_was_ready_all_along_is_no_news() -> None:
    def body() -> None:
        wait = readiness(FakeHostApi(records={KEY: available_at(0, record())}), FakeClock())
        wait.require_ready([wait_for(wait, "db-1", "i-1")], None)

    assert run_program(body).log == []


def test_a_verdict_says_waiting_until_it_is_sure() -> None:
    assert evaluate_host(RUNNING, record("dancing"), SHA) == HostStatus(state="waiting", reason="serves")
