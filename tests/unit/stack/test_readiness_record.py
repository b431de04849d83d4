"""A record is read as hosts write it, and what is none is refused in words, whatever it holds."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stack.aws_client import InstanceState
from stack.host_status import evaluate_host
from stack.readiness_record import MAX_FACT_LENGTH, MAX_RECORD_BYTES, InvalidRecordError, parse_record
from stack.sanitize import MAX_LENGTH
from tests.unit.stack.invalid_records import INVALID_RECORDS

RUNNING = InstanceState(id="i-1", state="running", launch_time=datetime(2026, 1, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize(("body", "why"), INVALID_RECORDS.values(), ids=INVALID_RECORDS)
def test_what_is_no_record_is_refused_in_words_and_waited_for(body: bytes, why: str) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        parse_record(body)
    assert str(caught.value) == f"its record cannot be read: {why}"
    verdict = evaluate_host(RUNNING, body, None)
    assert (verdict.state, verdict.reason) == ("waiting", str(caught.value))
    assert verdict.uncertain, "it may serve: its partner is not to leave beside it"


@pytest.mark.parametrize("moment", ["2026-01-01T12:00:05Z", "2026-01-01T13:00:05+01:00", "2026-01-01T11:47:05.000-00:13"])
def test_a_moment_is_one_whatever_its_offset(moment: str) -> None:
    assert parse_record(json.dumps({"time": moment}).encode()).time == datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)


HOSTILE_TEXT = "\x1b]0;own\x07\x1b[31mRED\r\nX ::error::y \u202egnp \ud800 ##[error]z"
SANITIZED = r"\x1b]0;own\x07\x1b[31mRED  X : :error: :y \u202egnp \ud800 # #[error]z"


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in texts(one)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [text for one in value for text in texts(one)] if isinstance(value, tuple | list) else []  # pyright: ignore[reportUnknownVariableType]


def test_every_text_of_a_record_is_printable_and_lines_stay_lines() -> None:
    told = {
        "state": HOSTILE_TEXT,
        "reason": HOSTILE_TEXT,
        "detail": [HOSTILE_TEXT, "a\nb"],
        "user_data_sha256": HOSTILE_TEXT,
        "configuration_sha256": HOSTILE_TEXT,
        "configuration_problem": {"sha256": HOSTILE_TEXT, "reason": HOSTILE_TEXT, "detail": [HOSTILE_TEXT]},
        "facts": {HOSTILE_TEXT: HOSTILE_TEXT},
        "metrics": {HOSTILE_TEXT: HOSTILE_TEXT},
    }
    found = parse_record(json.dumps(told).encode())
    problem = found.configuration_problem
    assert problem is not None
    given = [found.state, found.reason, found.user_data_sha256, found.configuration_sha256, problem.sha256, problem.reason]
    assert given == [SANITIZED] * 6
    assert found.facts == found.metrics == {SANITIZED: SANITIZED}
    head, tail = SANITIZED.split("  X ")
    assert found.detail == (head, f"X {tail}", "a", "b")
    assert problem.detail == found.detail[:2]
    assert all(text.isprintable() for text in texts([*given, dict(found.facts), found.detail]))


def test_what_is_kept_of_a_record_has_its_limits() -> None:
    long = "x" * 5000
    told = {"state": long, "reason": long, "detail": [f"{number} {long}" for number in range(40)], "facts": {long: long}}
    body = json.dumps(told).encode()
    assert len(body) < MAX_RECORD_BYTES
    found = parse_record(body)
    assert len(found.reason) == len(found.state) == MAX_LENGTH
    assert found.reason.endswith("x…")
    assert [line.split()[0] for line in found.detail] == [str(number) for number in range(15, 40)], "the last lines tell"
    assert {len(line) for line in found.detail} == {MAX_LENGTH}
    assert [(len(name), len(text)) for name, text in found.facts.items()] == [(100, MAX_FACT_LENGTH)]
