"""Explains why the migration is not done."""

from webstack_host import services
from webstack_host.readiness import CheckResult

UNIT = "webstack-migrate.service"
WAIT_UNIT = "webstack-await-primary.service"


def pending_check() -> CheckResult:
    """Returns why the migration is not done: it waits, it runs, or it is not started yet."""
    shown = services.show([WAIT_UNIT, UNIT], ["ActiveState", "SubState", "TimeoutStartUSec"])
    awaits, migrates = shown.get(WAIT_UNIT, {}), shown.get(UNIT, {})
    if awaits.get("ActiveState") == "activating":
        return CheckResult(ok=False, reason="waits for the primary database", units=(WAIT_UNIT,))
    if migrates.get("SubState") == "start":
        limit = migrates.get("TimeoutStartUSec", "")
        return CheckResult(ok=False, reason=f"migrate.py runs (at most {limit}: web.migrateTimeout)", units=(UNIT,))
    return CheckResult(ok=False, reason=f"{UNIT} does not run yet", units=(UNIT,))
