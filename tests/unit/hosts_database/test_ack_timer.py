"""How long a replica has acknowledged nothing."""

from database_role.ack_timer import AckTimer

from .support import server


def test_a_replica_is_lost_from_the_moment_that_nothing_is_acknowledged_although_it_still_counts() -> None:
    watch = AckTimer()
    assert watch.seconds_without_ack(server(acknowledged=1), 0.0) == 0
    assert watch.seconds_without_ack(server(acknowledged=2, waiting=1), 1.0) == 0
    assert watch.seconds_without_ack(server(acknowledged=2, waiting=1), 4.0) == 3.0
    assert watch.seconds_without_ack(server(acknowledged=2, waiting=3), 6.0) == 5.0
    assert watch.seconds_without_ack(server(acknowledged=3, waiting=1), 6.5) == 0


def test_a_replica_that_is_not_counted_is_lost() -> None:
    watch = AckTimer()
    watch.seconds_without_ack(server(), 0.0)
    assert watch.seconds_without_ack(server(replicas=0), 2.0) == 2.0
    assert watch.seconds_without_ack(server(replicas=1), 3.0) == 0


def test_the_clock_starts_when_a_primary_opens_or_its_agent_begins() -> None:
    watch = AckTimer()
    assert watch.seconds_without_ack(server(read_only=True, replicas=0), 100.0) == 0
    assert watch.seconds_without_ack(server(replicas=0), 103.0) == 3.0
    assert AckTimer().seconds_without_ack(server(replicas=0), 500.0) == 0
    assert AckTimer().seconds_without_ack(None, 500.0) == 0
