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

from webstack_host import config, failing, hardening, metadata, pauses, readiness, reconfigure, services
from webstack_host.config import HostConfig
from webstack_host.errors import PermanentError
from webstack_host.failing import Failing
from webstack_host.readiness import Check
from webstack_host.run import CommandError

POLL = 0.25
"""Seconds between two looks at the host's own services, at first."""
SLOW_POLL = 2.0
"""Seconds between two looks when it takes long: a host that waits for others should not busy itself."""
LOG_LINES = 12
"""Lines of each unit's log that explain why a host does not serve yet."""
TRACE_LINES = 6
"""Lines of a traceback that explain an error of one line."""
REFUSED_FOR = 60.0
"""Seconds after which a refusal that stays the same counts as one that lasts."""
TELL_AGAIN = 15.0
"""Seconds after which a failure that lasts is told again: whoever waits for this host believes what is told while they wait."""

PACKAGE_POLICY = Path("/usr/sbin/policy-rc.d")
"""Keeps packages from starting their services while the host is being put together; where an image has one, it ends here."""

Say = Callable[[readiness.State, Check], bool]
"""Tells a state; whether it was told."""


class Role(Protocol):
    """What a role's module offers; one with a configuration offers `reconfigure.Role` as well."""

    metadata_users: tuple[str, ...]
    """Users, besides root, whose programs call AWS by this host's role."""

    def configure(self, config: HostConfig) -> None:
        """Puts files in place and validates them; starts nothing new. Harmless after an attempt of its own that did not get to its end."""
        ...

    def check(self, config: HostConfig) -> Check:
        """Tries the host's services as its clients would; quick, and never raises for a service that is not there yet."""
        ...


def main() -> int:
    """Configures, starts and checks this host; returns the exit code once it serves."""
    loaded = config.load()
    with contextlib.suppress(CommandError):
        services.stop_reporting()
    serve(loaded, lambda: role_of(loaded), say=announce)
    hand_over(loaded)
    return 0


def role_of(loaded: HostConfig) -> Role:
    """The module of this host's role; what it imports may have come by a package since the last attempt."""
    importlib.invalidate_caches()
    return cast(Role, importlib.import_module(f"{loaded.role}_role"))


def serve(loaded: HostConfig, role: Callable[[], Role], *, say: Say) -> None:
    """Brings the host to where it serves, however long that takes, and tells how it stands meanwhile."""
    began = time.monotonic()
    progress = Progress(say, deadline=began + int(loaded.readiness_timeout))
    progress.not_yet(Check(ok=False, reason="being configured"))
    pause = pauses.growing()
    boot = reconfigure.Boot(loaded)
    while (error := attempted(loaded, role, boot)) is not None:
        progress.not_yet(not_configured(error), permanent=isinstance(error, PermanentError))
        time.sleep(next(pause))
    units, refusals = failing.Watch(), Refusals()
    here = boot.in_force()
    while not (found := known(checked(here, role))).ok:
        unit = failing_unit(units)
        progress.not_yet(
            unit.check(found) if unit else found, permanent=found.lasting or refusals.lasts(found) or (unit is not None and unit.final)
        )
        time.sleep(min(SLOW_POLL, POLL + (time.monotonic() - began) / 60))
    with contextlib.suppress(Exception):  # the host serves
        failing.settle()
    pause = pauses.growing()
    while not say("ready", found):
        time.sleep(next(pause))


class Refusals:
    """How long the same refusal has been heard without another word in between."""

    def __init__(self) -> None:
        self._reason, self._since = "", 0.0

    def lasts(self, found: Check) -> bool:
        """Whether this one has gone on for REFUSED_FOR."""
        reason = found.reason if found.refused else ""
        if reason != self._reason:
            self._reason, self._since = reason, time.monotonic()
        return bool(reason) and time.monotonic() - self._since >= REFUSED_FOR


