"""`up` again: each change reaches the hosts that it concerns, and visitors see of it what the table says (`tests/changes/table.py`).

Every `up` goes on from the one before it, and the last test puts all back: no host is replaced or restarted more often than needed.
"""

import contextlib
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab.paths import REPOSITORY
from tests.changes.model import Edit, apply_edit
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest, wait_until
from tests.lab.load import Kind, Load, Outcome, report
from tests.lab.shop import any_product, buyer, reader, sign_up
from tests.lab.visitors import orders_in_database
from tests.program_files import copy_program

NAME, SECRET = "shop.example", "the-shops-own-certificate"


@dataclass
class Site:
    """A lab on its way through the changes, driven from a copy of the program. `sets` are the settings that it has by now."""

    lab: LabUnderTest
    copied: LabUnderTest
    sets: dict[str, str] = field(default_factory=dict[str, str])
    changed: bool = False

    def up(self, *settings: str, passing: tuple[str, ...] = (), status: int = 0, refresh: bool = False) -> str:
        """`up` with these settings from now on, and with `passing` ones this time; gives what it said."""
        self.changed = True
        for text in settings:
            key, _, value = text.partition("=")
            self.sets[key] = value
        given = [part for text in (*self.settings, *passing) for part in ("--set", text)]
        return self.copied.command("up", "--stack", "dev", *given, *(["--refresh"] if refresh else []), status=status).stderr

    @property
    def settings(self) -> list[str]:
        return [f"{key}={value}" for key, value in self.sets.items()]

    def edit(self, file: str, old: str, new: str) -> None:
        apply_edit(Edit(file=file, old=old, new=new), self.copied.clone)

    def put_back(self) -> None:
        """The program and the settings as they were."""
        self.lab.up()
        self.changed = False


@pytest.fixture(scope="module")
def lab(lab: LabUnderTest) -> LabUnderTest:
    """Its visitors ask for the name that the site gets in the course of the changes: without one it answers to any."""
    return replace(lab, site=NAME)


@pytest.fixture(scope="module")
def site(lab: LabUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    clone = copy_program(tmp_path_factory.mktemp("program"), extra=("lab", "ops", "tools", "pyproject.toml"))
    under_test = Site(lab, replace(lab, clone=clone))
    yield under_test
    if under_test.changed:
        under_test.put_back()
    with contextlib.suppress(lab.secrets().exceptions.ResourceNotFoundException):
        lab.secrets().delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)


def shoppers(lab: LabUnderTest) -> Load:
    """Some thirty requests a second for as long as an `up` takes: more would only take the processors from the hosts that boot."""
    with lab.http_client() as client:
        token, product = sign_up(client), any_product(client)
    clients = [(kind, shopper) for kind in Kind for shopper in (reader(), reader("/"), buyer(token, product))]
    return Load(base_url=lab.url, clients=clients, think_seconds=(0.1, 0.5), headers=lab.request_headers)


def instances(lab: LabUnderTest) -> dict[str, str]:
    return {name: str(host["instance_id"]) for name, host in lab.hosts().items() if host["state"] == "running"}


def running(lab: LabUnderTest) -> set[str]:
    """Every instance that runs, also one whose name another bears."""
    found = lab.ec2().describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
    return {one.get("InstanceId", "") for reservation in found["Reservations"] for one in reservation.get("Instances", [])}


def launched(lab: LabUnderTest, host: str) -> datetime:
    return lab.instance(host)["LaunchTime"]  # pyright: ignore[reportTypedDictNotRequiredAccess]


def served(outcome: Outcome) -> bool:
    """Whether an answer came, or the load balancer asked the client to open another connection.

    A graceful end of an HTTP/2 connection is GOAWAY with the highest stream number (RFC 9113, 6.8); a browser opens the next one and
    asks again. httpx reports it as an error.
    """
    return outcome.succeeded or "ConnectionTerminated error_code:0, last_stream_id:2147483647" in outcome.error


def boots(lab: LabUnderTest, host: str) -> list[str]:
    return re.findall(r"\b[0-9a-f]{32}\b", lab.run_on(host, "journalctl", "--list-boots", "--no-pager"))


