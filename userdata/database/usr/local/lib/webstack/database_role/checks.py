"""Checks whether this database host serves, with its own role check, as routing does, and its agent's status."""

import json
import urllib.request
from dataclasses import dataclass, replace
from typing import Any

from webstack_host import services, stack_secrets
from webstack_host.api_cache import CachedQuery
from webstack_host.readiness import CheckResult
from webstack_host.variables import DatabaseEndpoint

from . import accounts, filesystem, paths, records
from .boot import DataState, PrimaryRecord
from .configuration import record_facts
from .decision import Action
from .observed_state import ReplicationMode
from .variables import DatabaseVariables

UNITS = ("mysql.service", "webstack-database-agent.service", "webstack-database-check.service", "webstack-database-accounts.service")


RESEED = "webstack-database reseed"
"""The command that replaces a replica's data with a new copy of the primary's (see `reseed`)."""

PRIMARY_CACHE: CachedQuery[PrimaryRecord | None] = CachedQuery()
MODE_CACHE: CachedQuery[ReplicationMode | None] = CachedQuery()
"""The cached records of the artifact bucket. Urgent changes show on the hosts themselves."""


@dataclass(frozen=True, kw_only=True)
class HealthInputs:
    """The inputs of the check. `status` and `primary_status` are /status of this host and of the primary; None without an answer.

    `bucket_error`: why the primary or the replication mode could not be read from the bucket; empty if they were.
    """

    primary_record: PrimaryRecord | None
    status: dict[str, Any] | None
    agent: dict[str, str]
    accounts: bool
    primary_status: dict[str, Any] | None = None
    mode: ReplicationMode | None = None
    bucket_error: str = ""


def evaluate(variables: DatabaseVariables, inputs: HealthInputs) -> CheckResult:
    """Returns whether the host is ready, with the most important reason. Pure."""
    agent_summary = f"{inputs.agent.get('action', 'no word')}: {inputs.agent.get('reason', 'the agent has not spoken yet')}"
    if inputs.primary_record is None and inputs.bucket_error:
        return _without_primary_record(variables, inputs, agent_summary)
    facts = record_facts(variables, inputs.primary_record)
    if inputs.primary_record is None:
        return CheckResult(ok=False, reason="waiting for the first database host to begin the database", facts=facts)
    if inputs.status is None:
        return CheckResult(ok=False, reason=f"the role check does not answer ({agent_summary})", facts=facts, units=UNITS)
    if inputs.primary_record.primary == variables.host:
        facts["replication"] = inputs.agent.get("mode", "")
        if not inputs.status["primary"]:
            return _not_yet(f"not open for writes: {agent_summary}", facts, inputs)
        if not inputs.accounts:
            return CheckResult(ok=False, reason="open for writes, making accounts", facts=facts, units=UNITS)
        return CheckResult(ok=True, reason=f"primary, {facts['replication']}", facts=facts)
    return replace(_replica(inputs.primary_record.primary, inputs, facts, agent_summary), metrics=_metrics(inputs.status))


def _replica(primary: str, inputs: HealthInputs, facts: dict[str, str], agent_summary: str) -> CheckResult:
    status, primary_status = inputs.status or {}, inputs.primary_status
    if not status["replica"]:
        return _not_replicating(primary, status, facts, inputs, agent_summary)
    if primary_status and not primary_status.get("expects_replica", True):
        # The replica is new to the stack: the primary's own change, which follows once this host is ready, makes it known there.
        return CheckResult(ok=True, reason=f"replica of {primary}, which is not configured with one yet", facts=facts)
    lossless = inputs.mode is ReplicationMode.LOSSLESS or bool(inputs.bucket_error)
    if not (lossless and primary_status and primary_status["semi_sync"]):
        reason = f"replicating, but {primary} does not wait for this replica's acknowledgement yet"
        return CheckResult(ok=False, reason=reason, facts=facts, units=UNITS, recovering=True)
    return CheckResult(ok=True, reason=f"replica of {primary}", facts=facts, unverified=inputs.bucket_error)


