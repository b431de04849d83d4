"""What the agent sees: its own server, the primary, the other host. Plain values; how they are asked for is elsewhere."""

from dataclasses import dataclass
from enum import Enum

from .boot import DataState
from .gtid import EMPTY, GtidSet


class ReplicationMode(Enum):
    """What the bucket says of acknowledged writes (`database/replication.json`)."""

    LOSSLESS = "lossless"
    """Every write that was acknowledged is on the replica as well."""
    DEGRADED = "degraded"
    """Writes may have been acknowledged that only the primary holds."""


@dataclass(frozen=True, kw_only=True)
class LocalView:
    """This host's mysqld. `received` is what its receiver wrote to the relay log; `applier`/`receiver` are ON, OFF or CONNECTING."""

    server_uuid: str
    read_only: bool
    super_read_only: bool
    executed: GtidSet
    semi_sync: bool = False
    replicas: int = 0
    waiting: int = 0
    acknowledged: int = 0
    source_address: str = ""
    received: GtidSet = EMPTY
    receiver: str = "OFF"
    receiver_error: str = ""
    receiver_errno: int = 0
    applier: str = "OFF"
    applier_error: str = ""
    clone_state: str = ""
    clone_error: str = ""

    @property
    def held(self) -> GtidSet:
        """Everything this server holds, applied or not."""
        return self.executed | self.received


@dataclass(frozen=True, kw_only=True)
class PrimaryView:
    """The primary's mysqld as a replica sees it, over TLS."""

    server_uuid: str
    executed: GtidSet


@dataclass(frozen=True, kw_only=True)
class PeerView:
    """The other host, by its role check."""

    host: str
    data: DataState
    writable: bool
    executed: GtidSet
    received: GtidSet
    receiving: bool
    stopping: bool = False

    @property
    def held(self) -> GtidSet:
        """Everything that host holds, applied or not."""
        return self.executed | self.received


@dataclass(frozen=True, kw_only=True)
class ObservedState:
    """All that a decision is made of.

    `seconds_without_ack`: since the primary last had a replica that keeps up. `semi_sync_baseline`: what had been executed when
    this agent turned semi-sync on; None when it has not.
    """

    host: str
    primary: str | None
    has_replica: bool
    ack_timeout: float
    data: DataState
    local: LocalView | None
    peer: PeerView | None = None
    primary_view: PrimaryView | None = None
    primary_address: str = ""
    mode: ReplicationMode | None = None
    replica_stopping: bool = False
    stopping: bool = False
    seconds_without_ack: float = 0.0
    semi_sync_baseline: GtidSet | None = None
