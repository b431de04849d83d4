"""Every boot, by what its volume holds and what the bucket says: a database begins once in a stack's life."""

import itertools

import pytest
from database_role.boot import BootState, BootStep, DataState, PrimaryRecord, decide_boot

FIRST = "db-1"
CLAIMED = PrimaryRecord(primary="db-1", data_id="one")


def facts(
    host: str,
    data: DataState,
    claim: PrimaryRecord | None,
    *,
    data_id: str = "",
    peer: bool | None = None,
    replica: bool = True,
    prepared: bool = False,
) -> BootState:
    """One boot's facts."""
    return BootState(
        host=host,
        first_host=FIRST,
        data=data,
        data_id=data_id,
        primary_record=claim,
        has_replica=replica,
        peer_has_data=peer,
        prepared=prepared,
    )


CASES = [
    ("first boot ever of db-1", facts("db-1", DataState.BLANK, None), BootStep.INITIALISE),
    ("... alone", facts("db-1", DataState.BLANK, None, replica=False), BootStep.INITIALISE),
    ("... while db-2 is up and as blank", facts("db-1", DataState.BLANK, None, peer=False), BootStep.INITIALISE),
    ("the object is gone, and db-2 holds the data", facts("db-1", DataState.BLANK, None, peer=True), BootStep.BLOCKED),
    ("begun, not yet claimed", facts("db-1", DataState.INITIALISED, None, data_id="one"), BootStep.CLAIM_PRIMARY),
    ("begun and claimed, crashed before it was noted", facts("db-1", DataState.INITIALISED, CLAIMED, data_id="one"), BootStep.MARK_SEEDED),
    (
        "begun, but another beginning was claimed",
        facts("db-1", DataState.INITIALISED, CLAIMED, data_id="two"),
        BootStep.PREPARE_CLONE_TARGET,
    ),
    (
        "begun, but a claim without its id stands",
        facts("db-1", DataState.INITIALISED, PrimaryRecord(primary="db-1", data_id="")),
        BootStep.PREPARE_CLONE_TARGET,
    ),
    ("primary restarts", facts("db-1", DataState.SEEDED, CLAIMED), BootStep.START),
    ("replica restarts", facts("db-2", DataState.SEEDED, CLAIMED), BootStep.START),
    ("data, but the object is gone", facts("db-1", DataState.SEEDED, None), BootStep.BLOCKED),
    ("data on db-2, but the object is gone", facts("db-2", DataState.SEEDED, None), BootStep.BLOCKED),
    ("db-2 boots first of all", facts("db-2", DataState.BLANK, None), BootStep.PREPARE_CLONE_TARGET),
    ("... and is ready to wait", facts("db-2", DataState.CLONE_TARGET, None, prepared=True), BootStep.START),
    ("db-2 blank, db-1 primary", facts("db-2", DataState.BLANK, CLAIMED), BootStep.PREPARE_CLONE_TARGET),
    ("db-2 was cut off while it copied", facts("db-2", DataState.CLONE_TARGET, CLAIMED), BootStep.PREPARE_CLONE_TARGET),
    ("db-1's volume replaced by a blank one", facts("db-1", DataState.BLANK, CLAIMED), BootStep.PREPARE_CLONE_TARGET),
    ("... prepared to copy db-2", facts("db-1", DataState.CLONE_TARGET, CLAIMED, prepared=True), BootStep.START),
    ("... and cut off while it copied", facts("db-1", DataState.CLONE_TARGET, CLAIMED), BootStep.PREPARE_CLONE_TARGET),
    ("db-1's volume replaced and there is no replica", facts("db-1", DataState.BLANK, CLAIMED, replica=False), BootStep.BLOCKED),
    ("... nor after it was prepared once", facts("db-1", DataState.CLONE_TARGET, CLAIMED, replica=False, prepared=True), BootStep.BLOCKED),
    ("a stack that db-2 leads", facts("db-2", DataState.SEEDED, PrimaryRecord(primary="db-2", data_id="one")), BootStep.START),
    (
        "db-1 blank in a stack that db-2 leads",
        facts("db-1", DataState.BLANK, PrimaryRecord(primary="db-2", data_id="one")),
        BootStep.PREPARE_CLONE_TARGET,
    ),
]


@pytest.mark.parametrize(("case", "seen", "step"), CASES, ids=[case for case, _, _ in CASES])
def test_boot(case: str, seen: BootState, step: BootStep) -> None:
    decision = decide_boot(seen)
    assert decision.step is step, f"{case}: {decision.reason}"
    assert decision.reason


def every_boot() -> list[BootState]:
    """All combinations there are."""
    return [
        facts(host, data, claim, data_id=data_id, peer=peer, replica=replica, prepared=prepared)
        for host, data, claim, data_id, peer, replica, prepared in itertools.product(
            ("db-1", "db-2"), DataState, (None, CLAIMED), ("", "one", "two"), (None, False, True), (True, False), (True, False)
        )
    ]


def test_where_a_claim_stands_nothing_is_ever_begun_or_claimed() -> None:
    begun = [
        seen for seen in every_boot() if seen.primary_record and decide_boot(seen).step in {BootStep.INITIALISE, BootStep.CLAIM_PRIMARY}
    ]
    assert begun == []


def test_data_is_never_prepared_away() -> None:
    lost = [
        seen
        for seen in every_boot()
        if seen.data is DataState.SEEDED and decide_boot(seen).step in {BootStep.INITIALISE, BootStep.PREPARE_CLONE_TARGET}
    ]
    assert lost == []


def test_only_the_first_host_begins() -> None:
    assert {seen.host for seen in every_boot() if decide_boot(seen).step is BootStep.INITIALISE} == {"db-1"}
