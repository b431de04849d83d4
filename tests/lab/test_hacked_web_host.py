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
from tests.lab import hacked
from tests.lab.harness import REGION, LabUnderTest, reachable_by_hosts
from tests.lab.test_identity import Site

HEADING: Final = "## From a hacked web host"
ANSWERS: Final = {"yes": True, "no": False}
OTHER_PORTS: Final = (22, 25)
"""Ports of the outside that something listens on here, and that no rule lets a host reach."""

Said = dict[str, dict[str, bool | str]]


def table() -> dict[str, tuple[bool, bool]]:
    """The document's table: the line → whether the app's user can, whether root can."""
    text = (REPOSITORY / "docs" / "security.md").read_text()
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return {what: (ANSWERS[re.split(r"\W", app)[0]], ANSWERS[re.split(r"\W", root)[0]]) for what, app, root in rows[2:]}


TABLE: Final = table()


@pytest.fixture(scope="module")
def said(lab: LabUnderTest) -> Iterator[Said]:
    """What came of every try, as the app's user and as root."""
    site = Site(lab)
    own = str(lab.names.machine_address)
    app = lab.run_on("web-1", "systemctl", "show", "--property=MainPID", "--value", "webstack-app.service").strip()
    program = Path(hacked.__file__).read_text()
    # As the app is: its files, its user, its group, no capability, nothing to be gained.
    user = lab.run_on("web-1", "stat", "--format=%u:%g", f"/proc/{app}").strip().split(":")
    sandbox = ["nsenter", f"--target={app}", "--mount", "--", "setpriv", f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups"]
    sandbox += ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
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
    assert list(TABLE) == list(hacked.TRIES)


@pytest.mark.parametrize("what", TABLE)
def test_a_line_of_the_table_is_so(said: Said, what: str) -> None:
    assert (said["app"][what], said["root"][what]) == TABLE[what]
