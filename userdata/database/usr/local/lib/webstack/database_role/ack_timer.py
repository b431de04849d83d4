"""How long the primary has been without a replica that keeps up. Pure; times are a monotonic clock's seconds."""

from .observed_state import LocalView


class AckTimer:
    """Remembers when the replica last was well.

    MySQL's count of connected replicas alone does not tell: it stands at 1 for a while after a replica is gone. So a replica is well while
    one is counted and no commit waits, or commits that wait are being acknowledged.
    """

    def __init__(self) -> None:
        self._acknowledged_at: float | None = None
        self._acknowledged = -1

    def seconds_without_ack(self, local: LocalView | None, now: float) -> float:
        """Seconds since the replica was well; 0 for a server that is not open for writes, where nothing can be lost."""
        progress = local is not None and local.acknowledged != self._acknowledged
        if local is not None:
            self._acknowledged = local.acknowledged
        well = local is None or local.read_only or (local.replicas > 0 and (local.waiting == 0 or progress))
        if well or self._acknowledged_at is None:
            self._acknowledged_at = now
        return now - self._acknowledged_at
