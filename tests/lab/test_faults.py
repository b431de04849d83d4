"""What a visitor notices when a host goes: action, state within a deadline, and what every request's history must satisfy."""

import json
import time

import pytest

from tests.lab import slow_visitors
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest, wait_until
from tests.lab.load import Load, report
from tests.lab.visitors import failed_requests, orders_in_database, shopping_load

pytestmark = pytest.mark.alone

SLOWEST_GET = 2.5
"""Seconds: a dead host's connections are given up after about two (keep-alive probes and retransmissions), and the request is repeated."""


@pytest.fixture
def shoppers(lab: LabUnderTest) -> Load:
    return shopping_load(lab)


def test_a_web_host_dies_under_load_and_no_visitor_who_looks_notices_and_slow_ones_of_the_other_get_all(
    lab: LabUnderTest, shoppers: Load
) -> None:
    with slow_visitors.deployed_pages(lab, ("web-1", "web-2")):
        slow = slow_visitors.visitors(lab)
        try:
            with slow_visitors.drained(lab, "web-1"):
                for visitor in slow:
                    visitor.start()
                assert all(visitor.request_received.wait(30) for visitor in slow)
            with shoppers as load:
                load.run_for(3)
                lab.command("kill", "web-1")
                killed = time.monotonic()
                load.run_for(10)
        finally:
            lab.command("start", "web-1")
        for visitor in slow:
            visitor.join(120)
        assert {visitor.name: visitor.error for visitor in slow} == {visitor.name: "" for visitor in slow}
    gets = [outcome for outcome in load.outcomes if outcome.method == "GET"]
    posts = [outcome for outcome in load.outcomes if outcome.method == "POST"]
    assert failed_requests(gets, "GET") == [], report(load.outcomes)
    assert max(load.seconds_without_stalls(outcome) for outcome in gets) <= SLOWEST_GET * TIMEOUT_FACTOR, report(load.outcomes)
    assert {outcome.web_host for outcome in gets if outcome.started > killed + 5} == {"web-2"}
    stored = orders_in_database(lab)
    assert max(stored.values()) == 1, "an order was made twice"
    assert [post for post in posts if post.succeeded and post.identifier not in stored] == [], "a confirmed order is not there"
    honest = [post for post in failed_requests(posts, "POST") if post.status == 502 and post.started < killed + 3]
    assert failed_requests(posts, "POST") == honest, report(load.outcomes)
    with lab.http_client() as browser:
        wait_until(
            lambda: browser.get("/api/products").headers["x-web-host"] == "web-1",
            seconds=60,
            what="web-1 serves again by itself",
            every=0.05,
        )
    wait_until(lambda: lab.hosts()["web-1"]["ready"], seconds=60, what="web-1 is ready")


def test_the_replica_restarts_and_orders_go_on_within_the_patience(lab: LabUnderTest, shoppers: Load) -> None:
    replica = "db-2" if lab.primary() == "db-1" else "db-1"
    bucket, key = str(lab.s3().list_buckets()["Buckets"][0].get("Name")), "database/replication.json"
    known = {version.get("VersionId") for version in lab.s3().list_object_versions(Bucket=bucket, Prefix=key).get("Versions", [])}
    with shoppers as load:
        load.run_for(2)
        lab.command("stop", replica)
        load.run_for(5)
        lab.command("start", replica)
        wait_until(lambda: lab.hosts()[replica]["ready"], seconds=90, what=f"{replica} is ready")
        load.run_for(3)
    assert failed_requests(load.outcomes, "GET") == [], report(load.outcomes)
    assert failed_requests(load.outcomes, "POST") == [], report(load.outcomes)
    slowest = max(load.seconds_without_stalls(outcome) for outcome in load.outcomes if outcome.method == "POST")
    assert slowest < 2 * TIMEOUT_FACTOR, report(load.outcomes)
    versions = lab.s3().list_object_versions(Bucket=bucket, Prefix=key).get("Versions", [])
    written = sorted(
        (version for version in versions if version.get("VersionId") not in known), key=lambda one: str(one.get("LastModified"))
    )
    reasons = [
        json.loads(lab.s3().get_object(Bucket=bucket, Key=key, VersionId=str(one.get("VersionId")))["Body"].read())["reason"]
        for one in written
    ]
    assert "the replica announced that it stops" in reasons, "the primary was told, and did not wait for its patience to end"
    wait_until(
        lambda: lab.query(lab.primary(), "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'")[0][1] == "ON",
        seconds=30,
        what="replication is semi-synchronous again",
    )
