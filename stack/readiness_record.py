"""A host's readiness record as it is read, for everybody who reads one; `stack.host_status` says what it means.

Every host can write its own, and only that: so a record may hold anything, and one that is not as it should be concerns its host alone.
All text of it is printable (`stack.sanitize`), and how much is read and kept has its limits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, cast

from stack.sanitize import sanitize, sanitize_lines

MAX_RECORD_BYTES: Final = 256 * 1024
"""Bytes of a record. Hosts write some thousand, and 200,000 at most: lines of a log are cut (`webstack_host.readiness`)."""
MAX_DETAIL_LINES: Final = 25
MAX_FACTS: Final = 100
MAX_FACT_LENGTH: Final = 4000
"""Characters: the versions of all secrets, or the addresses of many web hosts."""


class InvalidRecordError(Exception):
    """A record that is none; the message says which rule it breaks."""

    def __str__(self) -> str:
        return f"its record cannot be read: {self.args[0]}"


@dataclass(frozen=True, kw_only=True)
class ConfigurationFailure:
    """What a host says of a configuration that is not in force."""

    sha256: str
    reason: str
    detail: tuple[str, ...]
    refused: bool


@dataclass(frozen=True, kw_only=True)
class ReadinessRecord:
    """What a host said. Texts that it did not give are empty."""

    state: str
    reason: str
    time: datetime | None
    """When, by the host's clock."""
    user_data_sha256: str
    configuration_sha256: str
    configuration_problem: ConfigurationFailure | None = None
    heartbeat_seconds: float | None = None
    """Seconds; None where the host does not renew its word."""
    detail: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: Mapping[str, str] = field(default_factory=dict[str, str])


def parse_record(body: bytes) -> ReadinessRecord:
    """The record in an object of at most MAX_RECORD_BYTES bytes. Raises InvalidRecordError."""
    if len(body) > MAX_RECORD_BYTES:
        raise InvalidRecordError(f"it is larger than {MAX_RECORD_BYTES // 1024} KB")
    try:
        record = _object(json.loads(body, parse_constant=_reject_constant), "it")
    except (ValueError, RecursionError):
        raise InvalidRecordError("it is not JSON") from None
    return ReadinessRecord(
        state=_text(record, "state"),
        reason=_text(record, "reason"),
        time=_timestamp(record, "time"),
        user_data_sha256=_text(record, "user_data_sha256"),
        configuration_sha256=_text(record, "configuration_sha256"),
        configuration_problem=_configuration_failure(record.get("configuration_problem")),
        heartbeat_seconds=_seconds(record, "heartbeat_seconds"),
        detail=_lines(record, "detail"),
        facts=_string_map(record, "facts"),
        metrics=_string_map(record, "metrics"),
    )


def _reject_constant(text: str) -> object:
    raise ValueError(text)


def _configuration_failure(value: object) -> ConfigurationFailure | None:
    if value is None:
        return None
    record = _object(value, "`configuration_problem`")
    return ConfigurationFailure(
        sha256=_text(record, "sha256"),
        reason=_text(record, "reason"),
        detail=_lines(record, "detail"),
        refused=record.get("refused") is True,
    )


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidRecordError(f"{what} is not a JSON object")
    return cast("dict[str, object]", value)


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRecordError(f"`{name}` is not text")
    return sanitize(value or "")


def _lines(record: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = record.get(name)
    lines = cast("list[object]", value) if isinstance(value, list) else []
    if not (value is None or isinstance(value, list)) or not all(isinstance(line, str) for line in lines):
        raise InvalidRecordError(f"`{name}` is not a list of lines")
    return sanitize_lines(map(str, lines), last=MAX_DETAIL_LINES)


def _string_map(record: Mapping[str, object], name: str) -> dict[str, str]:
    value = record.get(name)
    found: Mapping[str, object] = {} if value is None else _object(value, f"`{name}`")
    if len(found) > MAX_FACTS:
        raise InvalidRecordError(f"`{name}` has more than {MAX_FACTS} entries")
    for one, text in found.items():
        if not isinstance(text, str):
            raise InvalidRecordError(f"`{name}.{sanitize(one, max_length=100)}` is not text")
    return {sanitize(one, max_length=100): sanitize(str(text), max_length=MAX_FACT_LENGTH) for one, text in found.items()}


def _timestamp(record: Mapping[str, object], name: str) -> datetime | None:
    value = record.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRecordError(f"`{name}` is not a date and time with an offset")


def _seconds(record: Mapping[str, object], name: str) -> float | None:
    value = record.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(float(value)) and value > 0:
            return float(value)
    except OverflowError:
        pass
    raise InvalidRecordError(f"`{name}` is not a number of seconds")
