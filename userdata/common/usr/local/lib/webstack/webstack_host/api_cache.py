"""Answers of the AWS API for checks that look every few seconds, for as long as a host runs: AWS counts calls, and throttles them."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

TTL = 30.0
"""Seconds for which an answer serves."""
RETRY = 10.0
"""Seconds until an API that did not answer is asked again, where an older answer is here to go on with."""


class CachedAnswer(Generic[T]):
    """The last answer to one question."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: tuple[object, T] | None = None
        self._due = 0.0

    def get(self, ask: Callable[[], T], *, good: Callable[[T], bool], about: object = None) -> T:
        """The answer. Asked for anew once it is old, where it was not `good`, and where it was `about` something else.

        An API that does not answer leaves the last good answer about the same; where there is none it raises what `ask` raises.
        """
        known = self._known if self._known is not None and self._known[0] == about and good(self._known[1]) else None
        if known is not None and self._clock() < self._due:
            return known[1]
        try:
            answer = ask()
        except Exception:
            if known is None:
                raise
            self._due = self._clock() + RETRY
            return known[1]
        self._known, self._due = (about, answer), self._clock() + TTL
        return answer
