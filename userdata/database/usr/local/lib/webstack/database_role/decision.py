"""Decides the agent's next action. Pure: an observation in, one action and its reason out; called again after every action.

Two rules apply everywhere. A weaker guarantee is recorded before it takes effect (record degraded, then turn semi-sync off); a stronger one
is recorded after it holds (turn semi-sync on, see that the replica has everything from before, then record lossless). And no replica is
attached, no data overwritten and no server opened for writes before it is known which of two transaction histories contains the other.
"""

from dataclasses import dataclass
from enum import Enum

from .boot import DataState
from .observed_state import LocalView, ObservedState, ReplicationMode

MAX_MISSING_TRANSACTIONS = 500
"""The most transactions that a replica may lack when semi-sync is turned on: writes wait until it has received them."""

ER_BINLOG_PURGED = 1236
"""ER_SERVER_... "fatal error from source": needed binlogs are purged, or the replica has more transactions than its source."""


class Action(Enum):
    """The agent's actions. HEALTHY and WAIT change nothing: all is as it should be, or not yet."""

    HEALTHY = "rest"
    WAIT = "wait"
    BLOCKED = "refuse"
    RECORD_DEGRADED = "record degraded"
    RECORD_LOSSLESS = "record lossless"
    SEMI_SYNC_ON = "semi-sync on"
    SEMI_SYNC_OFF = "semi-sync off"
    SET_WRITABLE = "open for writes"
    SET_READ_ONLY = "close for writes"
    DROP_CHANNEL = "drop replication channel"
    CLONE = "clone"
    ACCEPT_CLONE = "accept clone"
    PREPARE_RECLONE = "become recipient"
    SET_SOURCE = "attach"
    RESET_RELAY_LOG = "refetch relay log"
    START_APPLIER = "start applier"
    START_RECEIVER = "start receiver"
    STOP_RECEIVER = "stop receiver"


