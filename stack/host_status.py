"""What a host's readiness record and EC2's state of its instance together mean. Pure: no AWS, no clock.

A record counts only with the hash of the user data that the program wants and a time after the instance's launch: so neither an old
host's word nor one from before a restart is believed. And one that its host renews counts for some minutes: a host that has died, or that
nobody hears, does not take its last word back.
"""

from dataclasses import dataclass
from typing import Final, Literal

from stack.aws_client import InstanceState
from stack.readiness_record import ConfigurationFailure, InvalidRecordError, ReadinessRecord, parse_record

TERMINATED_STATES: Final = frozenset({"shutting-down", "terminated"})

MAX_MISSED_RENEWALS: Final = 3
"""Renewals that a host may miss before it counts as not heard: one or two are lost to an API that throttles."""
RENEWAL_GRACE_SECONDS: Final = 30.0
"""Seconds beyond that: for a host's own retries, and for clocks that count in seconds."""


@dataclass(frozen=True, kw_only=True)
class HostStatus:
    """What is known of a host: `waiting` and `failed` may still become `ready`, `gone` is for good, `stopped` waits for a start."""

    state: Literal["waiting", "ready", "failed", "stopped", "gone"]
    reason: str
    detail: tuple[str, ...] = ()
    reported_at: str = ""
    """When the host said so, by its own clock; empty where it is not the host's word."""
    api_failed: bool = False
    """Whether AWS did not answer."""
    instance_missing: bool = False
    """Whether EC2 does not know the instance."""
    failing_unit: str = ""
    """The unit that fails again and again; empty where none does."""
    final: bool = False
    """Whether it is about exactly what is wanted, so that no later attempt of the host ends otherwise."""
    uncertain: bool = False
    """Whether the host may serve: it served last, and does not for less than half a minute or is not heard; or its word is not readable."""
    served_before: bool = False
    """Whether the host has failed after it served in this boot: what it needs may be on its way."""


def record_key(role_id: str, instance_id: str) -> str:
    """The key of a host's readiness record."""
    return f"hosts/{role_id}:{instance_id}.json"


def staleness(record: ReadinessRecord, age: float) -> str:
    """How long a host has said nothing, in words, where its record of that age (seconds) should have been renewed; else empty.

    A record that does not say how often it is renewed counts for as long as its boot.
    """
    if record.heartbeat_seconds is None or age <= MAX_MISSED_RENEWALS * record.heartbeat_seconds + RENEWAL_GRACE_SECONDS:
        return ""
    return f"not heard for {age / 60:.0f} minutes" if age < 2 * 3600 else f"not heard for {age / 3600:.0f} hours"


def evaluate_host(
    instance: InstanceState | None,
    record: bytes | None,
    user_data_sha256: str | None,
    configuration_sha256: str | None = None,
    *,
    age: float = 0.0,
) -> HostStatus:
    """What EC2's word and the host's own together mean; `age` is the record's, in seconds.

    Without a hash, a record for any user data or configuration counts.
    """
    if instance is None:
        return HostStatus(state="waiting", reason="EC2 does not show the instance yet", instance_missing=True)
    if instance.state in TERMINATED_STATES:
        return HostStatus(state="gone", reason=f"the instance is {instance.state}")
    if instance.state == "stopped":
        return HostStatus(state="stopped", reason="the instance is stopped")
    if instance.state == "stopping":
        return HostStatus(state="waiting", reason="the instance is stopping")
    if record is None:
        return HostStatus(state="waiting", reason="booting, no report yet")
    try:
        parsed = parse_record(record)
    except InvalidRecordError as error:
        return HostStatus(state="waiting", reason=str(error), uncertain=True)
    if user_data_sha256 is not None and parsed.user_data_sha256 != user_data_sha256:
        return HostStatus(state="waiting", reason="booting, its last report is about older user data")
    if parsed.time is None or parsed.time <= instance.launch_time:
        return HostStatus(state="waiting", reason="booting, its last report is from before its launch")
    reason, failing = parsed.reason or "no reason given", parsed.facts.get("failing", "")
    if silent := staleness(parsed, age):
        return HostStatus(
            state="waiting", reason=f"{silent}; its last report: {parsed.state}, {reason}", uncertain=parsed.state != "failed"
        )
    match parsed.state:
        case "ready" if configuration_sha256 is not None and parsed.configuration_sha256 != configuration_sha256:
            return _pending_configuration(parsed.configuration_problem, configuration_sha256)
        case "ready":
            return HostStatus(state="ready", reason=reason, detail=parsed.detail)
        case "failed":
            served, moment = parsed.heartbeat_seconds is not None, parsed.time.isoformat()
            return HostStatus(
                state="failed", reason=reason, detail=parsed.detail, reported_at=moment, failing_unit=failing, served_before=served
            )
        case state:
            return HostStatus(state="waiting", reason=reason, detail=parsed.detail, failing_unit=failing, uncertain=state == "unready")


def _pending_configuration(problem: ConfigurationFailure | None, desired: str) -> HostStatus:
    """A host that serves with an older configuration. `problem` is its report on the desired one, where it has seen it."""
    if problem is None or problem.sha256 != desired:
        return HostStatus(state="waiting", reason="serves, its new configuration is not in force yet")
    reason, detail = problem.reason, problem.detail
    if problem.refused:
        return HostStatus(
            state="failed", reason=f"its new configuration is refused, it serves with the old one: {reason}", detail=detail, final=True
        )
    return HostStatus(state="waiting", reason=f"serves, its new configuration is not in force yet: {reason}", detail=detail)
