"""Decides what a boot does with its data volume. Pure: the state in, one step and its reason out.

The decision depends on the volume's content, on `database/primary.json` (the claim), and on whether this host may create a database at all.
The underlying rule: a database is created once in a stack's life. A host may create one only if it is the first host, there is no claim,
and no other host answers with data. A host that finds a claim and has no data copies it from another host or reports that it is not ready;
it never creates a new database, whatever its name.
"""

from dataclasses import dataclass
from enum import Enum


class DataState(Enum):
    """The content of the data directory."""

    BLANK = "blank"
    """Nothing, or an unfinished initialisation."""
    CLONE_TARGET = "recipient"
    """An empty server, made only to receive a clone. It contains nothing worth keeping."""
    INITIALISED = "initialised"
    """A database created here, not yet claimed in the bucket. No client has ever written to it."""
    SEEDED = "seeded"
    """The stack's data."""


class BootStep(Enum):
    """The next step of a boot."""

    INITIALISE = "initialise"
    CLAIM_PRIMARY = "claim"
    MARK_SEEDED = "mark seeded"
    PREPARE_CLONE_TARGET = "prepare recipient"
    START = "start"
    BLOCKED = "refuse"


@dataclass(frozen=True, kw_only=True)
class PrimaryRecord:
    """The content of `database/primary.json`: the primary, and the id of the database that it claimed (`data_id`)."""

    primary: str
    data_id: str


@dataclass(frozen=True, kw_only=True)
class BootState:
    """The state that a boot decides on. `peer_has_data` is None if no other host answered; `prepared`: this boot made the clone target."""

    host: str
    first_host: str
    data: DataState
    data_id: str = ""
    primary_record: PrimaryRecord | None = None
    has_replica: bool = True
    peer_has_data: bool | None = None
    prepared: bool = False


@dataclass(frozen=True, kw_only=True)
class BootDecision:
    """The next step and its reason."""

    step: BootStep
    reason: str


def decide_boot(state: BootState) -> BootDecision:
    """Returns the next step of this boot. Called again after each step until it returns START or REFUSE."""
    if state.data is DataState.SEEDED:
        return _with_data(state)
    if state.data is DataState.INITIALISED:
        return _with_unclaimed_database(state)
    if state.primary_record is None and state.host == state.first_host:
        return _with_no_database(state)
    if state.primary_record is not None and state.primary_record.primary == state.host and not state.has_replica:
        return _blocked(
            f"the data volume of {state.host} is blank, but database/primary.json says that this stack's data exists and there is no other"
            " host to copy it from: attach the volume that holds it (or one restored from a backup)"
        )
    if state.data is DataState.CLONE_TARGET and state.prepared:
        return BootDecision(step=BootStep.START, reason="an empty server waits for the other host's data")
    return BootDecision(
        step=BootStep.PREPARE_CLONE_TARGET, reason="the volume holds no data of this stack: it will be copied from the other host"
    )


def _with_data(state: BootState) -> BootDecision:
    if state.primary_record is None:
        return _blocked(
            f"the data volume of {state.host} holds data, but database/primary.json is not in the bucket: nothing says which host may be"
            f' written to. Put it back ({{"version": 1, "primary": "HOST", "data_id": ""}}) once you are sure which host is ahead'
        )
    return BootDecision(step=BootStep.START, reason=f"the volume holds the data; {state.primary_record.primary} is primary")


def _with_unclaimed_database(state: BootState) -> BootDecision:
    if state.primary_record is None:
        return BootDecision(step=BootStep.CLAIM_PRIMARY, reason="a database begun here is not claimed yet")
    if state.data_id and state.primary_record.data_id == state.data_id:
        return BootDecision(step=BootStep.MARK_SEEDED, reason="the claim names the very database that was begun here")
    return BootDecision(
        step=BootStep.PREPARE_CLONE_TARGET,
        reason=f"{state.primary_record.primary} began this stack's database; what was begun here was never used",
    )


def _with_no_database(state: BootState) -> BootDecision:
    if state.peer_has_data:
        return _blocked(
            "database/primary.json is not in the bucket, yet the other host answers with data: a new database would hide it. Put the"
            " object back"
        )
    return BootDecision(step=BootStep.INITIALISE, reason="the stack has no data yet, and this is its first database host")


def _blocked(reason: str) -> BootDecision:
    return BootDecision(step=BootStep.BLOCKED, reason=reason)
