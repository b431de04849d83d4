"""Whether this database host serves: asked of its own role check and its agent, as routing and people would ask."""

import json
import urllib.request
from dataclasses import dataclass, replace
from typing import Any

from webstack_host import secrets
from webstack_host.config import HostConfig
from webstack_host.readiness import Check
from webstack_host.remembered import Remembered

from . import accounts, growth, paths, records
from .boot import Claim, Data
from .decision import Action
from .settings import Endpoint, Settings
from .setup import facts_of
from .views import Mode

UNITS = ("mysql.service", "webstack-database-agent.service", "webstack-database-check.service", "webstack-database-accounts.service")


RESEED = "webstack-database reseed"
"""Run on a replica, it gives up what the replica holds for a new copy of the primary (see `reseeding`)."""

CLAIM: Remembered[Claim | None] = Remembered()
MODE: Remembered[Mode | None] = Remembered()
"""The two records in the artifact bucket. What of them matters at once is seen at the hosts themselves."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """What was found. `status` and `primary_status` are /status of this host and of the primary; None where there was no answer.

    `unasked`: why the bucket did not say who is primary, or what acknowledged writes are worth; empty where it did.
    """

    claim: Claim | None
    status: dict[str, Any] | None
    agent: dict[str, str]
    accounts: bool
    primary_status: dict[str, Any] | None = None
    mode: Mode | None = None
    unasked: str = ""


def judge(settings: Settings, found: Health) -> Check:
    """Ready or not, with the one reason that matters most. Pure."""
    doing = f"{found.agent.get('action', 'no word')}: {found.agent.get('reason', 'the agent has not spoken yet')}"
    if found.claim is None and found.unasked:
        return _without_claim(settings, found, doing)
    facts = facts_of(settings, found.claim)
    if found.claim is None:
        return Check(ok=False, reason="waiting for the first database host to begin the database", facts=facts)
    if found.status is None:
        return Check(ok=False, reason=f"the role check does not answer ({doing})", facts=facts, units=UNITS)
    if found.claim.primary == settings.host:
        facts["replication"] = found.agent.get("mode", "")
        if not found.status["primary"]:
            return _not_yet(f"not open for writes: {doing}", facts, found)
        if not found.accounts:
            return Check(ok=False, reason="open for writes, making accounts", facts=facts, units=UNITS)
        return Check(ok=True, reason=f"primary, {facts['replication']}", facts=facts)
    return replace(_replica(found.claim.primary, found, facts, doing), measures=_measures(found.status))


def _replica(primary: str, found: Health, facts: dict[str, str], doing: str) -> Check:
    status, beside = found.status or {}, found.primary_status
    if not status["replica"]:
        return _not_replicating(primary, status, facts, found, doing)
    if beside and not beside.get("expects_replica", True):
        # The replica is new to the stack: the primary is told of it by its own change, which comes once this host is ready.
        return Check(ok=True, reason=f"replica of {primary}, which is not configured with one yet", facts=facts)
    lossless = found.mode is Mode.LOSSLESS or bool(found.unasked)
    if not (lossless and beside and beside["semi_sync"]):
        reason = f"replicating, but {primary} does not wait for this replica's acknowledgement yet"
        return Check(ok=False, reason=reason, facts=facts, units=UNITS, mending=True)
    return Check(ok=True, reason=f"replica of {primary}", facts=facts, unasked=found.unasked)


def _not_replicating(primary: str, status: dict[str, Any], facts: dict[str, str], found: Health, doing: str) -> Check:
    if status.get("data") == Data.SEEDED.value:
        if status.get("applier") == "OFF" and (error := status.get("applier_error") or _refusal(found)):
            return Check(ok=False, reason=f"the applier stopped: {error}", facts=facts, detail=[remedy(primary)], lasting=True)
        if status.get("receiver") == status.get("applier") == "ON" and status.get("lag_seconds") is not None:
            return Check(ok=False, reason=f"too far behind {primary}: reads go there", facts=facts, mending=True)
    return _not_yet(f"not replicating yet: {doing}", facts, found)


def _refusal(found: Health) -> str:
    """Why an applier could not even begin: the agent has the statement's own error."""
    return found.agent.get("reason", "").removeprefix("the applier stopped: ") if found.agent.get("action") == Action.REFUSE.value else ""


def remedy(primary: str) -> str:
    """What a person may do about an applier that stopped for good."""
    return f"`{RESEED}` on this host gives its data up for a new copy of {primary}'s; read docs/runbooks.md, A replica's applier stopped"


def _not_yet(reason: str, facts: dict[str, str], found: Health) -> Check:
    copying = (found.status or {}).get("data") == Data.RECIPIENT.value and found.agent.get("action") != Action.REFUSE.value
    return Check(ok=False, reason=reason, facts=facts, units=UNITS, mending=copying)


def _without_claim(settings: Settings, found: Health, doing: str) -> Check:
    """What this host itself shows, where the bucket does not say which it is to be."""
    facts = growth.facts()
    if found.status is None:
        return Check(ok=False, reason=f"the role check does not answer ({doing})", facts=facts, units=UNITS)
    for role, serves in (("primary", "takes writes"), ("replica", "replicates")):
        if found.status[role]:
            return Check(ok=True, reason=serves, facts={**facts, "role": role}, measures=_measures(found.status), unasked=found.unasked)
    return _not_yet(f"neither takes writes nor replicates: {doing}", facts, found)


def _measures(status: dict[str, Any]) -> dict[str, str]:
    lag = status.get("lag_seconds")
    return {} if status.get("writable", True) or lag is None else {"lag": f"{lag:.1f} s"}


def check(config: HostConfig) -> Check:
    """Looks once; quick, and never raises for what is not there yet. The bucket is asked rarely."""
    settings = Settings.of(config.variables)
    own = settings.endpoint(settings.host)
    status = _status(own) if own else None
    claim, mode, unasked = None, None, ""
    primary: Endpoint | None = None
    try:
        claim = CLAIM.get(records.read_claim, good=lambda claim: claim is not None)
        primary = settings.endpoint(claim.primary) if claim and claim.primary != settings.host else None
        if primary and status and status["replica"]:
            mode = MODE.get(records.read_mode, good=lambda mode: mode is Mode.LOSSLESS)
    except Exception as error:
        unasked = f"the artifact bucket cannot be asked: {error}"
    found = judge(
        settings,
        Health(
            claim=claim,
            status=status,
            agent=_agent(),
            accounts=paths.ACCOUNTS_DONE.exists(),
            primary_status=_status(primary) if primary else None,
            mode=mode,
            unasked=unasked,
        ),
    )
    return replace(found, facts={**found.facts, **secrets.fact(accounts.told())})


def _status(host: Endpoint) -> dict[str, Any] | None:
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
