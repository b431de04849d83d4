"""This host's readiness record: one object in the artifact bucket, which only this instance can write.

`webstack-configure` writes it until the host serves; from then on `webstack-report` does (`webstack_host.report`).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from webstack_host import aws, config, desired_config, imds

State = Literal["starting", "ready", "unready", "failed"]
"""`starting` until the host has served once since its boot; `unready` if it has served but does not at the moment."""

HEARTBEAT = 60.0
"""Least seconds between two writes of an unchanged record, since each costs a PutObject."""
JITTER = 10.0
"""Random additional seconds, at most, so that not all hosts write at once."""

DETAIL_LINES = 25
"""The most log lines in a record."""
MAX_LINE_LENGTH = 500
"""The most characters of a log line and of the reason: readers read at most 256 KB (`stack.readiness_record`)."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of a role's check of its own services on this host."""

    ok: bool
    reason: str
    """One line: what serves, or what does not serve yet."""
    detail: list[str] = field(default_factory=list[str])
    """The check's own lines that explain the reason."""
    units: tuple[str, ...] = ()
    """Units whose last log lines explain the reason; read only when the result is published."""
    facts: dict[str, str] = field(default_factory=dict[str, str])
    """Facts whose changes are published at once."""
    metrics: dict[str, str] = field(default_factory=dict[str, str])
    """Numbers that change all the time: published with the rest; a change alone does not cause a write."""
    unverified: str = ""
    """What the AWS API could not confirm, and why; empty if it confirmed everything. `ok` is the result without it."""
    recovering: bool = False
    """Whether the host will serve by itself, however long it takes: a copy, or a replica that catches up."""
    permanent: bool = False
    """Whether the host cannot recover by itself: waiters should fail, and a person must fix it."""
    refused: bool = False
    """Whether the service itself rejects the check, such as an app with 400: if that lasts, waiting does not help either."""


def publish(
    state: State,
    reason: str,
    detail: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    metrics: Mapping[str, str] | None = None,
    *,
    periodic: bool = False,
) -> None:
    """Writes this host's record. Raises what the AWS API raises. `periodic`: whether it is renewed regularly from now on."""
    record = build_record(state, reason, detail, facts or {}, metrics or {})
    if periodic:
        record["heartbeat_seconds"] = HEARTBEAT + JITTER
    aws.put_object(f"hosts/{aws.user_id()}.json", (json.dumps(record, indent=2) + "\n").encode())


def build_record(
    state: State, reason: str, detail: Sequence[str], facts: Mapping[str, str], metrics: Mapping[str, str]
) -> dict[str, object]:
    """Returns the record for JSON. Readers accept it only with the hashes of what is in force and a time after the launch."""
    return {
        "version": 1,
        "host": config.load_common().host,
        "instance_id": imds.instance_id(),
        "state": state,
        "reason": (reason.splitlines() or [""])[0][:MAX_LINE_LENGTH],
        "detail": [line[:MAX_LINE_LENGTH] for text in detail for line in text.splitlines()][-DETAIL_LINES:],
        "user_data_sha256": hashlib.sha256(imds.user_data()).hexdigest(),
        **desired_config.record_fields(),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "facts": dict(facts),
        "metrics": dict(metrics),
    }
