"""What stands in the migration's way, in words."""

from webstack_host import services
from webstack_host.readiness import Check

UNIT = "webstack-migrate.service"
AWAITS = "webstack-await-primary.service"


def not_done() -> Check:
    """Why the migration is not done: it waits, it runs, or it does neither."""
    shown = services.show([AWAITS, UNIT], ["ActiveState", "SubState", "TimeoutStartUSec"])
    awaits, migrates = shown.get(AWAITS, {}), shown.get(UNIT, {})
    if awaits.get("ActiveState") == "activating":
        return Check(ok=False, reason="waits for the primary database", units=(AWAITS,))
    if migrates.get("SubState") == "start":
        limit = migrates.get("TimeoutStartUSec", "")
        return Check(ok=False, reason=f"migrate.py runs (at most {limit}: web.migrateTimeout)", units=(UNIT,))
    return Check(ok=False, reason=f"{UNIT} does not run yet", units=(UNIT,))
