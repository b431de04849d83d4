"""What a visitor notices when something breaks: action, state within a deadline, and what every request's history must satisfy."""

import json
import time

import pytest

from tests.lab import slow_visitors
from tests.lab.harness import SLOWNESS, LabUnderTest, wait_until
from tests.lab.load import Kind, Load, Outcome, report
from tests.lab.shop import any_product, buyer, reader, sign_up

pytestmark = pytest.mark.alone

SLOWEST_GET = 2.5
"""Seconds: a dead host's connections are given up after about two (keep-alive probes and retransmissions), and the request is repeated."""


@pytest.fixture
def shoppers(lab: LabUnderTest) -> Load:
    """Twelve clients of each way to connect: two thirds look, one third orders."""
    with lab.browser() as client:
        token, product = sign_up(client), any_product(client)
    clients = [(kind, shopper) for kind in Kind for shopper in (reader(), reader("/"), reader("/"), buyer(token, product))]
    return Load(base_url=lab.url, clients=clients)


def orders_in_database(lab: LabUnderTest) -> dict[str, int]:
    rows = lab.query(lab.primary(), "SELECT reference, COUNT(*) FROM app.orders GROUP BY reference")
    return {reference: int(count) for reference, count in rows}


def failed(outcomes: list[Outcome], method: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.method == method and not outcome.succeeded]


def test_a_web_host_dies_under_load_and_no_visitor_who_looks_notices_and_slow_ones_of_the_other_get_all(
    lab: LabUnderTest, shoppers: Load
) -> None:
    with slow_visitors.pages(lab, ("web-1", "web-2")):
        slow = slow_visitors.visitors(lab)
        try:
            with slow_visitors.none_new_for(lab, "web-1"):
                for visitor in slow:
                    visitor.start()
                assert all(visitor.begun.wait(30) for visitor in slow)
            with shoppers as load:
                load.run_for(3)
                lab.command("kill", "web-1")
                killed = time.monotonic()
                load.run_for(10)
        finally:
            lab.command("start", "web-1")
        for visitor in slow:
            visitor.join(120)
        assert {visitor.name: visitor.said for visitor in slow} == {visitor.name: "" for visitor in slow}
    gets = [outcome for outcome in load.outcomes if outcome.method == "GET"]
    posts = [outcome for outcome in load.outcomes if outcome.method == "POST"]
    assert failed(gets, "GET") == [], report(load.outcomes)
    assert max(load.seconds_served(outcome) for outcome in gets) <= SLOWEST_GET * SLOWNESS, report(load.outcomes)
    assert {outcome.web_host for outcome in gets if outcome.started > killed + 5} == {"web-2"}
    stored = orders_in_database(lab)
    assert max(stored.values()) == 1, "an order was made twice"
    assert [post for post in posts if post.succeeded and post.identifier not in stored] == [], "a confirmed order is not there"
    honest = [post for post in failed(posts, "POST") if post.status == 502 and post.started < killed + 3]
    assert failed(posts, "POST") == honest, report(load.outcomes)
    with lab.browser() as browser:
        wait_until(
            lambda: browser.get("/api/products").headers["x-web-host"] == "web-1",
            seconds=60,
            what="web-1 serves again by itself",
            every=0.05,
        )
    wait_until(lambda: lab.hosts()["web-1"]["ready"], seconds=60, what="web-1 is ready")


def test_answers_may_have_16_kb_of_headers(lab: LabUnderTest) -> None:
    with slow_visitors.pages(lab, ("web-1", "web-2")):
        for http2 in (False, True):
            with lab.browser(http2=http2) as browser:
                answer = browser.get("/slow/headers?15")
                assert answer.status_code == 200
                assert len(answer.headers.get_list("set-cookie")) == 15


def writes_are_up(lab: LabUnderTest, host: str) -> bool:
    """Whether the database proxy of a web host knows a primary."""
    asked = [
        "import socket",
        "proxy = socket.socket(socket.AF_UNIX)",
        "proxy.connect('/run/webstack-database-proxy/admin.sock')",
        "proxy.sendall(b'show stat\\n')",
        "print(proxy.makefile().read())",
    ]
    said = lab.run_on(host, "python3", "-c", "; ".join(asked))
    return ",UP," in next(line for line in said.splitlines() if line.startswith("writes,BACKEND,"))


def test_a_migration_whose_primary_is_out_of_reach_waits_instead_of_failing_and_goes_on_by_itself(lab: LabUnderTest) -> None:
    def shown(unit: str, name: str) -> str:
        return lab.run_on("web-2", "systemctl", "show", "--property", name, "--value", unit).strip()

    given = lab.command("fault", "drop", "web-2", lab.primary()).stdout.partition(":")[0]
    try:
        wait_until(lambda: not writes_are_up(lab, "web-2"), seconds=20, what="the proxy of web-2 knows no primary")
        lab.run_on("web-2", "systemctl", "restart", "--no-block", "webstack-migrate.service")
        wait_until(
            lambda: shown("webstack-await-primary.service", "ActiveState") == "activating",
            seconds=40,
            what="the migration waits",
            every=0.1,
        )
    finally:
        lab.command("fault", "clear", given)
    wait_until(lambda: shown("webstack-app.service", "ActiveState") == "active", seconds=40, what="the app serves again")
    assert shown("webstack-migrate.service", "NRestarts") == "0"
    with lab.browser() as browser:
        wait_until(lambda: browser.get("/api/products").headers["x-web-host"] == "web-2", seconds=30, what="web-2 serves", every=0.05)


def test_the_resolver_is_dead_for_a_minute_and_nobody_notices(lab: LabUnderTest, shoppers: Load) -> None:
    with shoppers as load:
        load.run_for(2)
        lab.resolver("stop")
        try:
            load.run_for(60)
        finally:
            lab.resolver("start")
        load.run_for(3)
    assert failed(load.outcomes, "GET") == [], report(load.outcomes)
    assert failed(load.outcomes, "POST") == [], report(load.outcomes)
    assert {outcome.web_host for outcome in load.outcomes if outcome.path == "/api/products"} == {"web-1", "web-2"}


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
    assert failed(load.outcomes, "GET") == [], report(load.outcomes)
    assert failed(load.outcomes, "POST") == [], report(load.outcomes)
    slowest = max(load.seconds_served(outcome) for outcome in load.outcomes if outcome.method == "POST")
    assert slowest < 2 * SLOWNESS, report(load.outcomes)
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
