"""Answers of the AWS API for checks that look every few seconds, for as long as a host runs: AWS counts calls, and throttles them."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

TTL = 30.0
"""Seconds for which an answer serves."""
RETRY_INTERVAL = 10.0
"""Seconds until an API that did not answer is asked again, where an older answer is here to go on with."""


class CachedQuery(Generic[T]):
    """The last answer to one question."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cached: tuple[object, T] | None = None
        self._due = 0.0

    def get(self, query: Callable[[], T], *, is_good: Callable[[T], bool], key: object = None) -> T:
        """The answer. Asked for anew once it is old, where it was not `good`, and where it was `about` something else.

        An API that does not answer leaves the last good answer about the same; where there is none it raises what `ask` raises.
        """
        known = self._cached if self._cached is not None and self._cached[0] == key and is_good(self._cached[1]) else None
        if known is not None and self._clock() < self._due:
            return known[1]
        try:
            answer = query()
        except Exception:
            if known is None:
                raise
            self._due = self._clock() + RETRY_INTERVAL
            return known[1]
        self._cached, self._due = (key, answer), self._clock() + TTL
        return answer
