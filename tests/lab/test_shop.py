"""Customers and their data: an order is seen at once by who made it, writes go to the primary, reads to the replica."""

import uuid

from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.shop import any_product, order, sign_up


def test_who_has_just_ordered_sees_the_order(lab: LabUnderTest) -> None:
    with lab.http_client() as client:
        sign_up(client)
        product = any_product(client)
        for _ in range(20):
            identifier = uuid.uuid4().hex
            assert order(client, product, identifier).status_code == 201
            seen = client.get("/api/orders").json()["orders"]
            assert seen[0]["id"] == identifier


def test_who_has_just_ordered_sees_the_order_while_the_replica_lags(lab: LabUnderTest) -> None:
    replica = "db-2" if lab.primary() == "db-1" else "db-1"
    with lab.http_client() as client:
        sign_up(client)
        product = any_product(client)
        lab.query(replica, "STOP REPLICA SQL_THREAD")
        try:
            identifier = uuid.uuid4().hex
            assert order(client, product, identifier).status_code == 201
            assert client.get("/api/orders").json()["orders"][0]["id"] == identifier
        finally:
            lab.query(replica, "START REPLICA SQL_THREAD")


def test_an_order_sent_twice_is_one_order(lab: LabUnderTest) -> None:
    with lab.http_client() as client:
        sign_up(client)
        product, identifier = any_product(client), uuid.uuid4().hex
        assert [order(client, product, identifier).status_code for _ in range(3)] == [201, 200, 200]
        assert [made["id"] for made in client.get("/api/orders").json()["orders"]] == [identifier]


def test_writes_are_on_the_primary_and_on_the_replica_as_well(lab: LabUnderTest) -> None:
    primary = lab.primary()
    replica = "db-2" if primary == "db-1" else "db-1"
    identifier = uuid.uuid4().hex
    with lab.http_client() as client:
        sign_up(client)
        assert order(client, any_product(client), identifier).status_code == 201
    count = f"SELECT COUNT(*) FROM app.orders WHERE reference = '{identifier}'"
    assert lab.query(primary, count) == [["1"]]
    wait_until(lambda: lab.query(replica, count) == [["1"]], seconds=30, what="the order is on the replica")
    assert lab.query(replica, "SELECT @@global.super_read_only") == [["1"]]


def test_reads_go_to_the_replica(lab: LabUnderTest) -> None:
    primary = lab.primary()
    replica = "db-2" if primary == "db-1" else "db-1"
    reads = (
        "SELECT COALESCE(SUM(COUNT_STAR), 0) FROM performance_schema.events_statements_summary_by_user_by_event_name "
        "WHERE USER = 'app_reader' AND EVENT_NAME = 'statement/sql/select'"
    )
    before = {host: int(lab.query(host, reads)[0][0]) for host in (primary, replica)}
    with lab.http_client() as client:
        seen = {client.get("/api/products").headers["x-database-host"] for _ in range(20)}
    after = {host: int(lab.query(host, reads)[0][0]) for host in (primary, replica)}
    assert len(seen) == 1
    assert replica in seen.pop()
    assert after[replica] - before[replica] >= 20
    assert after[primary] == before[primary]


def test_semi_synchronous_replication_is_on(lab: LabUnderTest) -> None:
    state = lab.query(lab.primary(), "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'")
    assert state == [["Rpl_semi_sync_source_status", "ON"]]


def test_the_connection_between_the_database_hosts_is_verified_tls(lab: LabUnderTest) -> None:
    replica = "db-2" if lab.primary() == "db-1" else "db-1"
    row = lab.query(
        replica, "SELECT SSL_ALLOWED, SSL_VERIFY_SERVER_CERTIFICATE FROM performance_schema.replication_connection_configuration"
    )
    assert row == [["YES", "YES"]]
