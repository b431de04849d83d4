"""What this host says about itself to those who wait for it: one object in the artifact bucket, which only this instance can write."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from webstack_host import aws, config, imds, wanted

State = Literal["starting", "ready", "failed"]

DETAIL_LINES = 25
"""Lines of log that a record carries at most."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a role found when it tried its own services from this host."""

    ok: bool
    reason: str
    """One line: what serves, or what does not yet."""
    detail: list[str] = field(default_factory=list[str])
    """Lines of the check's own that explain it."""
    units: tuple[str, ...] = ()
    """Units whose last log lines explain it; read only when the outcome is told."""
    facts: dict[str, str] = field(default_factory=dict[str, str])


def publish(state: State, reason: str, detail: Sequence[str] = (), facts: Mapping[str, str] | None = None) -> None:
    """Writes this host's record; raises what the AWS API raises."""
    body = json.dumps(record(state, reason, detail, facts or {}), indent=2) + "\n"
    aws.put_object(f"hosts/{aws.identity()}.json", body.encode())


def record(state: State, reason: str, detail: Sequence[str], facts: Mapping[str, str]) -> dict[str, object]:
    """The record as JSON holds it. It counts only with the hashes of what is in force and a time after the launch."""
    return {
        "version": 1,
        "host": config.load().host,
        "instance_id": imds.instance_id(),
        "state": state,
        "reason": (reason.splitlines() or [""])[0],
        "detail": [line for text in detail for line in text.splitlines()][-DETAIL_LINES:],
        "user_data_sha256": hashlib.sha256(imds.user_data()).hexdigest(),
        **wanted.told(),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "facts": dict(facts),
    }
