"""Every boot, by what its volume holds and what the bucket says: a database begins once in a stack's life."""

import itertools

import pytest
from database_role.boot import BootFacts, Claim, Data, Step, decide_boot

FIRST = "db-1"
CLAIMED = Claim(primary="db-1", data_id="one")


def facts(
    host: str, data: Data, claim: Claim | None, *, data_id: str = "", peer: bool | None = None, replica: bool = True, prepared: bool = False
) -> BootFacts:
    """One boot's facts."""
    return BootFacts(
        host=host, first_host=FIRST, data=data, data_id=data_id, claim=claim, replica=replica, peer_has_data=peer, prepared=prepared
    )


CASES = [
    ("first boot ever of db-1", facts("db-1", Data.BLANK, None), Step.INITIALISE),
    ("... alone", facts("db-1", Data.BLANK, None, replica=False), Step.INITIALISE),
    ("... while db-2 is up and as blank", facts("db-1", Data.BLANK, None, peer=False), Step.INITIALISE),
    ("the object is gone, and db-2 holds the data", facts("db-1", Data.BLANK, None, peer=True), Step.REFUSE),
    ("begun, not yet claimed", facts("db-1", Data.INITIALISED, None, data_id="one"), Step.CLAIM),
    ("begun and claimed, crashed before it was noted", facts("db-1", Data.INITIALISED, CLAIMED, data_id="one"), Step.MARK_SEEDED),
    ("begun, but another beginning was claimed", facts("db-1", Data.INITIALISED, CLAIMED, data_id="two"), Step.PREPARE_RECIPIENT),
    (
        "begun, but a claim without its id stands",
        facts("db-1", Data.INITIALISED, Claim(primary="db-1", data_id="")),
        Step.PREPARE_RECIPIENT,
    ),
    ("primary restarts", facts("db-1", Data.SEEDED, CLAIMED), Step.START),
    ("replica restarts", facts("db-2", Data.SEEDED, CLAIMED), Step.START),
    ("data, but the object is gone", facts("db-1", Data.SEEDED, None), Step.REFUSE),
    ("data on db-2, but the object is gone", facts("db-2", Data.SEEDED, None), Step.REFUSE),
    ("db-2 boots first of all", facts("db-2", Data.BLANK, None), Step.PREPARE_RECIPIENT),
    ("... and is ready to wait", facts("db-2", Data.RECIPIENT, None, prepared=True), Step.START),
    ("db-2 blank, db-1 primary", facts("db-2", Data.BLANK, CLAIMED), Step.PREPARE_RECIPIENT),
    ("db-2 was cut off while it copied", facts("db-2", Data.RECIPIENT, CLAIMED), Step.PREPARE_RECIPIENT),
    ("db-1's volume replaced by a blank one", facts("db-1", Data.BLANK, CLAIMED), Step.PREPARE_RECIPIENT),
    ("... prepared to copy db-2", facts("db-1", Data.RECIPIENT, CLAIMED, prepared=True), Step.START),
    ("... and cut off while it copied", facts("db-1", Data.RECIPIENT, CLAIMED), Step.PREPARE_RECIPIENT),
    ("db-1's volume replaced and there is no replica", facts("db-1", Data.BLANK, CLAIMED, replica=False), Step.REFUSE),
    ("... nor after it was prepared once", facts("db-1", Data.RECIPIENT, CLAIMED, replica=False, prepared=True), Step.REFUSE),
    ("a stack that db-2 leads", facts("db-2", Data.SEEDED, Claim(primary="db-2", data_id="one")), Step.START),
    ("db-1 blank in a stack that db-2 leads", facts("db-1", Data.BLANK, Claim(primary="db-2", data_id="one")), Step.PREPARE_RECIPIENT),
]


@pytest.mark.parametrize(("case", "seen", "step"), CASES, ids=[case for case, _, _ in CASES])
def test_boot(case: str, seen: BootFacts, step: Step) -> None:
    decision = decide_boot(seen)
    assert decision.step is step, f"{case}: {decision.reason}"
    assert decision.reason


def every_boot() -> list[BootFacts]:
    """All combinations there are."""
    return [
        facts(host, data, claim, data_id=data_id, peer=peer, replica=replica, prepared=prepared)
        for host, data, claim, data_id, peer, replica, prepared in itertools.product(
            ("db-1", "db-2"), Data, (None, CLAIMED), ("", "one", "two"), (None, False, True), (True, False), (True, False)
        )
    ]


def test_where_a_claim_stands_nothing_is_ever_begun_or_claimed() -> None:
    begun = [seen for seen in every_boot() if seen.claim and decide_boot(seen).step in {Step.INITIALISE, Step.CLAIM}]
    assert begun == []


def test_data_is_never_prepared_away() -> None:
    lost = [
        seen for seen in every_boot() if seen.data is Data.SEEDED and decide_boot(seen).step in {Step.INITIALISE, Step.PREPARE_RECIPIENT}
    ]
    assert lost == []


def test_only_the_first_host_begins() -> None:
    assert {seen.host for seen in every_boot() if decide_boot(seen).step is Step.INITIALISE} == {"db-1"}
