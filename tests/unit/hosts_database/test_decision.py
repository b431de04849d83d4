"""What the agent does for what it sees: each case of a table, and rules that hold for every one."""

from dataclasses import replace
from typing import Any

import pytest
from database_role.boot import DataState
from database_role.decision import Action, decide
from database_role.gtid import GtidSet
from database_role.observed_state import LocalView, ObservedState, PeerView, PrimaryView, ReplicationMode

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
        data=DataState.SEEDED,
        writable=host == "db-1",
        executed=gtids("1:1-100"),
        received=gtids("1:90-100"),
        receiving=host == "db-2",
    )
    return replace(base, **changes)


def leader(local: LocalView | None = None, **changes: Any) -> ObservedState:
    """What db-1's agent sees while all is well, with changes."""
    base = ObservedState(
        host="db-1",
        primary="db-1",
        has_replica=True,
        ack_timeout=5,
        data=DataState.SEEDED,
        local=local or primary_server(),
        peer=peer("db-2"),
        mode=ReplicationMode.LOSSLESS,
        semi_sync_baseline=gtids("1:1-50"),
    )
    return replace(base, **changes)


def follower(local: LocalView | None = None, **changes: Any) -> ObservedState:
    """What db-2's agent sees while all is well, with changes."""
    base = ObservedState(
        host="db-2",
        primary="db-1",
        has_replica=True,
        ack_timeout=5,
        data=DataState.SEEDED,
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

CASES: list[tuple[str, ObservedState, Action]] = [
    # the primary opens
    ("mysqld is not up", replace(leader(), local=None), Action.WAIT),
    ("nobody has begun", leader(primary=None), Action.WAIT),
    ("very first start", leader(CLOSED, mode=None), Action.RECORD_DEGRADED),
    ("first start, recorded", leader(CLOSED, mode=ReplicationMode.DEGRADED, peer=None), Action.SET_WRITABLE),
    ("restart of a lossless primary", leader(CLOSED), Action.SEMI_SYNC_ON),
    ("... with semi-sync on again", leader(replace(CLOSED, semi_sync=True)), Action.SET_WRITABLE),
    ("restart after the replica was configured away", leader(CLOSED, has_replica=False), Action.RECORD_DEGRADED),
    ("an old channel is left from a clone", leader(replace(CLOSED, source_address=ADDRESS_1)), Action.DROP_CHANNEL),
    ("mysqld is being stopped", leader(CLOSED, stopping=True), Action.WAIT),
    # the primary weakens its promise
    ("all is well", leader(), Action.HEALTHY),
    ("replica lost for less than the patience", leader(seconds_without_ack=4.9), Action.HEALTHY),
    ("replica lost for the patience", leader(seconds_without_ack=5.0), Action.RECORD_DEGRADED),
    ("... recorded", leader(seconds_without_ack=5.2, mode=ReplicationMode.DEGRADED), Action.SEMI_SYNC_OFF),
    ("... done", leader(DEGRADED, seconds_without_ack=60, mode=ReplicationMode.DEGRADED), Action.HEALTHY),
    ("the replica says that it stops", leader(replica_stopping=True), Action.RECORD_DEGRADED),
    ("... recorded", leader(replica_stopping=True, mode=ReplicationMode.DEGRADED), Action.SEMI_SYNC_OFF),
    ("no replica is configured", leader(has_replica=False, peer=None), Action.RECORD_DEGRADED),
    ("... recorded", leader(DEGRADED, has_replica=False, peer=None, mode=ReplicationMode.DEGRADED), Action.HEALTHY),
    ("somebody turned semi-sync off", leader(DEGRADED), Action.RECORD_DEGRADED),
    # and strengthens it
    ("replica connected and level", leader(DEGRADED, mode=ReplicationMode.DEGRADED, semi_sync_baseline=None), Action.SEMI_SYNC_ON),
    (
        "replica far behind",
        leader(DEGRADED, mode=ReplicationMode.DEGRADED, peer=peer("db-2", executed=gtids(""), received=gtids(""))),
        Action.SEMI_SYNC_ON,
    ),
    ("replica does not answer", leader(DEGRADED, mode=ReplicationMode.DEGRADED, peer=None), Action.HEALTHY),
    ("replica about to stop", leader(DEGRADED, mode=ReplicationMode.DEGRADED, peer=peer("db-2", stopping=True)), Action.HEALTHY),
    ("replica not receiving", leader(DEGRADED, mode=ReplicationMode.DEGRADED, peer=READ_ONLY_PEER), Action.HEALTHY),
    ("an agent begun anew sets its mark anew", leader(mode=ReplicationMode.DEGRADED, semi_sync_baseline=None), Action.SEMI_SYNC_ON),
    ("on, the replica lacks some of before", leader(mode=ReplicationMode.DEGRADED, semi_sync_baseline=gtids("1:1-101")), Action.HEALTHY),
    ("on, the replica holds all of before", leader(mode=ReplicationMode.DEGRADED), Action.RECORD_LOSSLESS),
    # the replica
    ("replicating", follower(), Action.HEALTHY),
    ("open although not primary", follower(replica_server(read_only=False, super_read_only=False)), Action.SET_READ_ONLY),
    ("semi-sync of a source on a replica", follower(replica_server(semi_sync=True)), Action.SEMI_SYNC_OFF),
    ("seeded, never attached", follower(replica_server(source_address="", receiver="OFF", applier="OFF")), Action.SET_SOURCE),
    ("attached to another address", follower(replica_server(source_address="10.20.9.9")), Action.SET_SOURCE),
    ("started", follower(replica_server(receiver="OFF", applier="OFF")), Action.START_APPLIER),
    ("started, primary down", follower(replica_server(receiver="OFF", applier="OFF"), primary_view=None), Action.START_APPLIER),
    ("applying, primary down", follower(replica_server(receiver="OFF"), primary_view=None), Action.WAIT),
    ("applying, primary up", follower(replica_server(receiver="OFF")), Action.START_RECEIVER),
    ("connecting", follower(replica_server(receiver="CONNECTING", receiver_error="refused")), Action.WAIT),
    ("applier failed on data", follower(replica_server(applier="OFF", applier_error="Duplicate entry")), Action.BLOCKED),
    (
        "relay log unreadable, primary has all",
        follower(replica_server(receiver="OFF", applier="OFF", applier_error="Relay log read failure")),
        Action.RESET_RELAY_LOG,
    ),
    (
        "relay log unreadable, primary down",
        follower(replica_server(receiver="OFF", applier="OFF", applier_error="Relay log read failure"), primary_view=None),
        Action.BLOCKED,
    ),
    (
        "relay log unreadable, primary lacks some",
        follower(
            replica_server(receiver="OFF", applier="OFF", applier_error="Relay log read failure", received=gtids("1:90-103")),
        ),
        Action.BLOCKED,
    ),
    # errant transactions
    ("made here, receiving", follower(replica_server(executed=gtids("1:1-100,2:1"))), Action.STOP_RECEIVER),
    ("made here, stopped", follower(replica_server(executed=gtids("1:1-100,2:1"), receiver="OFF")), Action.PREPARE_RECLONE),
    ("of a third server", follower(replica_server(executed=gtids("1:1-100,f:1"), receiver="OFF")), Action.BLOCKED),
    ("made here and of a third", follower(replica_server(executed=gtids("1:1-100,2:1,f:1"), receiver="OFF")), Action.BLOCKED),
    ("the primary's own, in flight", follower(replica_server(executed=gtids("1:1-101"))), Action.HEALTHY),
    (
        "the primary lost its own",
        follower(replica_server(executed=gtids("1:1-120"), receiver="OFF", receiver_errno=1236)),
        Action.BLOCKED,
    ),
    (
        "too old: the primary's log begins later",
        follower(replica_server(executed=gtids("1:1-10"), received=gtids(""), receiver="OFF", receiver_errno=1236)),
        Action.PREPARE_RECLONE,
    ),
    ("another error", follower(replica_server(receiver="OFF", receiver_errno=2003)), Action.START_RECEIVER),
    # a blank volume
    ("db-2 blank, db-1 open", follower(BLANK_2, data=DataState.CLONE_TARGET), Action.CLONE),
    ("db-2 blank, db-1 not open yet", follower(BLANK_2, data=DataState.CLONE_TARGET, peer=peer("db-1", writable=False)), Action.WAIT),
    ("db-2 blank, db-1 down", follower(BLANK_2, data=DataState.CLONE_TARGET, peer=None), Action.WAIT),
    ("db-2 cloning", follower(replace(BLANK_2, clone_state="In Progress"), data=DataState.CLONE_TARGET), Action.WAIT),
    ("db-2's clone failed", follower(replace(BLANK_2, clone_state="Failed", clone_error="x"), data=DataState.CLONE_TARGET), Action.CLONE),
    (
        "db-2 cloned",
        follower(replace(BLANK_2, clone_state="Completed", executed=gtids("1:1-90")), data=DataState.CLONE_TARGET),
        Action.ACCEPT_CLONE,
    ),
    ("db-1 blank, db-2 down", leader(BLANK_1, data=DataState.CLONE_TARGET, peer=None), Action.WAIT),
    ("both blank", leader(BLANK_1, data=DataState.CLONE_TARGET, peer=peer("db-2", data=DataState.CLONE_TARGET)), Action.WAIT),
    ("db-1 blank, db-2 has the data", leader(BLANK_1, data=DataState.CLONE_TARGET, peer=READ_ONLY_PEER), Action.CLONE),
    (
        "db-1 blank, db-2 has yet to apply what it received",
        leader(BLANK_1, data=DataState.CLONE_TARGET, peer=peer("db-2", received=gtids("1:90-104"))),
        Action.WAIT,
    ),
    (
        "db-1 blank, db-2 may lack writes",
        leader(BLANK_1, data=DataState.CLONE_TARGET, peer=READ_ONLY_PEER, mode=ReplicationMode.DEGRADED),
        Action.BLOCKED,
    ),
    ("... accepted by a person", leader(BLANK_1, data=DataState.CLONE_TARGET, peer=READ_ONLY_PEER, mode=None), Action.CLONE),
    ("db-1 blank, db-2 is stopping", leader(BLANK_1, data=DataState.CLONE_TARGET, peer=peer("db-2", stopping=True)), Action.WAIT),
    ("db-1 blank, db-2 takes writes", leader(BLANK_1, data=DataState.CLONE_TARGET, peer=peer("db-2", writable=True)), Action.BLOCKED),
    (
        "db-1 copied all of db-2",
        leader(replace(BLANK_1, clone_state="Completed", executed=gtids("1:1-100")), data=DataState.CLONE_TARGET, peer=READ_ONLY_PEER),
        Action.ACCEPT_CLONE,
    ),
    (
        "db-1 copied less than db-2 now has",
        leader(replace(BLANK_1, clone_state="Completed", executed=gtids("1:1-99")), data=DataState.CLONE_TARGET, peer=READ_ONLY_PEER),
        Action.CLONE,
    ),
    (
        "db-1 copied db-2, which is down since",
        leader(replace(BLANK_1, clone_state="Completed", executed=gtids("1:1-100")), data=DataState.CLONE_TARGET, peer=None),
        Action.WAIT,
    ),
    ("unclaimed data is nobody's", leader(CLOSED, data=DataState.INITIALISED), Action.WAIT),
]


@pytest.mark.parametrize(("case", "seen", "action"), CASES, ids=[f"{index}-{case}" for index, (case, _, _) in enumerate(CASES)])
def test_decision(case: str, seen: ObservedState, action: Action) -> None:
    decision = decide(seen)
    assert decision.action is action, f"{case}: {decision.action.value}: {decision.reason}"
    assert decision.reason


def test_semi_sync_is_turned_off_only_where_degraded_is_recorded_or_on_a_replica() -> None:
    for case, seen, _ in CASES:
        if decide(seen).action is Action.SEMI_SYNC_OFF:
            assert seen.mode is ReplicationMode.DEGRADED or seen.primary != seen.host, case


def test_a_host_opens_only_when_named_seeded_and_with_the_promise_that_is_recorded() -> None:
    opened = [(case, seen) for case, seen, _ in CASES if decide(seen).action is Action.SET_WRITABLE]
    assert opened
    for case, seen in opened:
        assert seen.primary == seen.host, case
        assert seen.data is DataState.SEEDED, case
        assert seen.local is not None, case
        assert seen.local.semi_sync or seen.mode is ReplicationMode.DEGRADED, case


def test_a_replica_far_behind_is_waited_for_before_writes_wait_for_it() -> None:
    behind = peer("db-2", executed=gtids("1:1-100"), received=gtids(""))
    seen = leader(
        primary_server(semi_sync=False, executed=gtids("1:1-700")), mode=ReplicationMode.DEGRADED, semi_sync_baseline=None, peer=behind
    )
    decision = decide(seen)
    assert decision.action is Action.HEALTHY
    assert "lacks 600 transactions" in decision.reason


def test_the_reason_of_a_refusal_names_the_transactions() -> None:
    reason = decide(follower(replica_server(executed=gtids("1:1-100,f:1"), receiver="OFF"))).reason
    assert f"{UUID_OLD}:1" in reason
