"""Finds this host's units that fail repeatedly: how often, how, and what their programs logged last.

systemd restarts a failed unit whatever the cause, so a failing one alternates between `activating` and, briefly, `active`, and its state
alone shows nothing wrong. Its count of restarts does: only a manual start or `reset-failed` sets it back to 0, never systemd itself
(systemd, src/core/service.c, `n_restarts`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from webstack_host import services, unit_exit
from webstack_host.readiness import CheckResult
from webstack_host.unit_exit import UnitExit

REPORT_AFTER = 2
"""Failures after which a unit is published; the first may be an accident."""
FAIL_AFTER = 5
"""Failures of a unit after which its host counts as failed, so that waiters stop waiting. systemd keeps trying."""
STABLE_AFTER = 60.0
"""Seconds of running after which a service counts as recovered. Gunicorn is `active` before its workers have loaded the app."""

TIMEOUT_SETTINGS: Mapping[str, tuple[str, str]] = {"webstack-migrate.service": ("the migration", "web.migrateTimeout")}
"""Units whose start time is limited by a setting: the unit's description and the setting's key."""

PROPERTIES = ("ActiveState", "SubState", "Type", "NRestarts", "ActiveEnterTimestampMonotonic", "TimeoutStartUSec")


@dataclass(frozen=True, kw_only=True)
class FailingUnit:
    """A unit that failed at least once since it last ran well."""

    unit: str
    failures: int
    last_exit: UnitExit
    """The end of its last run."""
    start_timeout: str
    """The limit of its start time, in systemd's notation."""

    @property
    def reportable(self) -> bool:
        """Whether it should be published. A run that timed out once will do so again."""
        return self.failures >= REPORT_AFTER or self.timed_out

    @property
    def permanent(self) -> bool:
        """Whether waiters should stop waiting."""
        return self.failures >= FAIL_AFTER or self.timed_out

    @property
    def timed_out(self) -> bool:
        """Whether its last run exceeded the time limit of a setting."""
        return self.last_exit.result == "timeout" and self.unit in TIMEOUT_SETTINGS

    def check_result(self, result: CheckResult) -> CheckResult:
        """Returns the check's result with this unit as the reason."""
        return CheckResult(ok=False, reason=self._reason(), detail=self.last_exit.lines, facts={**result.facts, "failing": self.unit})

    def _reason(self) -> str:
        if self.timed_out:
            what, key = TIMEOUT_SETTINGS[self.unit]
            return f"{what} took longer than {key}={self.start_timeout} and was stopped"
        cause = f": {self.last_exit.cause}" if self.last_exit.cause else ""
        return f"{self.unit} has failed {self.failures} times ({self.last_exit.description}){cause}"


class FailureMonitor:
    """Watches the units of the target."""

    def __init__(self) -> None:
        self._stable_restarts = dict[str, int]()
        """Each unit's count of restarts when it last ran well."""
        self._failing: FailingUnit | None = None

    def poll(self) -> FailingUnit | None:
        """Returns the unit that failed most often, if one should be published."""
        properties_by_unit = services.show(services.target_services(), PROPERTIES)
        counts = {unit: self._failures(unit, properties) for unit, properties in properties_by_unit.items()}
        unit = max(counts, key=lambda name: counts[name], default="")
        if not unit or not counts[unit]:
            self._failing = None
        elif (
            self._failing is None
            or not self._failing.last_exit.lines
            or (unit, counts[unit]) != (self._failing.unit, self._failing.failures)
        ):
            # Its log is read once per failure. The journal may receive a program's last lines after systemd has noticed its end.
            start_timeout = properties_by_unit[unit].get("TimeoutStartUSec", "")
            self._failing = FailingUnit(unit=unit, failures=counts[unit], last_exit=unit_exit.last_exit(unit), start_timeout=start_timeout)
        return self._failing if self._failing is not None and self._failing.reportable else None

    def _failures(self, unit: str, properties: Mapping[str, str]) -> int:
        restarts = int(properties.get("NRestarts") or 0)
        if _is_stable(properties):
            self._stable_restarts[unit] = restarts
            return 0
        before = min(self._stable_restarts.get(unit, 0), restarts)  # a manual start of the unit resets the count
        between = properties.get("ActiveState") == "failed" or properties.get("SubState", "").startswith("auto-restart")
        return restarts - before + between


def _is_stable(properties: Mapping[str, str], min_uptime: float = STABLE_AFTER) -> bool:
    if properties.get("ActiveState") != "active":
        return False
    since = int(properties.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    return properties.get("Type") == "oneshot" or time.monotonic() - since >= min_uptime


def reset_restart_counts(*, min_uptime: float = 0.0) -> None:
    """Resets the restart delays, which grow with the count of restarts, of units that have run for `min_uptime` seconds."""
    properties_by_unit = services.show(services.target_services(), PROPERTIES)
    stable = [
        unit
        for unit, properties in properties_by_unit.items()
        if int(properties.get("NRestarts") or 0) and _is_stable(properties, min_uptime)
    ]
    if stable:
        services.run(["systemctl", "reset-failed", *stable], check=False)
