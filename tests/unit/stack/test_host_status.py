"""What a host's record counts for: its user data, its launch, its configuration, its age."""

import json

import pytest

from stack.aws_client import InstanceState
from stack.host_status import HostStatus, evaluate_host, record_key
from tests.unit.stack.awaited_hosts import LATE, LAUNCHED, NEW, OLD, RUNNING, SHA, record, renewed_record, serving_record


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


@pytest.mark.parametrize("moment", [None, "", "yesterday", 7, "2026-01-01T12:00:05", []])
def test_a_record_without_a_proper_time_never_counts(moment: object) -> None:
    content = json.dumps({"state": "ready", "user_data_sha256": SHA, "time": moment}).encode()
    assert evaluate_host(RUNNING, content, SHA).state == "waiting"


def test_the_key_is_the_one_that_only_the_instance_can_write() -> None:
    assert record_key("AROAEXAMPLE", "i-1") == "hosts/AROAEXAMPLE:i-1.json"


def test_a_verdict_says_waiting_until_it_is_sure() -> None:
    assert evaluate_host(RUNNING, record("dancing"), SHA) == HostStatus(state="waiting", reason="serves")