REFUSING = """

import os

served, asked_of = app, os.environ["WEB_HOST"]


def app(environ, start_response):
    host = environ["HTTP_HOST"]
    if asked_of == "web-2" and host != "testserver":
        start_response("400 Bad Request", [("Content-Type", "text/plain")])
        return [f"Invalid HTTP_HOST header: {host!r}".encode()]
    if asked_of == "web-3":
        start_response("301 Moved Permanently", [("Location", f"https://{host}{environ['PATH_INFO']}")])
        return []
    return served(environ, start_response)
"""
"""A release that on one web host answers as Django does to a name that it does not know, and on one sends everybody to https who is
there already."""

FAILING = """import socket

if socket.gethostname() == "web-1":
    import nosuchmodule

"""
"""What on one web host the migration of that release lacks."""

STRICT = """

import os

served = app


def app(environ, start_response):
    host, path = environ["HTTP_HOST"], environ["PATH_INFO"]
    if path in ("/healthz", "/readyz") and host != os.environ["SITE_HOST"]:
        start_response("400 Bad Request", [])
        return []
    if environ["HTTP_X_FORWARDED_PROTO"] != "https":
        start_response("301 Moved Permanently", [("Location", f"https://{host}{path}")])
        return []
    return served(environ, start_response)
"""
"""A release that looks at names and schemes, and believes what it is told of them."""


def test_a_failed_up_says_which_host_and_why_and_deletes_nothing(lab: LabUnderTest, site: Site) -> None:
    """Three hosts of one release, each with a fault of its own. The hosts that serve go on."""
    before, address = instances(lab), str(urlsplit(lab.url).hostname)
    question = f"the app answers GET /healthz (Host {address}, https) with"
    reasons = (
        "(exit code 1): ModuleNotFoundError: No module named 'nosuchmodule'",
        "journalctl -b -u webstack-migrate.service",
        f"{question} 400",
        f"Invalid HTTP_HOST header: '{address}'",
        f"the hosts that it allows must hold {address}",
        f"{question} 301",
        f"Location: https://{address}/healthz",
        "Let it believe X-Forwarded-Proto",
    )
    app, migration = site.copied.clone / "app/wsgi.py", site.copied.clone / "app/migrate.py"
    whole = {program: program.read_text() for program in (app, migration)}
    try:
        app.write_text(whole[app] + REFUSING)
        migration.write_text(FAILING + whole[migration])
        told: list[str] = []
        with shoppers(lab) as load:
            while not any(all(reason in said for reason in reasons) for said in told) and len(told) < 1 + 2 * TIMEOUT_FACTOR:
                told.append(site.up(passing=("readiness.timeout=30", "web.count=3"), status=1))
                assert set(before.values()) <= running(lab), "the hosts that serve were left alone"
        assert all(reason in told[-1] for reason in reasons), told[-1]
        assert [outcome for outcome in load.outcomes if not outcome.succeeded] == [], report(load.outcomes)
        made = running(lab) - set(before.values())
        assert len(made) == 3
        for instance in made:
            assert re.search(rf"Not in use yet, but running and costing: .*web-[123] \({instance}\)", told[-1])
    finally:
        for program, text in whole.items():
            program.write_text(text)


def test_another_release_another_type_and_another_name_are_a_blue_green_replacement_of_the_web_tier(lab: LabUnderTest, site: Site) -> None:
    before = instances(lab)
    site.edit("app/static/shop.css", "", "\n/* the next release */\n")
    site.edit("app/wsgi.py", "", STRICT)
    with shoppers(lab) as load:
        site.up("web.instanceType=t3.medium", "web.drainSeconds=10", f"loadBalancer.domain={NAME}")
        load.run_for(5)
    after = instances(lab)
    assert [outcome for outcome in load.outcomes if not served(outcome)] == [], report(load.outcomes)
    assert sorted(after) == ["db-1", "db-2", "lb-1", "web-1", "web-2"], "what was left of the release that failed is gone"
    assert {name for name in after if before[name] != after[name]} == {"web-1", "web-2"}
    assert [lab.instance(name).get("InstanceType") for name in ("web-1", "web-2")] == ["t3.medium", "t3.medium"]
    with lab.http_client() as browser:
        assert "the next release" in browser.get("/static/shop.css").text
        other = browser.get("/", headers={"Host": str(urlsplit(lab.url).hostname)})
        assert (other.status_code, other.headers["content-security-policy"]) == (421, "default-src 'none'; frame-ancestors 'none'")


