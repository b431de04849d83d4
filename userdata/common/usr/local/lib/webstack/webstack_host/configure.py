"""One run of a host's configuration: at each boot, and harmless at any other time.

It goes on until the host serves, and then hands over to `webstack-report`.
What waiting may mend is told as "starting" until the readiness deadline, and as "failed" from then on;
what waiting does not mend is "failed" at once, and so is a host with a unit that fails again and again (`failing`). Either way it is tried
again: what was wrong may have been put right, and then the host serves without anybody starting it anew.
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
"""Seconds between two looks at the host's own services, at first."""
SLOW_POLL_INTERVAL = 2.0
"""Seconds between two looks when it takes long: a host that waits for others should not busy itself."""
LOG_LINES = 12
"""Lines of each unit's log that explain why a host does not serve yet."""
TRACE_LINES = 6
"""Lines of a traceback that explain an error of one line."""
REFUSAL_GRACE = 60.0
"""Seconds after which a refusal that stays the same counts as one that lasts."""
REPUBLISH_INTERVAL = 15.0
"""Seconds after which a failure that lasts is told again: whoever waits for this host believes what is told while they wait."""

PACKAGE_POLICY = Path("/usr/sbin/policy-rc.d")
"""Keeps packages from starting their services while the host is being put together; where an image has one, it ends here."""

PublishState = Callable[[readiness.State, CheckResult], bool]
"""Tells a state; whether it was told."""


class Role(Protocol):
    """What a role's module `role` offers; of a role whose hosts reload something, `reconfigure.Role` as well."""

    metadata_users: tuple[str, ...]
    """Users, besides root, whose programs call AWS by this host's role."""

    def configure(self) -> None:
        """Puts files in place and validates them; starts nothing new. Harmless after an attempt of its own that did not get to its end."""
        ...

    def check(self) -> CheckResult:
        """Tries the host's services as its clients would; quick, and never raises for a service that is not there yet."""
        ...


def main() -> int:
    """Configures, starts and checks this host; returns the exit code once it serves."""
    variables = config.load_common()
    with contextlib.suppress(CommandError):
        services.stop_reporting()
    run_until_ready(variables, lambda: load_role(variables), publish=publish_state)
    start_reporter(variables)
    return 0


def load_role(variables: HostVariables) -> Role:
    """The module of this host's role; what it imports may have come by a package since the last attempt."""
    importlib.invalidate_caches()
    return cast(Role, importlib.import_module(f"{variables.role}_role.role"))


def run_until_ready(variables: HostVariables, role: Callable[[], Role], *, publish: PublishState) -> None:
    """Brings the host to where it serves, however long that takes, and tells how it stands meanwhile."""
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
    """How long the same refusal has been heard without another word in between."""

    def __init__(self) -> None:
        self._reason, self._since = "", 0.0

    def has_expired(self, result: CheckResult) -> bool:
        """Whether this one has gone on for REFUSAL_GRACE."""
        reason = result.reason if result.refused else ""
        if reason != self._reason:
            self._reason, self._since = reason, time.monotonic()
        return bool(reason) and time.monotonic() - self._since >= REFUSAL_GRACE


def start_reporter(variables: HostVariables) -> None:
    """Leaves the record to the reporter. Only from now on may upgrades come."""
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
    """One attempt at the configuration, with the start of all services at its end; what came in its way."""
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
    """A failed attempt as others are told of it: the error's first line, and what explains it."""
    reason, *more = str(error).splitlines() or [type(error).__name__]
    lines = more or "".join(traceback.format_exception(error)).splitlines()[-TRACE_LINES:]
    return CheckResult(ok=False, reason=f"not configured: {reason}", detail=lines)


def run_check(role: Callable[[], Role]) -> CheckResult:
    """What the role's check found; one that raises found nothing that serves."""
    try:
        return role().check()
    except Exception as error:
        return CheckResult(ok=False, reason=f"cannot be checked: {error}")


def require_complete(result: CheckResult) -> CheckResult:
    """A check as a boot takes it: what the API could not be asked has to be known once, before this host is called ready."""
    return replace(result, ok=False, reason=result.unverified) if result.ok and result.unverified else result


def failing_unit(monitor: unit_failures.FailureMonitor) -> FailingUnit | None:
    """The unit that is to be told of in place of what the role's check found; none where systemd or its journal cannot be asked."""
    try:
        return monitor.poll()
    except Exception as error:
        print(f"webstack: the units cannot be looked at: {error}", file=sys.stderr, flush=True)
        return None


class ProgressReporter:
    """What has been told of a host that does not serve yet."""

    def __init__(self, publish: PublishState, *, deadline: float) -> None:
        self._publish = publish
        self._deadline = deadline
        self._last_published: tuple[readiness.State, str] | None = None
        self._published_at = 0.0

    def report(self, result: CheckResult, *, permanent: bool = False) -> None:
        """Tells why, where that is news or is to be repeated. What could not be told is news the next time too."""
        moment = time.monotonic()
        state: readiness.State = "failed" if permanent or moment > self._deadline else "starting"
        repeated = state == "failed" and moment - self._published_at >= REPUBLISH_INTERVAL
        signature: tuple[readiness.State, str] = (state, result.reason)
        if signature == self._last_published and not repeated:
            return
        if self._publish(state, replace(result, detail=with_unit_logs(state, result))):
            self._last_published, self._published_at = signature, moment


def with_unit_logs(state: readiness.State, result: CheckResult) -> list[str]:
    """A check's own lines and the last of its units' logs; of a host that has failed those of all failed units, where none is named yet."""
    others = services.failed_unit_logs() if state == "failed" and "failing" not in result.facts else ()
    return [*result.detail, *(services.journal(result.units, LOG_LINES) if result.units else ()), *others]


def publish_state(state: readiness.State, result: CheckResult) -> bool:
    """Publishes a state; whether it was published."""
    print(f"webstack: {state}: {result.reason}", *result.detail, sep="\n  ", file=sys.stderr, flush=True)
    try:
        # The last that is told here is `ready`; from then on the reporter renews it.
        readiness.publish(state, result.reason, result.detail, result.facts, result.metrics, periodic=state == "ready")
    except Exception as error:
        print(f"webstack: readiness not published: {error}", file=sys.stderr, flush=True)
        return False
    return True
