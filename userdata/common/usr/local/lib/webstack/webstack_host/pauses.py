"""The pauses between two attempts."""

from collections.abc import Iterator

FIRST = 1.0
GROWTH = 1.5
LONGEST = 15.0
"""Seconds. What heals is noticed within the longest."""


def growing() -> Iterator[float]:
    """Seconds to wait before the next attempt, for ever: short at first, as most faults last a moment."""
    pause = FIRST
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST)
