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

from webstack_host import aws, config, failing, pauses, readiness, wanted
from webstack_host.configure import TELL_AGAIN, checked, explained, failing_unit, role_of
from webstack_host.readiness import Check, State

LOOK = 5.0
"""Seconds between two looks at the host's own services."""
DOUBT = 1.0
"""Seconds until the second look at a host that served at the last one: a single answer that was late is no news."""
FAILED_AFTER = 30.0
"""Seconds for which a host that served may not serve, until it has failed: a restart of a service takes less."""
GLANCE = 0.5
"""Seconds between two glances at the configuration that is in force."""

Tell = Callable[[State, Check, bool], bool]
"""Tells a state, and whether it is news; returns whether it was told."""


class Reporter:
    """What has been told of a host that served when this began, and what follows from each look at it."""

    def __init__(self, look: Callable[[], Check], tell: Tell, *, now: Callable[[], float], spread: Callable[[], float]) -> None:
        self._look, self._tell, self._now, self._spread = look, tell, now, spread
        self._told: object = None
        self._again_at = 0.0
        self._lost_at: float | None = None
        self._pauses = pauses.growing()

    def step(self) -> float:
        """Looks once and tells what is to be told; returns the seconds until the next look."""
        found = self._look()
        state = self._state(found)
        if state is None:
            return DOUBT
        word = (state, found.reason, found.facts, wanted.told())
        if word != self._told or self._now() >= self._again_at:
            return self._say(state, found, word)
        return LOOK

    def _state(self, found: Check) -> State | None:
        """What a look means; None where a second one decides."""
        moment = self._now()
        if found.ok:
            self._lost_at = None
            return "ready"
        if self._lost_at is None:
            self._lost_at = moment
            return None
        return "failed" if moment - self._lost_at >= FAILED_AFTER and not found.mending else "unready"

    def _say(self, state: State, found: Check, word: object) -> float:
        if not self._tell(state, replace(found, detail=explained(state, found)), word != self._told):
            return next(self._pauses)
        self._pauses = pauses.growing()
        self._told = word
        self._again_at = self._now() + (TELL_AGAIN if state == "failed" else readiness.HEARTBEAT + self._spread())
        return LOOK


class Units:
    """The units that fail again and again, for a check that found nothing that serves."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._watch = failing.Watch()
        self._seen_at = float("-inf")

    def explain(self, found: Check) -> Check:
        """The check, or the unit that fails in its place. While all is well the units are looked at rarely: to know that they ran well."""
        if not found.ok:
            unit = failing_unit(self._watch)
            return unit.check(found) if unit else found
        if self._now() - self._seen_at >= readiness.HEARTBEAT:
            self._seen_at = self._now()
            failing_unit(self._watch)
            with suppress(Exception):  # the host serves
                failing.settle(steady=failing.STEADY)
        return found


def tell(state: State, found: Check, news: bool) -> bool:
    """Publishes the record; whether it was published."""
    if news:
        print(f"webstack-report: {state}: {found.reason}", *found.detail, sep="\n  ", file=sys.stderr, flush=True)
    try:
        readiness.publish(state, found.reason, found.detail, found.facts, found.measures, renewed=True)
    except Exception as error:
        print(f"webstack-report: not published: {error}", file=sys.stderr, flush=True)
        return False
    return True


def main() -> None:
    """Runs for ever."""
    aws.be_brief()
    role, units = role_of(config.load()), Units(time.monotonic)

    def look() -> Check:
        # The parameters anew: a reload changes some of them.
        return units.explain(checked(config.load(), lambda: role))

    reporter = Reporter(look, tell, now=time.monotonic, spread=lambda: secrets.SystemRandom().uniform(0, readiness.JITTER))
    while True:
        marks = _marks()
        try:
            pause = reporter.step()
        except Exception as error:
            print(f"webstack-report: {error}", file=sys.stderr, flush=True)
            pause = LOOK
        until = time.monotonic() + pause
        while time.monotonic() < until and marks == _marks():
            time.sleep(GLANCE)


def _marks() -> list[int]:
    """By this a change of the configuration in force is noticed: each is written as a new file."""
    return [_mark(path) for path in (wanted.IN_FORCE, wanted.PROBLEM)]


def _mark(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
