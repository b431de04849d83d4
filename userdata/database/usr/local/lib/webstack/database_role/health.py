"""Whether this database host serves: asked of its own role check and its agent, as routing and people would ask."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from webstack_host import services
from webstack_host.config import HostConfig
from webstack_host.readiness import Check

from . import paths, records
from .boot import Claim
from .settings import Endpoint, Settings
from .setup import facts_of
from .views import Mode

UNITS = ("mysql.service", "webstack-database-agent.service", "webstack-database-check.service", "webstack-database-accounts.service")


@dataclass(frozen=True, kw_only=True)
class Health:
    """What was found. `status` and `primary_status` are /status of this host and of the primary; None where there was no answer."""

    claim: Claim | None
    status: dict[str, Any] | None
    agent: dict[str, str]
    accounts: bool
    primary_status: dict[str, Any] | None = None
    mode: Mode | None = None


def judge(settings: Settings, found: Health) -> Check:
    """Ready or not, with the one reason that matters most. Pure."""
    facts = facts_of(settings, found.claim)
    doing = f"{found.agent.get('action', 'no word')}: {found.agent.get('reason', 'the agent has not spoken yet')}"
    if found.claim is None:
        return Check(ok=False, reason="waiting for the first database host to begin the database", facts=facts)
    if found.status is None:
        return Check(ok=False, reason=f"the role check does not answer ({doing})", facts=facts)
    if found.claim.primary == settings.host:
        facts["replication"] = found.agent.get("mode", "")
        if not found.status["primary"]:
            return Check(ok=False, reason=f"not open for writes: {doing}", facts=facts)
        if not found.accounts:
            return Check(ok=False, reason="open for writes, making accounts", facts=facts)
        return Check(ok=True, reason=f"primary, {facts['replication']}", facts=facts)
    if not found.status["replica"]:
        return Check(ok=False, reason=f"not replicating yet: {doing}", facts=facts)
    if found.primary_status and not found.primary_status.get("expects_replica", True):
        # The replica is new to the stack: the primary is told of it by its own change, which comes once this host is ready.
        return Check(ok=True, reason=f"replica of {found.claim.primary}, which is not configured with one yet", facts=facts)
    if not (found.mode is Mode.LOSSLESS and found.primary_status and found.primary_status["semi_sync"]):
        return Check(
            ok=False, reason=f"replicating, but {found.claim.primary} does not wait for this replica's acknowledgement yet", facts=facts
        )
    return Check(ok=True, reason=f"replica of {found.claim.primary}", facts=facts)


def check(config: HostConfig) -> Check:
    """Looks once; quick, and never raises for what is not there yet."""
    settings = Settings.of(config.variables)
    own = settings.endpoint(settings.host)
    status = _status(own) if own else None
    try:
        claim = records.read_claim()
        primary = settings.endpoint(claim.primary) if claim and claim.primary != settings.host else None
        mode = records.read_mode() if primary and status and status["replica"] else None
    except Exception as error:
        return Check(ok=False, reason=f"the artifact bucket cannot be asked: {error}")
    found = judge(
        settings,
        Health(
            claim=claim,
            status=status,
            agent=_agent(),
            accounts=paths.ACCOUNTS_DONE.exists(),
            primary_status=_status(primary) if primary else None,
            mode=mode,
        ),
    )
    if found.ok:
        return found
    return Check(ok=False, reason=found.reason, facts=found.facts, detail=services.journal(UNITS, 12))


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
