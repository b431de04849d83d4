"""Measures for how long the primary has had no replica that keeps up. Pure; times are seconds of a monotonic clock."""

from .observed_state import LocalView


class AckTimer:
    """Remembers when the replica last kept up.

    MySQL's count of connected replicas is not enough: it stays at 1 for a while after a replica is gone. So a replica keeps up while one is
    counted and either no commit waits or waiting commits are being acknowledged.
    """

    def __init__(self) -> None:
        self._acknowledged_at: float | None = None
        self._acknowledged = -1

    def seconds_without_ack(self, local: LocalView | None, now: float) -> float:
        """Returns the seconds since the replica last kept up; 0 for a server that is not open for writes, where nothing can be lost."""
        progress = local is not None and local.acknowledged != self._acknowledged
        if local is not None:
            self._acknowledged = local.acknowledged
        well = local is None or local.read_only or (local.replicas > 0 and (local.waiting == 0 or progress))
        if well or self._acknowledged_at is None:
            self._acknowledged_at = now
        return now - self._acknowledged_at
