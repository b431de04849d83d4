"""What the agent does for what it sees: each case of a table, and rules that hold for every one."""

from dataclasses import replace
from typing import Any

import pytest
from database_role.boot import Data
from database_role.decision import Action, decide
from database_role.gtid import GtidSet
from database_role.views import LocalView, Mode, Observed, PeerView, PrimaryView

UUID_1, UUID_2, UUID_OLD = (f"{digit * 8}-0000-0000-0000-000000000000" for digit in "12f")
ADDRESS_1 = "10.20.4.11"


def gtids(text: str) -> GtidSet:
    """`1:1-5` for the server db-1, `2:…` for db-2, `f:…` for one that is gone."""
    return GtidSet.parse(",".join(f"{part[0] * 8}-0000-0000-0000-000000000000{part[1:]}" for part in text.split(",") if part))


def primary_server(**changes: Any) -> LocalView:
    """db-1's mysqld as a lossless primary, with changes."""
    base = LocalView(
        server_uuid=UUID_1, read_only=False, super_read_only=False, executed=gtids("1:1-100"), semi_sync=True, replicas=1, acknowledged=100
    )
    return replace(base, **changes)


def replica_server(**changes: Any) -> LocalView:
    """db-2's mysqld as a replica that is level, with changes."""
    base = LocalView(
        server_uuid=UUID_2,
        read_only=True,
        super_read_only=True,
        executed=gtids("1:1-100"),
        received=gtids("1:90-100"),
        source_address=ADDRESS_1,
        receiver="ON",
        applier="ON",
    )
    return replace(base, **changes)


def peer(host: str, **changes: Any) -> PeerView:
    """The other host, well and level, with changes."""
    base = PeerView(
        host=host,
        data=Data.SEEDED,
        writable=host == "db-1",
        executed=gtids("1:1-100"),
        received=gtids("1:90-100"),
        receiving=host == "db-2",
    )
    return replace(base, **changes)


def leader(local: LocalView | None = None, **changes: Any) -> Observed:
    """What db-1's agent sees while all is well, with changes."""
    base = Observed(
        host="db-1",
        primary="db-1",
        replica=True,
        patience=5,
        data=Data.SEEDED,
        local=local or primary_server(),
        peer=peer("db-2"),
        mode=Mode.LOSSLESS,
        baseline=gtids("1:1-50"),
    )
    return replace(base, **changes)


def follower(local: LocalView | None = None, **changes: Any) -> Observed:
    """What db-2's agent sees while all is well, with changes."""
    base = Observed(
        host="db-2",
        primary="db-1",
        replica=True,
        patience=5,
        data=Data.SEEDED,
        local=local or replica_server(),
        peer=peer("db-1"),
        primary_view=PrimaryView(server_uuid=UUID_1, executed=gtids("1:1-100")),
        primary_address=ADDRESS_1,
    )
    return replace(base, **changes)


CLOSED = primary_server(read_only=True, super_read_only=True, semi_sync=False, replicas=0)
DEGRADED = primary_server(semi_sync=False)
BLANK_1 = LocalView(server_uuid=UUID_1, read_only=True, super_read_only=True, executed=gtids(""))
BLANK_2 = replace(BLANK_1, server_uuid=UUID_2)
READ_ONLY_PEER = peer("db-2", receiving=False)

