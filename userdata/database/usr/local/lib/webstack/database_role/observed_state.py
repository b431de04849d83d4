"""The agent's observations of its own server, the primary and the other host. Plain values; `observe` reads them."""

from dataclasses import dataclass
from enum import Enum

from .boot import DataState
from .gtid import EMPTY, GtidSet


class ReplicationMode(Enum):
    """The guarantee for acknowledged writes that is recorded in the bucket (`database/replication.json`)."""

    LOSSLESS = "lossless"
    """Every acknowledged write is on the replica too."""
    DEGRADED = "degraded"
    """Some acknowledged writes may be only on the primary."""


@dataclass(frozen=True, kw_only=True)
class LocalView:
    """This host's mysqld. `received`: what its receiver wrote to the relay log. `applier` and `receiver` are ON, OFF or CONNECTING."""

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
        """All transactions on this server, applied or not."""
        return self.executed | self.received


@dataclass(frozen=True, kw_only=True)
class PrimaryView:
    """The primary's mysqld as a replica sees it, over TLS."""

    server_uuid: str
    executed: GtidSet


@dataclass(frozen=True, kw_only=True)
class PeerView:
    """The other host, according to its role check."""

    host: str
    data: DataState
    writable: bool
    executed: GtidSet
    received: GtidSet
    receiving: bool
    stopping: bool = False

    @property
    def held(self) -> GtidSet:
        """All transactions on that host, applied or not."""
        return self.executed | self.received


@dataclass(frozen=True, kw_only=True)
class ObservedState:
    """The complete input of a decision.

    `seconds_without_ack`: since the primary last had a replica that keeps up. `semi_sync_baseline`: the transactions that had been executed
    when this agent turned semi-sync on; None if it has not.
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