def test_a_third_web_host_joins_and_leaves_and_nothing_fails(lab: LabUnderTest, site: Site) -> None:
    before = instances(lab)
    with shoppers(lab) as load:
        site.up("web.count=3")
        assert set(instances(lab)) == {*before, "web-3"}
        with lab.http_client() as browser:
            wait_until(lambda: browser.get("/api/products").headers["x-web-host"] == "web-3", seconds=30, what="web-3 serves", every=0.05)
        site.up("web.count=2")
        load.run_for(5)
    assert [outcome for outcome in load.outcomes if not outcome.succeeded] == [], report(load.outcomes)
    assert instances(lab) == before


def test_a_tag_made_behind_the_program_s_back_is_nothing_to_an_up_and_put_right_by_a_refresh(lab: LabUnderTest, site: Site) -> None:
    instance = instances(lab)["web-1"]
    lab.ec2().create_tags(Resources=[instance], Tags=[{"Key": "component", "Value": "stranger"}])
    assert "nothing to change" in site.up(), "the engine goes by its state"
    site.up(refresh=True)
    (tag,) = [tag for tag in lab.instance("web-1").get("Tags", []) if tag.get("Key") == "component"]
    assert tag.get("Value") == "web"


def certificate(folder: Path, name: str) -> tuple[Path, str]:
    """A new certificate for NAME: the file of its chain, and chain and key as PEM."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2", "-keyout", str(key), "-out", str(chain)),
        ],
        check=True,
        capture_output=True,
    )
    return chain, chain.read_text() + key.read_text()


def trusted(lab: LabUnderTest, chain: Path) -> bool:
    """Whether the load balancer proves to be NAME to a client that trusts this chain alone."""
    context = ssl.create_default_context(cafile=chain)
    address = (str(urlsplit(lab.url).hostname), 443)
    try:
        with socket.create_connection(address, timeout=10) as connection, context.wrap_socket(connection, server_hostname=NAME):
            return True
    except ssl.SSLCertVerificationError:
        return False


def rotate_tls(lab: LabUnderTest, file: Path, pem: str) -> str:
    """`webstack rotate tls` with this PEM; what it said."""
    file.write_text(pem)
    line = [sys.executable, "-m", "ops", "rotate", "tls", "--from", str(file), "--secret", SECRET, "--lab", lab.name]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300 * TIMEOUT_FACTOR, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_what_the_load_balancer_reloads_loses_no_request_and_what_it_refuses_changes_nothing(
    lab: LabUnderTest, site: Site, tmp_path: Path
) -> None:
    """A line of `haproxy.cfg`, which a preview shows as that line, settings, and a certificate of one's own, which is renewed."""
    booted = launched(lab, "lb-1")
    haproxy_cfg = "userdata/load_balancer/etc/haproxy/haproxy.cfg.j2"
    site.edit(haproxy_cfg, "maxconn 8000", "maxconn 7000")
    shown = site.copied.command("preview", "--diff", *(part for text in site.settings for part in ("--set", text))).stdout
    assert re.findall(r"^ *([+-]) .*maxconn", shown, re.MULTILINE) == ["-", "+"]
    assert re.search(r"~ 1 to update", shown)
    assert "lb-1" in shown
    assert re.search(r"to (create|delete|replace)", shown) is None

    (chain, pem), (renewed_chain, renewed) = certificate(tmp_path, "first"), certificate(tmp_path, "renewed")
    assert "was created" in rotate_tls(lab, tmp_path / "site.pem", pem)
    try:
        with shoppers(lab) as load:
            site.up(
                *("loadBalancer.balance=leastconn", "loadBalancer.backendMode=active-passive"),
                f"loadBalancer.tls={{mode: secret, secret: {SECRET}}}",
            )
            in_force = lab.run_on("lb-1", "cat", "/etc/haproxy/haproxy.cfg")
            assert trusted(lab, chain)
            assert "every load balancer serves it" in rotate_tls(lab, tmp_path / "site.pem", renewed)
            assert trusted(lab, renewed_chain)
            assert not trusted(lab, chain), "the old one is served no more"
            site.edit(haproxy_cfg, "maxconn 7000", "maxconn many")
            said = site.up(status=1)
            load.run_for(2)
        assert [outcome for outcome in load.outcomes if not served(outcome)] == [], report(load.outcomes)
        assert launched(lab, "lb-1") == booted
        assert re.findall(r"maxconn 7000|balance leastconn|server-template standby", in_force)[:3] == [
            "maxconn 7000",
            "balance leastconn",
            "server-template standby",
        ]
        assert "its new configuration is refused, it serves with the old one" in said
        assert "maxconn" in said
        assert "maxconn 7000" in lab.run_on("lb-1", "cat", "/etc/haproxy/haproxy.cfg")
        key_line = renewed.splitlines()[-3]
        holders = lab.run_on("lb-1", "grep", "-rlF", "--", key_line, "/etc", "/var", "/run", "/usr/local", check=False).split()
        assert len(holders) == 1, "the file that HAProxy reads, and none besides"
        assert lab.run_on("lb-1", "stat", "-c", "%a", holders[0]).strip() in {"400", "600", "640"}
    finally:
        site.edit(haproxy_cfg, "maxconn many", "maxconn 8000")
        site.sets = {key: value for key, value in site.sets.items() if key == "loadBalancer.domain" or not key.startswith("loadBalancer.")}


