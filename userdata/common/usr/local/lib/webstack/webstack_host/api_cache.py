"""Caches answers of the AWS API for checks that run every few seconds, because AWS throttles frequent calls."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

TTL = 30.0
"""Seconds for which an answer is used."""
RETRY_INTERVAL = 10.0
"""Seconds until a failed call is repeated while an older answer is available."""


class CachedQuery(Generic[T]):
    """The last answer of one call."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cached: tuple[object, T] | None = None
        self._due = 0.0

    def get(self, query: Callable[[], T], *, is_good: Callable[[T], bool], key: object = None) -> T:
        """Returns the answer. Calls `query` again when it is old, was not good, or had another `key`.

        If `query` fails, returns the last good answer with the same `key`; without one, raises what `query` raised.
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
