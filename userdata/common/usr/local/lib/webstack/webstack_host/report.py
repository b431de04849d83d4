"""Tells how this host serves, for as long as it runs: what changes at once, and that it still is so about once a minute.

Begun by each boot's webstack-configure once the host serves. What stops serving is told within seconds, as "unready"; as "failed" when it
lasts, and then again and again, so that an `up` which waits for this host believes it. It may serve again at any time, and tells so.
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
"""Seconds between two looks at the host's own services."""
RECHECK_INTERVAL = 1.0
"""Seconds until the second look at a host that served at the last one: a single answer that was late is no news."""
FAILED_AFTER = 30.0
"""Seconds for which a host that served may not serve, until it has failed: a restart of a service takes less."""
CONFIG_POLL_INTERVAL = 0.5
"""Seconds between two glances at the configuration that is in force."""

Publish = Callable[[State, CheckResult, bool], bool]
"""Tells a state, and whether it is news; returns whether it was told."""


class Reporter:
    """What has been told of a host that served when this began, and what follows from each look at it."""

    def __init__(
        self, run_check: Callable[[], CheckResult], publish: Publish, *, clock: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        self._run_check, self._publish, self._clock, self._jitter = run_check, publish, clock, jitter
        self._last_published: object = None
        self._publish_at = 0.0
        self._lost_at: float | None = None
        self._pauses = backoff.exponential()

    def step(self) -> float:
        """Looks once and tells what is to be told; returns the seconds until the next look."""
        result = self._run_check()
        state = self._state(result)
        if state is None:
            return RECHECK_INTERVAL
        signature = (state, result.reason, result.facts, desired_config.record_fields())
        if signature != self._last_published or self._clock() >= self._publish_at:
            return self._publish_state(state, result, signature)
        return CHECK_INTERVAL

    def _state(self, result: CheckResult) -> State | None:
        """What a look means; None where a second one decides."""
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
    """The units that fail again and again, for a check that found nothing that serves."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failure_monitor = unit_failures.FailureMonitor()
        self._polled_at = float("-inf")

    def explain_failure(self, result: CheckResult) -> CheckResult:
        """The check, or the unit that fails in its place. While all is well the units are looked at rarely: to know that they ran well."""
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
    """Publishes the record; whether it was published."""
    if changed:
        print(f"webstack-report: {state}: {result.reason}", *result.detail, sep="\n  ", file=sys.stderr, flush=True)
    try:
        readiness.publish(state, result.reason, result.detail, result.facts, result.metrics, periodic=True)
    except Exception as error:
        print(f"webstack-report: not published: {error}", file=sys.stderr, flush=True)
        return False
    return True


def main() -> None:
    """Runs for ever."""
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
    """By this a change of the configuration in force is noticed: each is written as a new file."""
    return [_inode(path) for path in (desired_config.APPLIED_PATH, desired_config.FAILURE_PATH)]


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