CASES: list[tuple[str, Observed, Action]] = [
    # the primary opens
    ("mysqld is not up", replace(leader(), local=None), Action.WAIT),
    ("nobody has begun", leader(primary=None), Action.WAIT),
    ("very first start", leader(CLOSED, mode=None), Action.RECORD_DEGRADED),
    ("first start, recorded", leader(CLOSED, mode=Mode.DEGRADED, peer=None), Action.OPEN),
    ("restart of a lossless primary", leader(CLOSED), Action.SEMI_SYNC_ON),
    ("... with semi-sync on again", leader(replace(CLOSED, semi_sync=True)), Action.OPEN),
    ("restart after the replica was configured away", leader(CLOSED, replica=False), Action.RECORD_DEGRADED),
    ("an old channel is left from a clone", leader(replace(CLOSED, source_address=ADDRESS_1)), Action.DROP_CHANNEL),
    ("mysqld is being stopped", leader(CLOSED, stopping=True), Action.WAIT),
    # the primary weakens its promise
    ("all is well", leader(), Action.REST),
    ("replica lost for less than the patience", leader(lost_for=4.9), Action.REST),
    ("replica lost for the patience", leader(lost_for=5.0), Action.RECORD_DEGRADED),
    ("... recorded", leader(lost_for=5.2, mode=Mode.DEGRADED), Action.SEMI_SYNC_OFF),
    ("... done", leader(DEGRADED, lost_for=60, mode=Mode.DEGRADED), Action.REST),
    ("the replica says that it stops", leader(leaving=True), Action.RECORD_DEGRADED),
    ("... recorded", leader(leaving=True, mode=Mode.DEGRADED), Action.SEMI_SYNC_OFF),
    ("no replica is configured", leader(replica=False, peer=None), Action.RECORD_DEGRADED),
    ("... recorded", leader(DEGRADED, replica=False, peer=None, mode=Mode.DEGRADED), Action.REST),
    ("somebody turned semi-sync off", leader(DEGRADED), Action.RECORD_DEGRADED),
    # and strengthens it
    ("replica connected and level", leader(DEGRADED, mode=Mode.DEGRADED, baseline=None), Action.SEMI_SYNC_ON),
    (
        "replica far behind",
        leader(DEGRADED, mode=Mode.DEGRADED, peer=peer("db-2", executed=gtids(""), received=gtids(""))),
        Action.SEMI_SYNC_ON,
    ),
    ("replica does not answer", leader(DEGRADED, mode=Mode.DEGRADED, peer=None), Action.REST),
    ("replica about to stop", leader(DEGRADED, mode=Mode.DEGRADED, peer=peer("db-2", stopping=True)), Action.REST),
    ("replica not receiving", leader(DEGRADED, mode=Mode.DEGRADED, peer=READ_ONLY_PEER), Action.REST),
    ("an agent begun anew sets its mark anew", leader(mode=Mode.DEGRADED, baseline=None), Action.SEMI_SYNC_ON),
    ("on, the replica lacks some of before", leader(mode=Mode.DEGRADED, baseline=gtids("1:1-101")), Action.REST),
    ("on, the replica holds all of before", leader(mode=Mode.DEGRADED), Action.RECORD_LOSSLESS),
    # the replica
    ("replicating", follower(), Action.REST),
    ("open although not primary", follower(replica_server(read_only=False, super_read_only=False)), Action.CLOSE),
    ("semi-sync of a source on a replica", follower(replica_server(semi_sync=True)), Action.SEMI_SYNC_OFF),
    ("seeded, never attached", follower(replica_server(source_address="", receiver="OFF", applier="OFF")), Action.ATTACH),
    ("attached to another address", follower(replica_server(source_address="10.20.9.9")), Action.ATTACH),
    ("started", follower(replica_server(receiver="OFF", applier="OFF")), Action.START_APPLIER),
    ("started, primary down", follower(replica_server(receiver="OFF", applier="OFF"), primary_view=None), Action.START_APPLIER),
    ("applying, primary down", follower(replica_server(receiver="OFF"), primary_view=None), Action.WAIT),
    ("applying, primary up", follower(replica_server(receiver="OFF")), Action.START_RECEIVER),
    ("connecting", follower(replica_server(receiver="CONNECTING", receiver_error="refused")), Action.WAIT),
    ("applier failed on data", follower(replica_server(applier="OFF", applier_error="Duplicate entry")), Action.REFUSE),
    (
        "relay log unreadable, primary has all",
        follower(replica_server(receiver="OFF", applier="OFF", applier_error="Relay log read failure")),
        Action.REFETCH,
    ),
    (
        "relay log unreadable, primary down",
        follower(replica_server(receiver="OFF", applier="OFF", applier_error="Relay log read failure"), primary_view=None),
        Action.REFUSE,
    ),
    (
        "relay log unreadable, primary lacks some",
        follower(
            replica_server(receiver="OFF", applier="OFF", applier_error="Relay log read failure", received=gtids("1:90-103")),
        ),
        Action.REFUSE,
    ),
    # errant transactions
    ("made here, receiving", follower(replica_server(executed=gtids("1:1-100,2:1"))), Action.STOP_RECEIVER),
    ("made here, stopped", follower(replica_server(executed=gtids("1:1-100,2:1"), receiver="OFF")), Action.BECOME_RECIPIENT),
    ("of a third server", follower(replica_server(executed=gtids("1:1-100,f:1"), receiver="OFF")), Action.REFUSE),
    ("made here and of a third", follower(replica_server(executed=gtids("1:1-100,2:1,f:1"), receiver="OFF")), Action.REFUSE),
    ("the primary's own, in flight", follower(replica_server(executed=gtids("1:1-101"))), Action.REST),
    (
        "the primary lost its own",
        follower(replica_server(executed=gtids("1:1-120"), receiver="OFF", receiver_errno=1236)),
        Action.REFUSE,
    ),
    (
        "too old: the primary's log begins later",
        follower(replica_server(executed=gtids("1:1-10"), received=gtids(""), receiver="OFF", receiver_errno=1236)),
        Action.BECOME_RECIPIENT,
    ),
    ("another error", follower(replica_server(receiver="OFF", receiver_errno=2003)), Action.START_RECEIVER),
    # a blank volume
    ("db-2 blank, db-1 open", follower(BLANK_2, data=Data.RECIPIENT), Action.CLONE),
    ("db-2 blank, db-1 not open yet", follower(BLANK_2, data=Data.RECIPIENT, peer=peer("db-1", writable=False)), Action.WAIT),
    ("db-2 blank, db-1 down", follower(BLANK_2, data=Data.RECIPIENT, peer=None), Action.WAIT),
    ("db-2 cloning", follower(replace(BLANK_2, clone_state="In Progress"), data=Data.RECIPIENT), Action.WAIT),
    ("db-2's clone failed", follower(replace(BLANK_2, clone_state="Failed", clone_error="x"), data=Data.RECIPIENT), Action.CLONE),
    (
        "db-2 cloned",
        follower(replace(BLANK_2, clone_state="Completed", executed=gtids("1:1-90")), data=Data.RECIPIENT),
        Action.ACCEPT_CLONE,
    ),
    ("db-1 blank, db-2 down", leader(BLANK_1, data=Data.RECIPIENT, peer=None), Action.WAIT),
    ("both blank", leader(BLANK_1, data=Data.RECIPIENT, peer=peer("db-2", data=Data.RECIPIENT)), Action.WAIT),
    ("db-1 blank, db-2 has the data", leader(BLANK_1, data=Data.RECIPIENT, peer=READ_ONLY_PEER), Action.CLONE),
    (
        "db-1 blank, db-2 has yet to apply what it received",
        leader(BLANK_1, data=Data.RECIPIENT, peer=peer("db-2", received=gtids("1:90-104"))),
        Action.WAIT,
    ),
    ("db-1 blank, db-2 may lack writes", leader(BLANK_1, data=Data.RECIPIENT, peer=READ_ONLY_PEER, mode=Mode.DEGRADED), Action.REFUSE),
    ("... accepted by a person", leader(BLANK_1, data=Data.RECIPIENT, peer=READ_ONLY_PEER, mode=None), Action.CLONE),
    ("db-1 blank, db-2 is stopping", leader(BLANK_1, data=Data.RECIPIENT, peer=peer("db-2", stopping=True)), Action.WAIT),
    ("db-1 blank, db-2 takes writes", leader(BLANK_1, data=Data.RECIPIENT, peer=peer("db-2", writable=True)), Action.REFUSE),
    (
        "db-1 copied all of db-2",
        leader(replace(BLANK_1, clone_state="Completed", executed=gtids("1:1-100")), data=Data.RECIPIENT, peer=READ_ONLY_PEER),
        Action.ACCEPT_CLONE,
    ),
    (
        "db-1 copied less than db-2 now has",
        leader(replace(BLANK_1, clone_state="Completed", executed=gtids("1:1-99")), data=Data.RECIPIENT, peer=READ_ONLY_PEER),
        Action.CLONE,
    ),
    (
        "db-1 copied db-2, which is down since",
        leader(replace(BLANK_1, clone_state="Completed", executed=gtids("1:1-100")), data=Data.RECIPIENT, peer=None),
        Action.WAIT,
    ),
    ("unclaimed data is nobody's", leader(CLOSED, data=Data.INITIALISED), Action.WAIT),
]


