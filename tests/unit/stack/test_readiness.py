"""The wait for hosts: when it ends, when it gives up, and that hosts wait side by side."""

import asyncio
import hashlib
import threading
from dataclasses import replace

import pulumi
import pytest

from stack.aws_client import InstanceState, StoredObject
from stack.host_status import record_key
from stack.readiness import EC2_CONSISTENCY_SECONDS, POLL_MAX
from stack.wait_result import HostsNotReadyError, WaitResult
from tests.unit.stack.awaited_hosts import (
    KEY,
    LATE,
    NEW,
    OLD,
    TEXT,
    FakeHostApi,
    available_at,
    failing_every,
    log_hint,
    readiness,
    record,
    renewed_record,
    run_program,
    serving_record,
    stopped,
    target,
    wait_for,
)
from tests.unit.stack.fake_clock import FakeClock


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


def test_an_instance_that_ec2_has_forgotten_is_gone_after_a_minute() -> None:
    time = FakeClock()
    aws = FakeHostApi(unknown_until=1e9)
    outcome = asyncio.run(readiness(aws, time, timeout=900).poll_until_ready(target()))
    assert outcome.terminated
    assert EC2_CONSISTENCY_SECONDS <= time.seconds < EC2_CONSISTENCY_SECONDS + 5
    shown = FakeHostApi(unknown_until=30, records={KEY: available_at(0, record())})
    assert asyncio.run(readiness(shown, FakeClock(), timeout=900).poll_until_ready(target())).ready, "EC2 may show a new one late"


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


def test_a_repeated_up_fails_again_since_the_wait_is_no_part_of_the_state() -> None:
    aws = FakeHostApi(records={KEY: available_at(0, record("failed", reason="no bundle"))})

    def body() -> None:
        wait = readiness(aws, FakeClock())
        wait.require_ready([wait_for(wait, "web-1", "i-1")], None)

    for _ in range(2):
        with pytest.raises(HostsNotReadyError, match="web-1"):
            run_program(body)


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
