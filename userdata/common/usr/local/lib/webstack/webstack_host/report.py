"""Keeps this host's readiness record up to date: publishes changes at once, and renews an unchanged record about once a minute.

Each boot's webstack-configure starts it once the host serves. A host that stops serving is published as "unready" within seconds and, if
that lasts, as "failed", which is then repeated so that a waiting `up` believes it. A host that serves again is published as "ready".
"""

import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from webstack_host import aws, backoff, config, desired_config, readiness, unit_failures
from webstack_host.configure import REPUBLISH_INTERVAL, failing_unit, load_role, run_check, with_unit_logs
from webstack_host.readiness import CheckResult, State

CHECK_INTERVAL = 5.0
"""Seconds between two checks of the host's own services."""
RECHECK_INTERVAL = 1.0
"""Seconds until the second check of a host that served at the last one, since a single late answer is not published."""
FAILED_AFTER = 30.0
"""Seconds without service after which a host has failed; a restart of a service takes less."""
CONFIG_POLL_INTERVAL = 0.5
"""Seconds between two checks whether the configuration in force has changed."""

Publish = Callable[[State, CheckResult, bool], bool]
"""Publishes a state, given whether it is new; returns whether it was published."""


class Reporter:
    """Decides after each check what to publish about a host that served when the reporter started."""

    def __init__(
        self, run_check: Callable[[], CheckResult], publish: Publish, *, clock: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        self._run_check, self._publish, self._clock, self._jitter = run_check, publish, clock, jitter
        self._last_published: object = None
        self._publish_at = 0.0
        self._lost_at: float | None = None
        self._pauses = backoff.exponential()

    def step(self) -> float:
        """Checks once and publishes if necessary. Returns the seconds until the next check."""
        result = self._run_check()
        state = self._state(result)
        if state is None:
            return RECHECK_INTERVAL
        signature = (state, result.reason, result.facts, desired_config.record_fields())
        if signature != self._last_published or self._clock() >= self._publish_at:
            return self._publish_state(state, result, signature)
        return CHECK_INTERVAL

    def _state(self, result: CheckResult) -> State | None:
        """Returns the state that a check's result means; None if a second check must decide."""
        moment = self._clock()
        if result.ok:
            self._lost_at = None
            return "ready"
        if self._lost_at is None:
            self._lost_at = moment
            return None
        return "failed" if moment - self._lost_at >= FAILED_AFTER and not result.recovering else "unready"

    def _publish_state(self, state: State, result: CheckResult, signature: object) -> float:
        if not self._publish(state, replace(result, detail=with_unit_logs(state, result)), signature != self._last_published):
            return next(self._pauses)
        self._pauses = backoff.exponential()
        self._last_published = signature
        self._publish_at = self._clock() + (REPUBLISH_INTERVAL if state == "failed" else readiness.HEARTBEAT + self._jitter())
        return CHECK_INTERVAL


class UnitMonitor:
    """Finds units that fail repeatedly, to explain a failed check."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failure_monitor = unit_failures.FailureMonitor()
        self._polled_at = float("-inf")

    def explain_failure(self, result: CheckResult) -> CheckResult:
        """Returns the check's result, or the failing unit instead. While all is well, units are read rarely, to note that they run well."""
        if not result.ok:
            unit = failing_unit(self._failure_monitor)
            return unit.check_result(result) if unit else result
        if self._clock() - self._polled_at >= readiness.HEARTBEAT:
            self._polled_at = self._clock()
            failing_unit(self._failure_monitor)
            with suppress(Exception):  # the host serves
                unit_failures.reset_restart_counts(min_uptime=unit_failures.STABLE_AFTER)
        return result


def publish(state: State, result: CheckResult, changed: bool) -> bool:
    """Publishes the record and returns whether it was published."""
    if changed:
        print(f"webstack-report: {state}: {result.reason}", *result.detail, sep="\n  ", file=sys.stderr, flush=True)
    try:
        readiness.publish(state, result.reason, result.detail, result.facts, result.metrics, periodic=True)
    except Exception as error:
        print(f"webstack-report: not published: {error}", file=sys.stderr, flush=True)
        return False
    return True


def main() -> None:
    """Runs forever."""
    aws.use_short_timeouts()
    role, units = load_role(config.load_common()), UnitMonitor(time.monotonic)

    def check() -> CheckResult:
        return units.explain_failure(run_check(lambda: role))

    reporter = Reporter(check, publish, clock=time.monotonic, jitter=lambda: secrets.SystemRandom().uniform(0, readiness.JITTER))
    while True:
        inodes = _config_inodes()
        try:
            pause = reporter.step()
        except Exception as error:
            print(f"webstack-report: {error}", file=sys.stderr, flush=True)
            pause = CHECK_INTERVAL
        until = time.monotonic() + pause
        while time.monotonic() < until and inodes == _config_inodes():
            time.sleep(CONFIG_POLL_INTERVAL)


def _config_inodes() -> list[int]:
    """Returns the inodes of the files in force, which change with the configuration: each change writes a new file."""
    return [_inode(path) for path in (desired_config.APPLIED_PATH, desired_config.FAILURE_PATH)]


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
