"""What this host says about itself to those who wait for it: one object in the artifact bucket, which only this instance can write.

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
"""`starting` until the host has served once since its boot; `unready` where it has, and has not for a moment."""

HEARTBEAT = 60.0
"""Seconds between two writings of a record in which nothing changed, at least: each costs a PutObject."""
JITTER = 10.0
"""Seconds by which that may be more, so that not all hosts write at once."""

DETAIL_LINES = 25
"""Lines of log that a record carries at most."""
MAX_LINE_LENGTH = 500
"""Characters of one of them, and of the reason: who reads a record reads 256 KB of it (`stack.readiness_record`)."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a role found when it tried its own services from this host."""

    ok: bool
    reason: str
    """One line: what serves, or what does not yet."""
    detail: list[str] = field(default_factory=list[str])
    """Lines of the check's own that explain it."""
    units: tuple[str, ...] = ()
    """Units whose last log lines explain it; read only when the outcome is told."""
    facts: dict[str, str] = field(default_factory=dict[str, str])
    """What is told at once when it changes."""
    metrics: dict[str, str] = field(default_factory=dict[str, str])
    """Numbers that move all the time: told with the rest, and no news by themselves."""
    unverified: str = ""
    """What the AWS API could not be asked that belongs to the whole answer, and why. `ok` is what was seen without it."""
    recovering: bool = False
    """Whether what does not serve will do so by itself, however long it takes: a copy, a replica that catches up."""
    permanent: bool = False
    """Whether it will not, so that nobody is to wait for it: somebody has to mend it."""
    refused: bool = False
    """Whether what was asked says no by itself, as an app does with 400: where it goes on so, waiting does not mend it either."""


def publish(
    state: State,
    reason: str,
    detail: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    metrics: Mapping[str, str] | None = None,
    *,
    periodic: bool = False,
) -> None:
    """Writes this host's record; raises what the AWS API raises. `periodic`: whether this host writes it again and again from now on."""
    record = build_record(state, reason, detail, facts or {}, metrics or {})
    if periodic:
        record["heartbeat_seconds"] = HEARTBEAT + JITTER
    aws.put_object(f"hosts/{aws.user_id()}.json", (json.dumps(record, indent=2) + "\n").encode())


def build_record(
    state: State, reason: str, detail: Sequence[str], facts: Mapping[str, str], metrics: Mapping[str, str]
) -> dict[str, object]:
    """The record as JSON holds it. It counts only with the hashes of what is in force and a time after the launch."""
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