def _not_replicating(primary: str, status: dict[str, Any], facts: dict[str, str], inputs: HealthInputs, agent_summary: str) -> CheckResult:
    if status.get("data") == DataState.SEEDED.value:
        if status.get("applier") == "OFF" and (error := status.get("applier_error") or _applier_error(inputs)):
            return CheckResult(ok=False, reason=f"the applier stopped: {error}", facts=facts, detail=[remedy(primary)], permanent=True)
        if status.get("receiver") == status.get("applier") == "ON" and status.get("lag_seconds") is not None:
            return CheckResult(ok=False, reason=f"too far behind {primary}: reads go there", facts=facts, recovering=True)
    return _not_yet(f"not replicating yet: {agent_summary}", facts, inputs)


def _applier_error(inputs: HealthInputs) -> str:
    """Returns why an applier could not start, from the agent, which has the statement's own error."""
    return (
        inputs.agent.get("reason", "").removeprefix("the applier stopped: ") if inputs.agent.get("action") == Action.BLOCKED.value else ""
    )


def remedy(primary: str) -> str:
    """Returns what a person can do about a permanently stopped applier."""
    return f"`{RESEED}` on this host gives its data up for a new copy of {primary}'s; read docs/runbooks.md, A replica's applier stopped"


def _not_yet(reason: str, facts: dict[str, str], inputs: HealthInputs) -> CheckResult:
    copying = (inputs.status or {}).get("data") == DataState.CLONE_TARGET.value and inputs.agent.get("action") != Action.BLOCKED.value
    return CheckResult(ok=False, reason=reason, facts=facts, units=UNITS, recovering=copying)


def _without_primary_record(variables: DatabaseVariables, inputs: HealthInputs, agent_summary: str) -> CheckResult:
    """Returns the result from this host's own state if the bucket does not tell its intended role."""
    facts = filesystem.facts()
    if inputs.status is None:
        return CheckResult(ok=False, reason=f"the role check does not answer ({agent_summary})", facts=facts, units=UNITS)
    for role, serves in (("primary", "takes writes"), ("replica", "replicates")):
        if inputs.status[role]:
            return CheckResult(
                ok=True, reason=serves, facts={**facts, "role": role}, metrics=_metrics(inputs.status), unverified=inputs.bucket_error
            )
    return _not_yet(f"neither takes writes nor replicates: {agent_summary}", facts, inputs)


def _metrics(status: dict[str, Any]) -> dict[str, str]:
    lag = status.get("lag_seconds")
    return {} if status.get("writable", True) or lag is None else {"lag": f"{lag:.1f} s"}


def check(variables: DatabaseVariables) -> CheckResult:
    """Checks once. Fast; does not raise for services that do not run yet. The bucket is read rarely."""
    own = variables.endpoint(variables.host)
    status = _status(own) if own else None
    primary_record, mode, bucket_error = None, None, ""
    primary: DatabaseEndpoint | None = None
    try:
        primary_record = PRIMARY_CACHE.get(records.read_primary, is_good=lambda claim: claim is not None)
        primary = variables.endpoint(primary_record.primary) if primary_record and primary_record.primary != variables.host else None
        if primary and status and status["replica"]:
            mode = MODE_CACHE.get(records.read_mode, is_good=lambda mode: mode is ReplicationMode.LOSSLESS)
    except Exception as error:
        bucket_error = f"the artifact bucket cannot be asked: {error}"
    result = evaluate(
        variables,
        HealthInputs(
            primary_record=primary_record,
            status=status,
            agent=_agent(),
            accounts=paths.ACCOUNTS_DONE.exists(),
            primary_status=_status(primary) if primary else None,
            mode=mode,
            bucket_error=bucket_error,
        ),
    )
    if result.ok and not services.is_active(services.FIREWALL):  # it would serve, but a single client could exhaust it
        result = replace(result, ok=False, reason="the firewall's rules are not in force", units=(services.FIREWALL,))
    return replace(result, facts={**result.facts, **stack_secrets.record_fact(accounts.secret_versions())})


def _status(host: DatabaseEndpoint) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(f"http://{host.address}:{paths.CHECK_PORT}/status", timeout=1.5) as answer:
            return json.loads(answer.read())
    except (OSError, ValueError):
        return None


def _agent() -> dict[str, str]:
    try:
        return json.loads(paths.AGENT_STATUS.read_text())
    except (OSError, ValueError):
        return {}
