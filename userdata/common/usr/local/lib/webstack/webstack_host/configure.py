"""Configures a host at each boot; harmless at any other time.

It runs until the host serves, and then hands over to `webstack-report`. An error that may pass is published as "starting" until the
readiness deadline and as "failed" afterwards. A permanent error, or a unit that fails repeatedly (`unit_failures`), is "failed" at once.
Either way it keeps trying: once the cause is fixed, the host serves without having to be restarted.
"""

import contextlib
import importlib
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from webstack_host import backoff, config, hardening, imds_access, readiness, reconfigure, services, unit_failures
from webstack_host.errors import PermanentError
from webstack_host.readiness import CheckResult
from webstack_host.run import CommandError
from webstack_host.unit_failures import FailingUnit
from webstack_host.variables import HostVariables

POLL_INTERVAL = 0.25
"""Seconds between two checks of the host's own services, at first."""
SLOW_POLL_INTERVAL = 2.0
"""Seconds between two checks once it takes long, so that a host that waits for others uses little CPU time."""
LOG_LINES = 12
"""The lines of each unit's log that are published to explain why a host does not serve yet."""
TRACE_LINES = 6
"""The lines of a traceback that are published with an error."""
REFUSAL_GRACE = 60.0
"""Seconds after which an unchanged refusal counts as permanent."""
REPUBLISH_INTERVAL = 15.0
"""Seconds after which an ongoing failure is published again: a waiter believes only what is published while it waits."""

PACKAGE_POLICY = Path("/usr/sbin/policy-rc.d")
"""Keeps packages from starting their services during installation. Removed here, also if the image has it."""

PublishState = Callable[[readiness.State, CheckResult], bool]
"""Publishes a state; returns whether it was published."""


class Role(Protocol):
    """The interface of a role's module `role`. Roles with a configuration object also have `reconfigure.Role`."""

    metadata_users: tuple[str, ...]
    """Users, besides root, whose programs call AWS with this host's IAM role."""

    def configure(self) -> None:
        """Installs files and validates them; starts nothing new. Harmless after an attempt that was interrupted."""
        ...

    def check(self) -> CheckResult:
        """Checks the host's services as its clients would. Fast; does not raise for a service that does not run yet."""
        ...


def main() -> int:
    """Configures, starts and checks this host. Returns the exit code once it serves."""
    variables = config.load_common()
    with contextlib.suppress(CommandError):
        services.stop_reporting()
    run_until_ready(variables, lambda: load_role(variables), publish=publish_state)
    start_reporter(variables)
    return 0


def load_role(variables: HostVariables) -> Role:
    """Imports the module of this host's role. A package that it imports may have been installed since the last attempt."""
    importlib.invalidate_caches()
    return cast(Role, importlib.import_module(f"{variables.role}_role.role"))


def run_until_ready(variables: HostVariables, role: Callable[[], Role], *, publish: PublishState) -> None:
    """Configures and checks until the host serves, however long that takes, and publishes its state meanwhile."""
    began = time.monotonic()
    progress = ProgressReporter(publish, deadline=began + variables.readiness_timeout)
    progress.report(CheckResult(ok=False, reason="being configured"))
    pause = backoff.exponential()
    boot = reconfigure.BootConfiguration(variables)
    while (error := try_configure(variables, role, boot)) is not None:
        progress.report(configuration_failure(error), permanent=isinstance(error, PermanentError))
        time.sleep(next(pause))
    units, refusals = unit_failures.FailureMonitor(), RefusalTimer()
    while not (result := require_complete(run_check(role))).ok:
        unit = failing_unit(units)
        progress.report(
            unit.check_result(result) if unit else result,
            permanent=result.permanent or refusals.has_expired(result) or (unit is not None and unit.permanent),
        )
        time.sleep(min(SLOW_POLL_INTERVAL, POLL_INTERVAL + (time.monotonic() - began) / 60))
    with contextlib.suppress(Exception):  # the host serves
        unit_failures.reset_restart_counts()
    pause = backoff.exponential()
    while not publish("ready", result):
        time.sleep(next(pause))


class RefusalTimer:
    """Measures for how long the same refusal has been found without interruption."""

    def __init__(self) -> None:
        self._reason, self._since = "", 0.0

    def has_expired(self, result: CheckResult) -> bool:
        """Whether this refusal has lasted for REFUSAL_GRACE."""
        reason = result.reason if result.refused else ""
        if reason != self._reason:
            self._reason, self._since = reason, time.monotonic()
        return bool(reason) and time.monotonic() - self._since >= REFUSAL_GRACE