NO_OPS = frozenset({Action.HEALTHY, Action.WAIT, Action.BLOCKED})


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The action and its reason."""

    action: Action
    reason: str


def decide(observed: ObservedState) -> Decision:
    """Returns the next action for the observed state."""
    local = observed.local
    if observed.stopping:
        return _wait("mysqld is being stopped")
    if local is None:
        return _wait("mysqld does not answer yet")
    if observed.primary is None:
        return _wait("waiting for the first database host to begin the database")
    if observed.data is DataState.CLONE_TARGET:
        return _decide_clone(observed, local)
    if observed.data is not DataState.SEEDED:
        return _wait(f"the data directory is {observed.data.value}")
    if observed.primary == observed.host:
        return _decide_primary(observed, local)
    return _decide_replica(observed, local)


def _wait(reason: str) -> Decision:
    return Decision(action=Action.WAIT, reason=reason)


def _do(action: Action, reason: str) -> Decision:
    return Decision(action=action, reason=reason)


# --- the primary -------------------------------------------------------------------------------------------------------------------


def _decide_primary(observed: ObservedState, local: LocalView) -> Decision:
    if local.source_address or local.receiver != "OFF" or local.applier != "OFF":
        return _do(Action.DROP_CHANNEL, "a primary follows nobody")
    if local.read_only:
        return _decide_set_writable(observed, local)
    off = _degraded_reason(observed)
    if off:
        if observed.mode is not ReplicationMode.DEGRADED:
            return _do(Action.RECORD_DEGRADED, off)
        if local.semi_sync:
            return _do(Action.SEMI_SYNC_OFF, off)
        return _do(Action.HEALTHY, f"primary, degraded: {off}")
    if observed.mode is ReplicationMode.LOSSLESS:
        if not local.semi_sync:
            return _do(Action.RECORD_DEGRADED, "semi-sync is off although the record says lossless")
        return _do(Action.HEALTHY, "primary, lossless")
    return _decide_lossless(observed, local)


def _decide_set_writable(observed: ObservedState, local: LocalView) -> Decision:
    if observed.mode is None:
        return _do(Action.RECORD_DEGRADED, "first start: no replica has been seen yet")
    if not observed.has_replica and observed.mode is not ReplicationMode.DEGRADED:
        return _do(Action.RECORD_DEGRADED, "configured without a replica")
    if observed.mode is ReplicationMode.LOSSLESS and not local.semi_sync:
        return _do(Action.SEMI_SYNC_ON, "the record says lossless: no write before the replica can acknowledge it")
    return _do(Action.SET_WRITABLE, f"named primary; the record says {observed.mode.value}")


def _degraded_reason(observed: ObservedState) -> str:
    """Returns why this primary cannot guarantee two copies now; empty if it can, or may be able to soon."""
    if not observed.has_replica:
        return "configured without a replica"
    if observed.replica_stopping:
        return "the replica announced that it stops"
    if observed.seconds_without_ack >= observed.ack_timeout:
        return f"no replica has acknowledged for {observed.ack_timeout:g} s"
    return ""


def _decide_lossless(observed: ObservedState, local: LocalView) -> Decision:
    """Returns the next action from degraded towards lossless."""
    peer = observed.peer
    if peer is None:
        return _do(Action.HEALTHY, "primary, degraded: the replica does not answer")
    if peer.stopping or not peer.receiving or local.replicas < 1:
        return _do(Action.HEALTHY, "primary, degraded: the replica is not connected")
    if not local.semi_sync or observed.semi_sync_baseline is None:
        lacking = (local.executed - peer.held).count()
        if lacking > MAX_MISSING_TRANSACTIONS:
            return _do(Action.HEALTHY, f"primary, degraded: the replica lacks {lacking} transactions")
        return _do(Action.SEMI_SYNC_ON, "the replica is connected and nearly level")
    if observed.semi_sync_baseline <= peer.held:
        return _do(Action.RECORD_LOSSLESS, "the replica holds all from before semi-sync, and acknowledges all since")
    return _do(Action.HEALTHY, "primary: the replica is receiving what it lacked")


# --- the replica -------------------------------------------------------------------------------------------------------------------


def _decide_replica(observed: ObservedState, local: LocalView) -> Decision:
    if not local.super_read_only:
        return _do(Action.SET_READ_ONLY, f"{observed.primary} is primary, not this host")
    if local.semi_sync:
        return _do(Action.SEMI_SYNC_OFF, "on a replica its own applier would wait for acknowledgements")
    if local.source_address != observed.primary_address:
        return _do(Action.SET_SOURCE, f"to {observed.primary} at {observed.primary_address}")
    if local.applier == "OFF":
        return _applier_stopped(observed, local)
    errant = _decide_errant(observed, local)
    if errant:
        return errant
    if observed.primary_view is None:
        return _wait(f"{observed.primary} does not answer")
    if local.receiver == "OFF":
        return _receiver_stopped(observed, local)
    if local.receiver != "ON":
        return _wait(f"connecting to {observed.primary}: {local.receiver_error or 'no error so far'}")
    return _do(Action.HEALTHY, f"replicating from {observed.primary}")


def _decide_errant(observed: ObservedState, local: LocalView) -> Decision | None:
    """Returns what to do about transactions that only this host has; None if there are none or the primary does not answer.

    Transactions that were made on the primary itself are left to MySQL: the primary may still be waiting for the acknowledgement of one
    that is already here, and it checks for them itself when a replica attaches.
    """
    primary = observed.primary_view
    if primary is None:
        return None
    errant = (local.held - primary.executed).without_source(primary.server_uuid)
    if not errant:
        return None
    if local.receiver != "OFF":
        return _do(Action.STOP_RECEIVER, f"this host holds transactions that {observed.primary} does not: {errant}")
    if errant.sources() <= {local.server_uuid}:
        return _do(
            Action.PREPARE_RECLONE, f"transactions made on this host alone are given up for a new copy of {observed.primary}: {errant}"
        )
    return _do(
        Action.BLOCKED,
        f"this host holds transactions that {observed.primary} does not and that were not made here: {errant}. One of them has lost data;"
        " nothing is copied over until a person decides",
    )


def _applier_stopped(observed: ObservedState, local: LocalView) -> Decision:
    """Returns what to do about a stopped applier. Received transactions are applied even without the primary: they may be the only copy."""
    if not local.applier_error:
        return _do(Action.START_APPLIER, "what was received must be applied")
    primary = observed.primary_view
    unreadable = any(words in local.applier_error.lower() for words in ("relay log", "metadata structure"))
    if unreadable and primary is not None and local.receiver == "OFF" and local.held <= primary.executed:
        return _do(Action.RESET_RELAY_LOG, f"the relay log cannot be read, and the primary still has all of it: {local.applier_error}")
    return _do(Action.BLOCKED, f"the applier stopped: {local.applier_error}")


def _receiver_stopped(observed: ObservedState, local: LocalView) -> Decision:
    primary = observed.primary_view
    if not local.receiver_errno or primary is None:
        return _do(Action.START_RECEIVER, f"to {observed.primary}")
    if local.receiver_errno == ER_BINLOG_PURGED and local.held <= primary.executed:
        return _do(Action.PREPARE_RECLONE, f"{observed.primary} no longer has the log from where this host stopped")
    if not local.held <= primary.executed:
        return _do(
            Action.BLOCKED,
            f"{observed.primary} lacks transactions that it made itself and this host holds: {local.held - primary.executed}. The primary"
            " has lost data; nothing is copied over until a person decides",
        )
    return _do(Action.START_RECEIVER, f"again, after: {local.receiver_error}")


# --- a volume without data -----------------------------------------------------------------------------------------------------------


def _decide_clone(observed: ObservedState, local: LocalView) -> Decision:
    """Returns the next action of a host without data, which copies the other host's.

    The special case is the named primary on a blank volume: the object names it, but the other host has the data. It copies that host,
    which stays a replica, and becomes primary again only once it has everything that the other one has ever received; and not by itself if
    the record says that the other host may lack acknowledged writes.
    """
    leads = observed.primary == observed.host
    if local.clone_state in {"In Progress", "Not Started"}:
        return _wait("cloning")
    peer = observed.peer
    if peer is None:
        return _wait("this volume is blank and the other host, which should hold the data, does not answer")
    if peer.data is not DataState.SEEDED:
        return _wait(f"this volume is blank and {peer.host} holds no data either: it says {peer.data.value}")
    if peer.stopping:
        return _wait(f"{peer.host} is being stopped")
    if leads and peer.writable:
        return _do(Action.BLOCKED, f"database/primary.json names this host, but {peer.host} takes writes")
    if not leads and not peer.writable:
        return _wait(f"{peer.host} is not open for writes yet")
    if leads and observed.mode is ReplicationMode.DEGRADED:
        return _do(
            Action.BLOCKED,
            f"this volume is blank and {peer.host} may lack writes that were acknowledged (database/replication.json says degraded)."
            f" Attach the volume that was lost; or, to accept the loss and go on with what {peer.host} holds, delete that object",
        )
    if local.clone_state == "Completed":
        if not leads or peer.held <= local.executed:
            return _do(Action.ACCEPT_CLONE, f"it holds all that {peer.host} held")
        return _do(Action.CLONE, f"from {peer.host} again: it holds more than the last copy")
    if leads and not peer.received <= peer.executed:
        return _wait(f"{peer.host} has yet to apply {(peer.received - peer.executed).count()} transactions that it has received")
    again = f" again, after: {local.clone_error}" if local.clone_state == "Failed" else ""
    return _do(Action.CLONE, f"from {peer.host}{again}")
