"""What a host's readiness record and EC2's word on its instance together mean. Pure: no AWS, no clock.

A record counts only with the hash of the user data that the program wants and a time after the instance's launch: so neither an old
host's word nor one from before a restart is believed.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, cast

from stack.cloud import InstanceState

GONE: Final = frozenset({"shutting-down", "terminated"})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is known of a host: `waiting` and `failed` may still become `ready`, `gone` is for good, `stopped` waits for a start."""

    state: Literal["waiting", "ready", "failed", "stopped", "gone"]
    reason: str
    detail: tuple[str, ...] = ()
    told: str = ""
    """When the host said so, by its own clock; empty where it is not the host's word."""
    unanswered: bool = False
    """Whether AWS did not answer."""
    unseen: bool = False
    """Whether EC2 does not know the instance."""
    failing: str = ""
    """The unit that fails again and again; empty where none does."""
    final: bool = False
    """Whether it is about exactly what is wanted, so that no later attempt of the host ends otherwise."""


def record_key(role_id: str, instance_id: str) -> str:
    """The key of a host's readiness record."""
    return f"hosts/{role_id}:{instance_id}.json"


def judge(
    instance: InstanceState | None, record: bytes | None, user_data_sha256: str | None, configuration_sha256: str | None = None
) -> Verdict:
    """What EC2's word and the host's own together mean. Without a hash, a record for any user data or configuration counts."""
    if instance is None:
        return Verdict(state="waiting", reason="EC2 does not show the instance yet", unseen=True)
    if instance.state in GONE:
        return Verdict(state="gone", reason=f"the instance is {instance.state}")
    if instance.state == "stopped":
        return Verdict(state="stopped", reason="the instance is stopped")
    if instance.state == "stopping":
        return Verdict(state="waiting", reason="the instance is stopping")
    if record is None:
        return Verdict(state="waiting", reason="booting, nothing heard yet")
    told = _read(record)
    if told is None:
        return Verdict(state="waiting", reason="its record is not readable")
    if user_data_sha256 is not None and told.get("user_data_sha256") != user_data_sha256:
        return Verdict(state="waiting", reason="booting, its last word is about older user data")
    if not _after(told.get("time"), instance.launched):
        return Verdict(state="waiting", reason="booting, its last word is from before its launch")
    reason = str(told.get("reason") or "no reason given")
    detail = tuple(str(line) for line in cast("list[object]", lines)) if isinstance(lines := told.get("detail"), list) else ()
    facts = cast("dict[str, object]", found) if isinstance(found := told.get("facts"), dict) else {}
    failing = str(facts.get("failing") or "")
    match told.get("state"):
        case "ready" if configuration_sha256 is not None and told.get("configuration_sha256") != configuration_sha256:
            return _not_in_force(told.get("configuration_problem"), configuration_sha256)
        case "ready":
            return Verdict(state="ready", reason=reason, detail=detail)
        case "failed":
            return Verdict(state="failed", reason=reason, detail=detail, told=str(told["time"]), failing=failing)
        case _:
            return Verdict(state="waiting", reason=reason, detail=detail, failing=failing)


def _not_in_force(problem: object, wanted: str) -> Verdict:
    """A host that serves with an older configuration. `problem` is its word on the wanted one, where it has met any."""
    told = cast("dict[str, object]", problem) if isinstance(problem, dict) else {}
    if told.get("sha256") != wanted:
        return Verdict(state="waiting", reason="serves, its new configuration is not in force yet")
    reason, detail = str(told.get("reason")), tuple(str(line) for line in cast("list[object]", told.get("detail") or []))
    if told.get("refused"):
        return Verdict(
            state="failed", reason=f"its new configuration is refused, it serves with the old one: {reason}", detail=detail, final=True
        )
    return Verdict(state="waiting", reason=f"serves, its new configuration is not in force yet: {reason}", detail=detail)


def _read(record: bytes) -> dict[str, object] | None:
    try:
        value: object = json.loads(record)
    except ValueError:
        return None
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _after(moment: object, launched: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(moment)) > launched
    except (TypeError, ValueError):
        return False
