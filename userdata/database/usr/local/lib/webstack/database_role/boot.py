"""What a boot does with its data volume. Pure: facts in, one step and its reason out.

Three things decide: what this volume holds, what `database/primary.json` says (the claim), and whether this host may begin a database at
all. The rule behind every line: a database begins once in a stack's life. A host may start from nothing only if it is the first host,
nobody has claimed, and no other host answers with data. Whoever finds a claim and holds nothing takes the data from another host or says
that it is not ready; it never begins anew, whatever its own name is.
"""

from dataclasses import dataclass
from enum import Enum


class Data(Enum):
    """What the data directory holds."""

    BLANK = "blank"
    """Nothing that was ever finished."""
    RECIPIENT = "recipient"
    """An empty server, made only to receive a clone. Nothing in it is worth keeping."""
    INITIALISED = "initialised"
    """A database begun here, not yet claimed in the bucket. No client has ever written to it."""
    SEEDED = "seeded"
    """The stack's data."""


class Step(Enum):
    """What a boot does next."""

    INITIALISE = "initialise"
    CLAIM = "claim"
    MARK_SEEDED = "mark seeded"
    PREPARE_RECIPIENT = "prepare recipient"
    START = "start"
    REFUSE = "refuse"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The content of `database/primary.json`: who is primary, and which beginning it claimed (`data_id`)."""

    primary: str
    data_id: str


@dataclass(frozen=True, kw_only=True)
class BootFacts:
    """What a boot knows. `peer_has_data` is None when no other host answered; `prepared` tells that this boot made the recipient itself."""

    host: str
    first_host: str
    data: Data
    data_id: str = ""
    claim: Claim | None = None
    replica: bool = True
    peer_has_data: bool | None = None
    prepared: bool = False


@dataclass(frozen=True, kw_only=True)
class BootDecision:
    """The next step, and why."""

    step: Step
    reason: str


def decide_boot(facts: BootFacts) -> BootDecision:
    """The next step of this boot. Asked again after each step, until it says START or REFUSE."""
    if facts.data is Data.SEEDED:
        return _with_data(facts)
    if facts.data is Data.INITIALISED:
        return _with_unclaimed_beginning(facts)
    if facts.claim is None and facts.host == facts.first_host:
        return _with_nothing_anywhere(facts)
    if facts.claim is not None and facts.claim.primary == facts.host and not facts.replica:
        return _refuse(
            f"the data volume of {facts.host} is blank, but database/primary.json says that this stack's data exists and there is no other"
            " host to copy it from: attach the volume that holds it (or one restored from a backup)"
        )
    if facts.data is Data.RECIPIENT and facts.prepared:
        return BootDecision(step=Step.START, reason="an empty server waits for the other host's data")
    return BootDecision(step=Step.PREPARE_RECIPIENT, reason="the volume holds no data of this stack: it will be copied from the other host")


def _with_data(facts: BootFacts) -> BootDecision:
    if facts.claim is None:
        return _refuse(
            f"the data volume of {facts.host} holds data, but database/primary.json is not in the bucket: nothing says which host may be"
            f' written to. Put it back ({{"version": 1, "primary": "HOST", "data_id": ""}}) once you are sure which host is ahead'
        )
    return BootDecision(step=Step.START, reason=f"the volume holds the data; {facts.claim.primary} is primary")


def _with_unclaimed_beginning(facts: BootFacts) -> BootDecision:
    if facts.claim is None:
        return BootDecision(step=Step.CLAIM, reason="a database begun here is not claimed yet")
    if facts.data_id and facts.claim.data_id == facts.data_id:
        return BootDecision(step=Step.MARK_SEEDED, reason="the claim names the very database that was begun here")
    return BootDecision(
        step=Step.PREPARE_RECIPIENT, reason=f"{facts.claim.primary} began this stack's database; what was begun here was never used"
    )


def _with_nothing_anywhere(facts: BootFacts) -> BootDecision:
    if facts.peer_has_data:
        return _refuse(
            "database/primary.json is not in the bucket, yet the other host answers with data: a new database would hide it. Put the"
            " object back"
        )
    return BootDecision(step=Step.INITIALISE, reason="the stack has no data yet, and this is its first database host")


def _refuse(reason: str) -> BootDecision:
    return BootDecision(step=Step.REFUSE, reason=reason)