def start_reporter(variables: HostVariables) -> None:
    """Starts the reporter, which writes the record from now on, and allows upgrades."""
    for pause in backoff.exponential():
        try:
            services.start_reporting()
            if variables.upgrades_at:
                services.enable_upgrades()
        except CommandError as error:
            print(f"webstack: {error}", file=sys.stderr, flush=True)
            time.sleep(pause)
        else:
            return


def try_configure(variables: HostVariables, role: Callable[[], Role], boot: reconfigure.BootConfiguration) -> Exception | None:
    """Makes one attempt to configure the host and then start all services. Returns the error, or None."""
    try:
        hardening.apply()
        if variables.upgrades_at:
            services.schedule_upgrades(variables.upgrades_at)
        services.daemon_reload()
        services.disable_vendor_units(*services.VENDOR_UPGRADE_UNITS)
        desired = boot.fetch()
        role().configure()
        imds_access.restrict(role().metadata_users)
        boot.apply(desired, role())
        PACKAGE_POLICY.unlink(missing_ok=True)
        services.start_target()
    except Exception as error:
        traceback.print_exc()
        return error
    return None


def configuration_failure(error: Exception) -> CheckResult:
    """Returns a failed attempt as a check result: the error's first line, and the lines that explain it."""
    reason, *more = str(error).splitlines() or [type(error).__name__]
    lines = more or "".join(traceback.format_exception(error)).splitlines()[-TRACE_LINES:]
    return CheckResult(ok=False, reason=f"not configured: {reason}", detail=lines)


def run_check(role: Callable[[], Role]) -> CheckResult:
    """Returns the result of the role's check; an exception counts as not serving."""
    try:
        return role().check()
    except Exception as error:
        return CheckResult(ok=False, reason=f"cannot be checked: {error}")


def require_complete(result: CheckResult) -> CheckResult:
    """Returns a check's result for a boot: what the API could not confirm must be confirmed once before the host is ready."""
    return replace(result, ok=False, reason=result.unverified) if result.ok and result.unverified else result


def failing_unit(monitor: unit_failures.FailureMonitor) -> FailingUnit | None:
    """Returns the failing unit to publish instead of the check's result; None if there is none or systemd cannot be asked."""
    try:
        return monitor.poll()
    except Exception as error:
        print(f"webstack: the units cannot be looked at: {error}", file=sys.stderr, flush=True)
        return None


class ProgressReporter:
    """Publishes the state of a host that does not serve yet."""

    def __init__(self, publish: PublishState, *, deadline: float) -> None:
        self._publish = publish
        self._deadline = deadline
        self._last_published: tuple[readiness.State, str] | None = None
        self._published_at = 0.0

    def report(self, result: CheckResult, *, permanent: bool = False) -> None:
        """Publishes the reason if it has changed or must be repeated. A failed publication is tried again the next time."""
        moment = time.monotonic()
        state: readiness.State = "failed" if permanent or moment > self._deadline else "starting"
        repeated = state == "failed" and moment - self._published_at >= REPUBLISH_INTERVAL
        signature: tuple[readiness.State, str] = (state, result.reason)
        if signature == self._last_published and not repeated:
            return
        if self._publish(state, replace(result, detail=with_unit_logs(state, result))):
            self._last_published, self._published_at = signature, moment


def with_unit_logs(state: readiness.State, result: CheckResult) -> list[str]:
    """Returns a check's own lines and the last log lines of its units. If the host has failed and it names none, of all failed units."""
    others = services.failed_unit_logs() if state == "failed" and "failing" not in result.facts else ()
    return [*result.detail, *(services.journal(result.units, LOG_LINES) if result.units else ()), *others]


def publish_state(state: readiness.State, result: CheckResult) -> bool:
    """Publishes a state and returns whether it was published."""
    print(f"webstack: {state}: {result.reason}", *result.detail, sep="\n  ", file=sys.stderr, flush=True)
    try:
        # The last state published here is `ready`; from then on the reporter renews it.
        readiness.publish(state, result.reason, result.detail, result.facts, result.metrics, periodic=state == "ready")
    except Exception as error:
        print(f"webstack: readiness not published: {error}", file=sys.stderr, flush=True)
        return False
    return True
