"""A web host that was taken over: each line of docs/security.md's table is tried, as the app's user in the app's sandbox and as root."""

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from lab.paths import REPOSITORY
from stack.naming import configuration_key
from tests.lab import compromised_host, silent_logins
from tests.lab.harness import REGION, LabUnderTest, reachable_by_hosts
from tests.lab.test_identity import Site

HEADING: Final = "## From a hacked web host"
ANSWERS: Final = {"yes": True, "no": False}
OTHER_PORTS: Final = (22, 25)
"""Ports of the outside that something listens on here, and that no rule lets a host reach."""

PROTOCOL: Final = 10
"""The first byte of MySQL's greeting: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html"""
EACH: Final = 140
"""Connections to MySQL that one host gets (userdata/database/etc/webstack/firewall.nft)."""

Said = dict[str, dict[str, bool | str]]


def table() -> dict[str, tuple[bool, bool]]:
    """The document's table: the line → whether the app's user can, whether root can."""
    text = (REPOSITORY / "docs" / "security.md").read_text()
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return {what: (ANSWERS[re.split(r"\W", app)[0]], ANSWERS[re.split(r"\W", root)[0]]) for what, app, root in rows[2:]}


TABLE: Final = table()


def app_process(lab: LabUnderTest, host: str) -> str:
    """The number of the app's process on its host."""
    return lab.run_on(host, "systemctl", "show", "--property=MainPID", "--value", "webstack-app.service").strip()


def as_app(lab: LabUnderTest, host: str, process: str) -> list[str]:
    """What makes a command be as the app is: its files, its user, its group, no capability, nothing to be gained."""
    user, group = lab.run_on(host, "stat", "--format=%u:%g", f"/proc/{process}").strip().split(":")
    sandbox = ["nsenter", f"--target={process}", "--mount", "--", "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    return [*sandbox, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


@pytest.fixture(scope="module")
def said(lab: LabUnderTest) -> Iterator[Said]:
    """What came of every try, as the app's user and as root."""
    site = Site(lab)
    own = str(lab.names.wan_peer_address)
    app = app_process(lab, "web-1")
    program = Path(compromised_host.__file__).read_text()
    sandbox = as_app(lab, "web-1", app)
    with contextlib.ExitStack() as stack:
        for port in (80, 443, *OTHER_PORTS):
            stack.enter_context(socket.create_server((own, port)))
            stack.enter_context(reachable_by_hosts(lab, "tcp", port))
        given = json.dumps({**facts(lab, site), "app": app, "outside": [own], "other_ports": OTHER_PORTS})
        with ThreadPoolExecutor(2) as pool:
            tries = {
                who: pool.submit(lab.run_on, "web-1", *before, "/usr/bin/python3", "-c", program, given)
                for who, before in (("app", sandbox), ("root", []))
            }
            yield {who: json.loads(one.result()) for who, one in tries.items()}
    for upload in site.s3.list_multipart_uploads(Bucket=site.bucket).get("Uploads", []):
        site.s3.abort_multipart_upload(Bucket=site.bucket, Key=upload.get("Key", ""), UploadId=upload.get("UploadId", ""))


def facts(lab: LabUnderTest, site: Site) -> dict[str, Any]:
    """What the tries are about on this site."""
    hosts = lab.hosts()
    by_role = {
        role: [str(row["private_ip"]) for name, row in hosts.items() if row["role"] == role and name != "web-1"]
        for role in ("database", "web", "load_balancer")
    }
    others = [name for name in hosts if name != "web-1"]
    return {
        "region": REGION,
        "bucket": site.bucket,
        "own": site.instances["web-1"],
        "others": [site.instances[name] for name in others],
        "other_role": site.iam.get_role(RoleName=site.roles["database"])["Role"]["Arn"],
        "address": site.address,
        "secrets": site.secrets,
        "bundles": [site.keys("app/")[0], site.keys("roles/web/")[0]],
        "other_bundles": [
            *(site.keys(f"roles/{role}/")[0] for role in ("database", "load_balancer")),
            *(configuration_key(name) for name in ("db-1", "lb-1")),
        ],
        "tier_records": [site.record(name) for name in others if hosts[name]["role"] == "web"],
        "other_records": [site.record(name) for name in others if hosts[name]["role"] != "web"],
        "certificates": site.keys("database/certificates/"),
        "databases": by_role["database"],
        "web_hosts": by_role["web"],
        "load_balancers": by_role["load_balancer"],
    }


def test_the_table_and_the_tries_have_the_same_lines() -> None:
    assert list(TABLE) == list(compromised_host.ATTEMPTS)


@pytest.mark.parametrize("what", TABLE)
def test_a_line_of_the_table_is_so(said: Said, what: str) -> None:
    assert (said["app"][what], said["root"][what]) == TABLE[what]


def greeted(lab: LabUnderTest, host: str, database: str) -> bool:
    """Whether MySQL greets a new connection from a host; one that has all its connections answers with an error."""
    program = "import socket, sys; print(socket.create_connection((sys.argv[1], 3306), 5).recv(5)[4])"
    return lab.run_on(host, "python3", "-c", program, database).strip() == str(PROTOCOL)


def test_hacked_apps_cannot_take_the_databases_connections_from_others(lab: LabUnderTest) -> None:
    """Two web hosts keep connections on which nobody logs in, as many as they get; replication and agents get theirs, and go on."""
    addresses = {name: str(row["private_ip"]) for name, row in lab.hosts().items()}
    primary = lab.primary()
    replica = next(name for name in ("db-1", "db-2") if name != primary)
    program = Path(silent_logins.__file__).read_text()
    given = (json.dumps([addresses["db-1"], addresses["db-2"]]), "800", "20")
    sandboxes = {host: as_app(lab, host, app_process(lab, host)) for host in ("web-1", "web-2")}
    asked: list[bool] = []
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(lab.run_on, host, *sandbox, "/usr/bin/python3", "-c", program, *given) for host, sandbox in sandboxes.items()]
        while not all(run.done() for run in runs):
            asked += [greeted(lab, replica, addresses[primary]), greeted(lab, primary, addresses[replica])]
        found = [json.loads(run.result()) for run in runs]
    assert all(asked)
    assert asked, "it was asked meanwhile"
    for one in found:
        assert one["refused"] == 0, "MySQL itself never had too many"
        assert all(0 < most <= EACH for most in one["greeted"].values()), one
    assert lab.query(replica, "SELECT service_state FROM performance_schema.replication_connection_status") == [["ON"]]
    assert lab.query(primary, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'")[0][1] == "ON"
