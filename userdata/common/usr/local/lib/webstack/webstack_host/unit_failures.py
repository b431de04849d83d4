"""Which of this host's units fail again and again: how often, how, and what their programs said last.

systemd starts a unit again whatever it failed of, so a failing one alternates between `activating` and, for a moment, `active`: a look at
its state alone finds nothing wrong. Its count of restarts does not go back (systemd, src/core/service.c: `n_restarts` is set to 0 by a
start or `reset-failed` of somebody's, never by systemd's own).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from webstack_host import services, unit_exit
from webstack_host.readiness import CheckResult
from webstack_host.unit_exit import UnitExit

REPORT_AFTER = 2
"""Failures of a unit after which it is told of: the first may be an accident."""
FAIL_AFTER = 5
"""Failures of a unit after which its host has failed, so that nobody waits for it. systemd goes on trying."""
STABLE_AFTER = 60.0
"""Seconds after which a service that runs has stopped failing. Gunicorn is `active` before its workers have loaded the app."""

TIMEOUT_SETTINGS: Mapping[str, tuple[str, str]] = {"webstack-migrate.service": ("the migration", "web.migrateTimeout")}
"""Units whose time a setting limits: what they are called, and its key."""

PROPERTIES = ("ActiveState", "SubState", "Type", "NRestarts", "ActiveEnterTimestampMonotonic", "TimeoutStartUSec")


@dataclass(frozen=True, kw_only=True)
class FailingUnit:
    """A unit that failed at least once since it last ran well."""

    unit: str
    failures: int
    last_exit: UnitExit
    """How its last run ended."""
    start_timeout: str
    """How long it may take to start, as systemd writes it."""

    @property
    def reportable(self) -> bool:
        """Whether it is to be told of. A run that took too long will the next time, too."""
        return self.failures >= REPORT_AFTER or self.timed_out

    @property
    def permanent(self) -> bool:
        """Whether nobody is to wait any longer."""
        return self.failures >= FAIL_AFTER or self.timed_out

    @property
    def timed_out(self) -> bool:
        """Whether the time that a setting gives it was over."""
        return self.last_exit.result == "timeout" and self.unit in TIMEOUT_SETTINGS

    def check_result(self, result: CheckResult) -> CheckResult:
        """What a check found, with this as its reason."""
        return CheckResult(ok=False, reason=self._reason(), detail=self.last_exit.lines, facts={**result.facts, "failing": self.unit})

    def _reason(self) -> str:
        if self.timed_out:
            what, key = TIMEOUT_SETTINGS[self.unit]
            return f"{what} took longer than {key}={self.start_timeout} and was stopped"
        cause = f": {self.last_exit.cause}" if self.last_exit.cause else ""
        return f"{self.unit} has failed {self.failures} times ({self.last_exit.description}){cause}"


class FailureMonitor:
    """The units of the target, looked at again and again."""

    def __init__(self) -> None:
        self._stable_restarts = dict[str, int]()
        """For each unit its restarts when it last ran well."""
        self._failing: FailingUnit | None = None

    def poll(self) -> FailingUnit | None:
        """The unit that failed most often, where one is to be told of."""
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
            # Its log is read once for each failure; the journal may get a program's last lines later than systemd knows of its end.
            limit = properties_by_unit[unit].get("TimeoutStartUSec", "")
            self._failing = FailingUnit(unit=unit, failures=counts[unit], last_exit=unit_exit.last_exit(unit), start_timeout=limit)
        return self._failing if self._failing is not None and self._failing.reportable else None

    def _failures(self, unit: str, properties: Mapping[str, str]) -> int:
        restarts = int(properties.get("NRestarts") or 0)
        if _is_stable(properties):
            self._stable_restarts[unit] = restarts
            return 0
        before = min(self._stable_restarts.get(unit, 0), restarts)  # the count begins anew where somebody starts the unit
        between = properties.get("ActiveState") == "failed" or properties.get("SubState", "").startswith("auto-restart")
        return restarts - before + between


def _is_stable(properties: Mapping[str, str], min_uptime: float = STABLE_AFTER) -> bool:
    if properties.get("ActiveState") != "active":
        return False
    since = int(properties.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    return properties.get("Type") == "oneshot" or time.monotonic() - since >= min_uptime


def reset_restart_counts(*, min_uptime: float = 0.0) -> None:
    """Lets the pauses between two starts of a unit that runs since `steady` seconds begin anew: they grow with its count of restarts."""
    properties_by_unit = services.show(services.target_services(), PROPERTIES)
    stable = [
        unit
        for unit, properties in properties_by_unit.items()
        if int(properties.get("NRestarts") or 0) and _is_stable(properties, min_uptime)
    ]
    if stable:
        services.run(["systemctl", "reset-failed", *stable], check=False)
