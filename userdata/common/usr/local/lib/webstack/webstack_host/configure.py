"""One run of a host's configuration: at each boot, and harmless at any other time."""

import importlib
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from webstack_host import config, readiness, services
from webstack_host.config import HostConfig
from webstack_host.readiness import Check

POLL = 0.25
"""Seconds between two looks at the host's own services, at first."""
SLOW_POLL = 2.0
"""Seconds between two looks when it takes long: a host that waits for others should not busy itself."""
LOG_LINES = 12
"""Lines of each unit's log that explain why a host does not serve yet."""

PACKAGE_POLICY = Path("/usr/sbin/policy-rc.d")
"""Keeps packages from starting their services while the host is being put together."""


class Role(Protocol):
    """What a role's module offers."""

    def configure(self, config: HostConfig) -> None:
        """Puts files in place and validates them; starts nothing new."""
        ...

    def check(self, config: HostConfig) -> Check:
        """Tries the host's services as its clients would; quick, and never raises for a service that is not there yet."""
        ...


def main() -> int:
    """Configures, starts and checks this host; returns the exit code."""
    loaded = config.load()
    try:
        role = cast(Role, importlib.import_module(f"{loaded.role}_role"))
        return serve(loaded, role, say=announce)
    except Exception as error:
        traceback.print_exc()
        reason, *more = str(error).splitlines() or [type(error).__name__]
        announce("failed", Check(ok=False, reason=f"not configured: {reason}", detail=more or traceback.format_exc().splitlines()[-6:]))
        return 1


def serve(loaded: HostConfig, role: Role, *, say: Callable[[readiness.State, Check], None]) -> int:
    """Runs the role to its end: ready, or failed after `readiness_timeout` seconds with the reason of its last check."""
    begun = time.monotonic()
    deadline = begun + int(loaded.readiness_timeout)
    say("starting", Check(ok=False, reason="being configured"))
    services.reload_manager()
    role.configure(loaded)
    PACKAGE_POLICY.unlink(missing_ok=True)
    services.start()
    told = ""
    while True:
        found = role.check(loaded)
        if found.ok:
            say("ready", found)
            return 0
        if time.monotonic() > deadline:
            say("failed", replace(found, detail=[*explained(found), *services.failures()]))
            return 1
        if found.reason != told:
            told = found.reason
            say("starting", replace(found, detail=explained(found)))
        time.sleep(min(SLOW_POLL, POLL + (time.monotonic() - begun) / 60))


def explained(found: Check) -> list[str]:
    """A check's own lines and the last of its units' logs."""
    return [*found.detail, *(services.journal(found.units, LOG_LINES) if found.units else ())]


def announce(state: readiness.State, found: Check) -> None:
    """Publishes a state. Progress may be lost; the outcome is tried until it is told or ten minutes have passed."""
    print(f"webstack: {state}: {found.reason}", *found.detail, sep="\n  ", file=sys.stderr, flush=True)
    deadline = time.monotonic() + 600
    while True:
        try:
            readiness.publish(state, found.reason, found.detail, found.facts)
        except Exception as error:
            print(f"webstack: readiness not published: {error}", file=sys.stderr, flush=True)
            if state == "starting" or time.monotonic() > deadline:
                return
            time.sleep(2)
        else:
            return
