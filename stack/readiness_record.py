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
    renewed_every: float | None = None
    """Seconds; None where the host does not renew its word."""
    detail: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    measures: Mapping[str, str] = field(default_factory=dict[str, str])


def parse_record(body: bytes) -> ReadinessRecord:
    """The record in an object of at most MAX_RECORD_BYTES bytes. Raises InvalidRecordError."""
    if len(body) > MAX_RECORD_BYTES:
        raise InvalidRecordError(f"it is larger than {MAX_RECORD_BYTES // 1024} KB")
    try:
        told = _object(json.loads(body, parse_constant=_reject_constant), "it")
    except (ValueError, RecursionError):
        raise InvalidRecordError("it is no JSON") from None
    return ReadinessRecord(
        state=_text(told, "state"),
        reason=_text(told, "reason"),
        time=_timestamp(told, "time"),
        user_data_sha256=_text(told, "user_data_sha256"),
        configuration_sha256=_text(told, "configuration_sha256"),
        configuration_problem=_configuration_failure(told.get("configuration_problem")),
        renewed_every=_seconds(told, "renewed_every"),
        detail=_lines(told, "detail"),
        facts=_string_map(told, "facts"),
        measures=_string_map(told, "measures"),
    )


def _reject_constant(text: str) -> object:
    raise ValueError(text)


def _configuration_failure(value: object) -> ConfigurationFailure | None:
    if value is None:
        return None
    told = _object(value, "`configuration_problem`")
    return ConfigurationFailure(
        sha256=_text(told, "sha256"), reason=_text(told, "reason"), detail=_lines(told, "detail"), refused=told.get("refused") is True
    )


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidRecordError(f"{what} is no JSON object")
    return cast("dict[str, object]", value)


def _text(told: Mapping[str, object], name: str) -> str:
    value = told.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRecordError(f"`{name}` is no text")
    return sanitize(value or "")


def _lines(told: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = told.get(name)
    lines = cast("list[object]", value) if isinstance(value, list) else []
    if not (value is None or isinstance(value, list)) or not all(isinstance(line, str) for line in lines):
        raise InvalidRecordError(f"`{name}` is no list of lines")
    return sanitize_lines(map(str, lines), last=MAX_DETAIL_LINES)


def _string_map(told: Mapping[str, object], name: str) -> dict[str, str]:
    value = told.get(name)
    found: Mapping[str, object] = {} if value is None else _object(value, f"`{name}`")
    if len(found) > MAX_FACTS:
        raise InvalidRecordError(f"`{name}` has more than {MAX_FACTS} entries")
    for one, text in found.items():
        if not isinstance(text, str):
            raise InvalidRecordError(f"`{name}.{sanitize(one, max_length=100)}` is no text")
    return {sanitize(one, max_length=100): sanitize(str(text), max_length=MAX_FACT_LENGTH) for one, text in found.items()}


def _timestamp(told: Mapping[str, object], name: str) -> datetime | None:
    value = told.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRecordError(f"`{name}` is no date and time with an offset")


def _seconds(told: Mapping[str, object], name: str) -> float | None:
    value = told.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(float(value)) and value > 0:
            return float(value)
    except OverflowError:
        pass
    raise InvalidRecordError(f"`{name}` is no number of seconds")