def hand_over(loaded: HostConfig) -> None:
    """Leaves the record to the reporter. Only from now on may upgrades come."""
    for pause in pauses.growing():
        try:
            services.start_reporting()
            if loaded.upgrades_at:
                services.start_upgrading()
        except CommandError as error:
            print(f"webstack: {error}", file=sys.stderr, flush=True)
            time.sleep(pause)
        else:
            return


def attempted(loaded: HostConfig, role: Callable[[], Role], boot: reconfigure.Boot) -> Exception | None:
    """One attempt at the configuration, with the start of all services at its end; what came in its way."""
    try:
        hardening.apply()
        if loaded.upgrades_at:
            services.time_upgrades(loaded.upgrades_at)
        services.reload_manager()
        services.take_over(*services.PACKAGED_UPGRADES)
        found = boot.wanted()
        role().configure(loaded)
        metadata.restrict(role().metadata_users)
        boot.put_in_force(found, role())
        PACKAGE_POLICY.unlink(missing_ok=True)
        services.start()
    except Exception as error:
        traceback.print_exc()
        return error
    return None


def not_configured(error: Exception) -> Check:
    """A failed attempt as others are told of it: the error's first line, and what explains it."""
    reason, *more = str(error).splitlines() or [type(error).__name__]
    lines = more or "".join(traceback.format_exception(error)).splitlines()[-TRACE_LINES:]
    return Check(ok=False, reason=f"not configured: {reason}", detail=lines)


def checked(loaded: HostConfig, role: Callable[[], Role]) -> Check:
    """What the role's check found; one that raises found nothing that serves."""
    try:
        return role().check(loaded)
    except Exception as error:
        return Check(ok=False, reason=f"cannot be checked: {error}")


def known(found: Check) -> Check:
    """A check as a boot takes it: what the API could not be asked has to be known once, before this host is called ready."""
    return replace(found, ok=False, reason=found.unasked) if found.ok and found.unasked else found


def failing_unit(units: failing.Watch) -> Failing | None:
    """The unit that is to be told of in place of what the role's check found; none where systemd or its journal cannot be asked."""
    try:
        return units.look()
    except Exception as error:
        print(f"webstack: the units cannot be looked at: {error}", file=sys.stderr, flush=True)
        return None


class Progress:
    """What has been told of a host that does not serve yet."""

    def __init__(self, say: Say, *, deadline: float) -> None:
        self._say = say
        self._deadline = deadline
        self._told: tuple[readiness.State, str] | None = None
        self._told_at = 0.0

    def not_yet(self, found: Check, *, permanent: bool = False) -> None:
        """Tells why, where that is news or is to be repeated. What could not be told is news the next time too."""
        moment = time.monotonic()
        state: readiness.State = "failed" if permanent or moment > self._deadline else "starting"
        repeated = state == "failed" and moment - self._told_at >= TELL_AGAIN
        word: tuple[readiness.State, str] = (state, found.reason)
        if word == self._told and not repeated:
            return
        if self._say(state, replace(found, detail=explained(state, found))):
            self._told, self._told_at = word, moment


def explained(state: readiness.State, found: Check) -> list[str]:
    """A check's own lines and the last of its units' logs; of a host that has failed those of all failed units, where none is named yet."""
    others = services.failures() if state == "failed" and "failing" not in found.facts else ()
    return [*found.detail, *(services.journal(found.units, LOG_LINES) if found.units else ()), *others]


def announce(state: readiness.State, found: Check) -> bool:
    """Publishes a state; whether it was published."""
    print(f"webstack: {state}: {found.reason}", *found.detail, sep="\n  ", file=sys.stderr, flush=True)
    try:
        # The last that is told here is `ready`; from then on the reporter renews it.
        readiness.publish(state, found.reason, found.detail, found.facts, found.measures, renewed=state == "ready")
    except Exception as error:
        print(f"webstack: readiness not published: {error}", file=sys.stderr, flush=True)
        return False
    return True
