"""A clock for what waits, so that its tests need no time."""

import asyncio

from stack.readiness import Clock


class FakeClock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)  # others that wait have their turn, as with a real clock

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep)
