"""A host's readiness record as it is read, for everybody who reads one; `stack.records` says what it means.

Every host can write its own, and only that: so a record may hold anything, and one that is not as it should be concerns its host alone.
All text of it is printable (`stack.printable`), and how much is read and kept has its limits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, cast

from stack.printable import printable, printable_lines

LARGEST: Final = 256 * 1024
"""Bytes of a record. Hosts write some thousand, and 200,000 at most: lines of a log are cut (`webstack_host.readiness`)."""
DETAIL_LINES: Final = 25
MOST_FACTS: Final = 100
LONGEST_FACT: Final = 4000
"""Characters: the versions of all secrets, or the addresses of many web hosts."""


class UnreadableRecordError(Exception):
    """A record that is none; the message says which rule it breaks."""

    def __str__(self) -> str:
        return f"its record cannot be read: {self.args[0]}"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a host says of a configuration that is not in force."""

    sha256: str
    reason: str
    detail: tuple[str, ...]
    refused: bool


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a host said. Texts that it did not give are empty."""

    state: str
    reason: str
    time: datetime | None
    """When, by the host's clock."""
    user_data_sha256: str
    configuration_sha256: str
    configuration_problem: Problem | None = None
    renewed_every: float | None = None
    """Seconds; None where the host does not renew its word."""
    detail: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    measures: Mapping[str, str] = field(default_factory=dict[str, str])


def read(body: bytes) -> Record:
    """The record in an object of at most LARGEST bytes. Raises UnreadableRecordError."""
    if len(body) > LARGEST:
        raise UnreadableRecordError(f"it is larger than {LARGEST // 1024} KB")
    try:
        told = _object(json.loads(body, parse_constant=_no_number), "it")
    except (ValueError, RecursionError):
        raise UnreadableRecordError("it is no JSON") from None
    return Record(
        state=_text(told, "state"),
        reason=_text(told, "reason"),
        time=_moment(told, "time"),
        user_data_sha256=_text(told, "user_data_sha256"),
        configuration_sha256=_text(told, "configuration_sha256"),
        configuration_problem=_problem(told.get("configuration_problem")),
        renewed_every=_seconds(told, "renewed_every"),
        detail=_lines(told, "detail"),
        facts=_texts(told, "facts"),
        measures=_texts(told, "measures"),
    )


def _no_number(text: str) -> object:
    raise ValueError(text)


def _problem(value: object) -> Problem | None:
    if value is None:
        return None
    told = _object(value, "`configuration_problem`")
    return Problem(
        sha256=_text(told, "sha256"), reason=_text(told, "reason"), detail=_lines(told, "detail"), refused=told.get("refused") is True
    )


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UnreadableRecordError(f"{what} is no JSON object")
    return cast("dict[str, object]", value)


def _text(told: Mapping[str, object], name: str) -> str:
    value = told.get(name)
    if value is not None and not isinstance(value, str):
        raise UnreadableRecordError(f"`{name}` is no text")
    return printable(value or "")


def _lines(told: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = told.get(name)
    lines = cast("list[object]", value) if isinstance(value, list) else []
    if not (value is None or isinstance(value, list)) or not all(isinstance(line, str) for line in lines):
        raise UnreadableRecordError(f"`{name}` is no list of lines")
    return printable_lines(map(str, lines), last=DETAIL_LINES)


def _texts(told: Mapping[str, object], name: str) -> dict[str, str]:
    value = told.get(name)
    found: Mapping[str, object] = {} if value is None else _object(value, f"`{name}`")
    if len(found) > MOST_FACTS:
        raise UnreadableRecordError(f"`{name}` has more than {MOST_FACTS} entries")
    for one, text in found.items():
        if not isinstance(text, str):
            raise UnreadableRecordError(f"`{name}.{printable(one, most=100)}` is no text")
    return {printable(one, most=100): printable(str(text), most=LONGEST_FACT) for one, text in found.items()}


def _moment(told: Mapping[str, object], name: str) -> datetime | None:
    value = told.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UnreadableRecordError(f"`{name}` is no date and time with an offset")


def _seconds(told: Mapping[str, object], name: str) -> float | None:
    value = told.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(float(value)) and value > 0:
            return float(value)
    except OverflowError:
        pass
    raise UnreadableRecordError(f"`{name}` is no number of seconds")
