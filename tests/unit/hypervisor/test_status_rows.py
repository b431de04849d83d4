"""A row of `webstack lab status`: ready only while the host runs, and otherwise why not."""

import hashlib
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab import control_server
from lab.hypervisor.host_readiness import HostReadiness, evaluate_record
from stack.readiness_record import parse_record

SERVES = HostReadiness(ready=True, reason="serves the app")


def row(*, running: bool, phase: str, word: HostReadiness | None, problem: str = "") -> dict[str, object]:
    desired = SimpleNamespace(
        name="web-2", role="web", zone="eu-central-1b", address=None, public_address=None, instance_id="i-1", problem="", group_ids=()
    )
    keeper: Any = SimpleNamespace(desired=desired, running=running, phase=phase, problem=problem)
    policy: Any = SimpleNamespace(problems_of=lambda _: [])  # pyright: ignore[reportUnknownLambdaType]
    return cast("Any", control_server)._host_row(keeper, word, policy)


@pytest.mark.parametrize(
    ("running", "phase", "word", "problem", "ready", "reason"),
    [
        (True, "running", SERVES, "", True, ""),
        (True, "running", None, "", False, "no report yet"),
        (True, "shutting-down", SERVES, "", False, "it is shutting-down"),
        (True, "stopping", SERVES, "", False, "it is stopping"),
        (True, "booting", None, "", False, "it is booting"),
        (True, "booting", HostReadiness(ready=False, reason="starting: no database"), "", False, "it is booting; starting: no database"),
        (
            True,
            "booting",
            HostReadiness(ready=False, reason="no report since its last start", is_current=False),
            "",
            False,
            "it is booting",
        ),
        (False, "stopped", SERVES, "", False, "it is stopped"),
        (False, "pending", None, "its image is not there", False, "its image is not there"),
    ],
)
def test_what_a_host_said_while_it_ran_is_no_reason_later(
    running: bool, phase: str, word: HostReadiness | None, problem: str, ready: bool, reason: str
) -> None:
    found = row(running=running, phase=phase, word=word, problem=problem)
    assert (found["ready"], found["reason"]) == (ready, reason)


USER_DATA = b"#cloud-config\n"
LAUNCHED = datetime(2026, 1, 1, tzinfo=UTC)


def word(state: str, *, age: float, renewed: bool = True) -> HostReadiness:
    record: dict[str, object] = {
        "state": state,
        "reason": "serves the app" if state == "ready" else "nginx.service does not run",
        "user_data_sha256": hashlib.sha256(USER_DATA).hexdigest(),
        "time": "2026-01-01T00:01:00.000000Z",
        "facts": {"release": "0a1b"},
        "metrics": {"lag": "0.2 s"},
        **({"heartbeat_seconds": 70} if renewed else {}),
    }
    return evaluate_record(parse_record(json.dumps(record).encode()), user_data=USER_DATA, launched=LAUNCHED, age=age)


def test_a_host_that_is_not_heard_any_more_is_not_called_ready() -> None:
    assert word("ready", age=240).ready
    silent = word("ready", age=241)
    assert (silent.ready, silent.reason) == (False, "not heard for 4 minutes; its last report: ready, serves the app")
    assert silent.facts == {}, "what was so then may not be so now"
    assert word("ready", age=10**6, renewed=False).ready, "of a release before hosts renewed their word"


def test_a_row_tells_what_the_host_said_and_how_long_ago() -> None:
    found = row(running=True, phase="running", word=word("ready", age=12.4))
    told = {name: found[name] for name in ("ready", "message", "age_seconds", "facts", "metrics")}
    assert told == {
        "ready": True,
        "message": "serves the app",
        "age_seconds": 12,
        "facts": {"release": "0a1b"},
        "metrics": {"lag": "0.2 s"},
    }
    found = row(running=True, phase="running", word=word("unready", age=3))
    assert (found["ready"], found["reason"]) == (False, "unready: nginx.service does not run")
    stopped = row(running=False, phase="stopped", word=word("ready", age=3))
    assert (stopped["message"], stopped["facts"]) == ("", {})
