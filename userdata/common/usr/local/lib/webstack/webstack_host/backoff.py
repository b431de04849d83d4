"""The pauses between two attempts."""

from collections.abc import Iterator

INITIAL = 1.0
FACTOR = 1.5
MAXIMUM = 15.0
"""Seconds. What heals is noticed within the longest."""


def exponential() -> Iterator[float]:
    """Seconds to wait before the next attempt, for ever: short at first, as most faults last a moment."""
    pause = INITIAL
    while True:
        yield pause
        pause = min(pause * FACTOR, MAXIMUM)
