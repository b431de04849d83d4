"""The delays between attempts."""

from collections.abc import Iterator

INITIAL = 1.0
FACTOR = 1.5
MAXIMUM = 15.0
"""Seconds. A recovery is noticed within the longest delay."""


def exponential() -> Iterator[float]:
    """Yields the seconds to wait before each next attempt, endlessly: short at first, since most failures are brief."""
    pause = INITIAL
    while True:
        yield pause
        pause = min(pause * FACTOR, MAXIMUM)
