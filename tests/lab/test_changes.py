"""`up` again: each change reaches the hosts that it concerns, and visitors notice none of it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.load import Kind, Load, Outcome, report
from tests.lab.shop import any_product, buyer, reader, sign_up
from tests.program import copy_program


@pytest.fixture
def changed(lab: LabUnderTest, tmp_path: Path) -> Iterator[LabUnderTest]:
    """The same lab, driven from a copy of the program that a test may change; the program as it is comes back afterwards."""
    copy_program(tmp_path, beside=("lab", "ops", "tools", "pyproject.toml"))
    yield replace(lab, clone=tmp_path)
    lab.up()


def shoppers(lab: LabUnderTest) -> Load:
    with lab.browser() as client:
        token, product = sign_up(client), any_product(client)
    clients = [(kind, shopper) for kind in Kind for shopper in (reader(), reader("/"), buyer(token, product))]
    return Load(base_url=lab.url, clients=clients)


def instances(lab: LabUnderTest) -> dict[str, str]:
    return {name: str(host["instance_id"]) for name, host in lab.hosts().items() if host["state"] == "running"}


def served(outcome: Outcome) -> bool:
    """Whether an answer came, or the load balancer asked the client to open another connection.

    A graceful end of an HTTP/2 connection is GOAWAY with the highest stream number (RFC 9113, 6.8); a browser opens the next one and
    asks again. httpx reports it as an error.
    """
    return outcome.succeeded or "ConnectionTerminated error_code:0, last_stream_id:2147483647" in outcome.error


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} no longer holds {old!r}: change this test with it"
    path.write_text(text.replace(old, new, 1))


def test_nothing_changed_means_nothing_is_done(lab: LabUnderTest) -> None:
    assert "nothing to change" in lab.up().stderr


def test_a_third_web_host_joins_and_leaves_and_nothing_fails(lab: LabUnderTest) -> None:
    before = instances(lab)
    with shoppers(lab) as load:
        lab.up("web.count=3")
        assert set(instances(lab)) == {*before, "web-3"}
        with lab.browser() as browser:
            wait_until(lambda: browser.get("/api/products").headers["x-web-host"] == "web-3", seconds=30, what="web-3 serves", every=0.05)
        lab.up()
        load.run_for(5)
    assert [outcome for outcome in load.outcomes if not outcome.succeeded] == [], report(load.outcomes)
    assert instances(lab) == before


def test_a_changed_app_is_a_blue_green_replacement_of_the_web_tier(lab: LabUnderTest, changed: LabUnderTest) -> None:
    before = instances(lab)
    style = changed.clone / "app" / "static" / "shop.css"
    style.write_text(style.read_text() + "\n/* the next release */\n")
    with shoppers(lab) as load:
        changed.up()
        load.run_for(5)
    after = instances(lab)
    assert [outcome for outcome in load.outcomes if not outcome.succeeded] == [], report(load.outcomes)
    assert {name for name in before if before[name] != after[name]} == {"web-1", "web-2"}
    with lab.browser() as browser:
        assert "the next release" in browser.get("/static/shop.css").text


def test_a_changed_line_of_haproxy_cfg_shows_as_that_line_and_as_one_update(lab: LabUnderTest, changed: LabUnderTest) -> None:
    template = changed.clone / "userdata" / "load_balancer" / "etc" / "haproxy" / "haproxy.cfg.j2"
    edit(template, "maxconn 8000", "maxconn 7000")
    shown = changed.command("preview", "--diff").stdout
    assert re.findall(r"^ *([+-]) .*maxconn", shown, re.MULTILINE) == ["-", "+"]
    assert re.search(r"~ 1 to update", shown)
    assert "lb-1" in shown
    assert re.search(r"to (create|delete|replace)", shown) is None


def test_what_the_load_balancer_reloads_loses_no_request_and_what_it_refuses_changes_nothing(
    lab: LabUnderTest, changed: LabUnderTest
) -> None:
    booted = lab.instance("lb-1")["LaunchTime"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    template = changed.clone / "userdata" / "load_balancer" / "etc" / "haproxy" / "haproxy.cfg.j2"
    with shoppers(lab) as load:
        edit(template, "maxconn 8000", "maxconn 7000")
        changed.up("loadBalancer.balance=leastconn", "loadBalancer.activity=active-passive", "loadBalancer.domain=shop.example")
        in_force = lab.run_on("lb-1", "cat", "/etc/haproxy/haproxy.cfg")
        edit(template, "maxconn 7000", "maxconn many")
        said = changed.up("loadBalancer.balance=leastconn", status=1).stderr
        load.run_for(2)
    assert [outcome for outcome in load.outcomes if not served(outcome)] == [], report(load.outcomes)
    assert lab.instance("lb-1")["LaunchTime"] == booted  # pyright: ignore[reportTypedDictNotRequiredAccess]
    assert re.findall(r"maxconn 7000|balance leastconn|server-template standby", in_force)[:3] == [
        "maxconn 7000",
        "balance leastconn",
        "server-template standby",
    ]
    assert "its new configuration is refused, it serves with the old one" in said
    assert "maxconn" in said
    assert "maxconn 7000" in lab.run_on("lb-1", "cat", "/etc/haproxy/haproxy.cfg")


def test_the_replica_goes_and_a_new_one_comes_with_all_data(lab: LabUnderTest) -> None:
    try:
        lab.up("database.replica=false")
        assert sorted(instances(lab)) == ["db-1", "lb-1", "web-1", "web-2"]
        products = lab.query("db-1", "SELECT COUNT(*) FROM app.products")
    finally:
        lab.up()
    assert lab.query("db-2", "SELECT COUNT(*) FROM app.products") == products
    wait_until(
        lambda: lab.query("db-1", "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'")[0][1] == "ON",
        seconds=30,
        what="the primary waits for the new replica's acknowledgement",
    )


def test_a_tag_made_behind_the_program_s_back_is_seen_and_put_right(lab: LabUnderTest) -> None:
    instance = instances(lab)["web-1"]
    lab.ec2().create_tags(Resources=[instance], Tags=[{"Key": "component", "Value": "stranger"}])
    lab.command("refresh")
    assert "stranger" in lab.command("preview", "--diff").stdout
    lab.up()
    tags = lab.ec2().describe_tags(Filters=[{"Name": "resource-id", "Values": [instance]}, {"Name": "key", "Values": ["component"]}])[
        "Tags"
    ]
    assert [tag.get("Value") for tag in tags] == ["web"]


def test_a_failed_up_says_which_host_and_why_and_deletes_nothing(lab: LabUnderTest, changed: LabUnderTest) -> None:
    before = instances(lab)
    (changed.clone / "app" / "wsgi.py").write_text('raise RuntimeError("this release does not start")\n')
    for _ in range(2):
        said = changed.up("readiness.timeout=60", status=1).stderr
        assert "web-" in said
        assert "this release does not start" in said
        running = {str(host["instance_id"]) for host in lab.hosts().values()} | {
            instance.get("InstanceId", "")
            for reservation in lab.ec2().describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])[
                "Reservations"
            ]
            for instance in reservation.get("Instances", [])
        }
        assert set(before.values()) <= running, "the hosts that serve were left alone"
    with lab.browser() as browser:
        assert browser.get("/").status_code == 200
