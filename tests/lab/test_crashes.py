"""What is struck down with `kill -9` or Ctrl-C in the middle of an `up` leaves a lab that `up` repairs and `down` takes away whole.

A lab of its own, as small as the program allows.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import ARTEFACTS, keep_logs
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest, wait_until, worker_lab_name
from tests.lab.node_snapshot import NodeSnapshot, names_any_lab
from tests.program_files import stack_file

SMALL = ("web.count=1", "database.replica=false")


@pytest.fixture
def struck(request: pytest.FixtureRequest) -> Iterator[LabUnderTest]:
    """A lab that is not there yet. Whatever a test does to it, `down` leaves the machine as it was."""
    under_test = LabUnderTest(name=worker_lab_name("struck"))
    under_test.command("down")
    before = NodeSnapshot.take()
    failed_before = request.session.testsfailed
    try:
        yield under_test
    finally:
        if request.session.testsfailed > failed_before:
            keep_logs(under_test, ARTEFACTS / request.node.name)
        under_test.command("down")
    assert before.diff(NodeSnapshot.take(), names_any_lab(under_test.name)) == [], "something was left behind"


def begin_up(lab: LabUnderTest, log: Path) -> subprocess.Popen[bytes]:
    """Starts `webstack lab up` and returns while a host boots, well before the end."""
    settings = [part for setting in SMALL for part in ("--set", setting)]
    line = [
        sys.executable,
        "-m",
        "ops",
        "lab",
        "up",
        "--lab",
        lab.name,
        "--stack",
        "dev",
        "--config-file",
        str(stack_file("dev")),
        *settings,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            line,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(lab.clone), "NO_COLOR": "1"},
        )
    # After an earlier one was struck down, the hosts may be there already, and booted meanwhile.
    waits = re.compile(r"instance (?:created|updated)|^ +\w+-\d+: ", re.MULTILINE)
    wait_until(lambda: waits.search(log.read_text()) or process.poll() is not None, seconds=120, what="up waits for a host", every=0.1)
    assert process.poll() is None, log.read_text()
    return process


def end_of(process: subprocess.Popen[bytes], seconds: float) -> int:
    """The exit status, within the deadline."""
    try:
        return process.wait(seconds * TIMEOUT_FACTOR)
    finally:
        process.kill()


def pid_of(lab: LabUnderTest, process: str) -> int:
    return int(lab.names.pid_file(process).read_text().split()[0])


def serves(lab: LabUnderTest) -> bool:
    with lab.http_client() as browser:
        return browser.get("/").status_code == 200


def test_the_daemon_is_killed_in_mid_up_and_down_takes_all_away(struck: LabUnderTest, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    process = begin_up(struck, log)
    os.kill(pid_of(struck, "daemon"), signal.SIGKILL)
    assert end_of(process, 120) not in (0, -signal.SIGKILL)
    said = log.read_text()
    assert "Traceback" not in said, said
    assert "daemon" in said.splitlines()[-1] or "failed" in said, said


def test_the_api_server_an_up_and_then_the_daemon_are_killed_and_up_repairs_all(struck: LabUnderTest, tmp_path: Path) -> None:
    process = begin_up(struck, tmp_path / "api.log")
    os.kill(pid_of(struck, "api"), signal.SIGKILL)
    assert end_of(process, 120) == 1
    said = (tmp_path / "api.log").read_text()
    assert "Traceback" not in said, said
    assert "The lab's API server ended during this command and its state is lost: run `webstack lab up` again" in said, said
    process = begin_up(struck, tmp_path / "up.log")
    assert "the lab's API server was restarted and has lost its state: starting afresh" in (tmp_path / "up.log").read_text()
    os.kill(process.pid, signal.SIGKILL)
    assert end_of(process, 5) == -signal.SIGKILL
    struck.up(*SMALL)
    assert serves(struck)
    os.kill(pid_of(struck, "daemon"), signal.SIGKILL)
    assert "is not running" in struck.command("status", status=1).stderr
    struck.up(*SMALL)
    assert serves(struck)


def test_ctrl_c_ends_an_up_in_order_the_next_goes_on_and_destroy_leaves_an_empty_lab(struck: LabUnderTest, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    process = begin_up(struck, log)
    hosts = {host["instance_id"] for host in struck.hosts().values()}
    process.send_signal(signal.SIGINT)
    assert end_of(process, 120) == 130, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()
    struck.up(*SMALL)
    assert serves(struck)
    assert hosts <= {host["instance_id"] for host in struck.hosts().values()}, "what was there is kept"
    assert json.loads(struck.command("destroy", "--stack", "dev", "--json").stdout)["ok"] is True
    wait_until(lambda: not struck.hosts(), seconds=30, what="no host is left")
    assert "no load balancer of this lab has a public address" in struck.command("url", status=1).stderr, "the lab itself goes on"