@pytest.mark.parametrize(("case", "seen", "action"), CASES, ids=[f"{index}-{case}" for index, (case, _, _) in enumerate(CASES)])
def test_decision(case: str, seen: Observed, action: Action) -> None:
    decision = decide(seen)
    assert decision.action is action, f"{case}: {decision.action.value}: {decision.reason}"
    assert decision.reason


def test_semi_sync_is_turned_off_only_where_degraded_is_recorded_or_on_a_replica() -> None:
    for case, seen, _ in CASES:
        if decide(seen).action is Action.SEMI_SYNC_OFF:
            assert seen.mode is Mode.DEGRADED or seen.primary != seen.host, case


def test_a_host_opens_only_when_named_seeded_and_with_the_promise_that_is_recorded() -> None:
    opened = [(case, seen) for case, seen, _ in CASES if decide(seen).action is Action.OPEN]
    assert opened
    for case, seen in opened:
        assert seen.primary == seen.host, case
        assert seen.data is Data.SEEDED, case
        assert seen.local is not None, case
        assert seen.local.semi_sync or seen.mode is Mode.DEGRADED, case


def test_a_replica_far_behind_is_waited_for_before_writes_wait_for_it() -> None:
    behind = peer("db-2", executed=gtids("1:1-100"), received=gtids(""))
    seen = leader(primary_server(semi_sync=False, executed=gtids("1:1-700")), mode=Mode.DEGRADED, baseline=None, peer=behind)
    decision = decide(seen)
    assert decision.action is Action.REST
    assert "lacks 600 transactions" in decision.reason


def test_the_reason_of_a_refusal_names_the_transactions() -> None:
    reason = decide(follower(replica_server(executed=gtids("1:1-100,f:1"), receiver="OFF"))).reason
    assert f"{UUID_OLD}:1" in reason