def test_databases_are_changed_one_after_the_other_and_pages_go_on(lab: LabUnderTest, site: Site) -> None:
    """Another type and other user data in one `up`: each database is stopped twice, and the boot between serves nothing."""
    before = {host: (instances(lab)[host], boots(lab, host)) for host in ("db-1", "db-2")}
    with shoppers(lab) as load:
        site.up("database.instanceType=t3.medium", "database.bufferPool=256")
        load.run_for(5)
    assert [outcome for outcome in load.outcomes if outcome.method == "GET" and not served(outcome)] == [], report(load.outcomes)
    failed = [outcome for outcome in load.outcomes if outcome.method == "POST" and not served(outcome)]
    assert {outcome.status for outcome in failed} <= {503}, report(load.outcomes)
    stored = orders_in_database(lab)
    assert max(stored.values()) == 1, "an order was made twice"
    confirmed = {outcome.identifier for outcome in load.outcomes if outcome.method == "POST" and outcome.succeeded}
    assert confirmed - stored.keys() == set(), "a confirmed order is not there"
    for host, (instance, earlier) in before.items():
        assert instances(lab)[host] == instance, "a pet is changed in place"
        assert lab.query(host, "SELECT @@innodb_buffer_pool_size DIV 1048576") == [["256"]]
        *between, _ = boots(lab, host)[len(earlier) :]
        for boot in between:
            assert lab.run_on(host, "journalctl", "--boot", boot, "--unit", "mysql", "--output", "cat", "--quiet", check=False) == ""
    assert launched(lab, "db-2") < launched(lab, "db-1")


def test_the_replica_goes_and_a_new_one_comes_with_all_data_and_the_load_balancer_restarts(lab: LabUnderTest, site: Site) -> None:
    """The first `up` stops and starts lb-1 besides, for another type and other scripts; the second puts all back."""
    booted, balancer = launched(lab, "lb-1"), instances(lab)["lb-1"]
    site.edit("userdata/load_balancer/etc/keepalived/keepalived.conf.j2", "interval 1", "interval 2")
    with Load(base_url=lab.url, clients=[(Kind.NEW_CONNECTION, reader())], headers=lab.request_headers) as load:
        site.up("database.replica=false", "loadBalancer.instanceType=t3.small")
        ended = len(load.outcomes)
        load.run_for(2)
    assert [outcome for outcome in load.outcomes[ended + 1 :] if not outcome.succeeded] == [], "the site is back when `up` has ended"
    assert sorted(instances(lab)) == ["db-1", "lb-1", "web-1", "web-2"]
    assert instances(lab)["lb-1"] == balancer
    assert launched(lab, "lb-1") > booted
    products = lab.query("db-1", "SELECT COUNT(*) FROM app.products")
    site.put_back()
    assert lab.query("db-2", "SELECT COUNT(*) FROM app.products") == products
    wait_until(
        lambda: lab.query("db-1", "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'")[0][1] == "ON",
        seconds=30,
        what="the primary waits for the new replica's acknowledgement",
    )
