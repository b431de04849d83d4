"""Boots one lab for the whole run, keeps what its hosts logged where a test fails, and shows that nothing is left of it afterwards."""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from lab.paths import REPOSITORY
from tests.lab import machine_lock
from tests.lab.harness import LabUnderTest, is_test_lab, worker_lab_name
from tests.lab.node_snapshot import NodeSnapshot, leftovers, names_any_lab

LAB = worker_lab_name(os.environ.get("WEBSTACK_TEST_LAB", "test"))
KEEP_LAB = bool(os.environ.get("WEBSTACK_TEST_KEEP"))
"""For work on the tests: use a lab that runs, and leave it running."""

ARTEFACTS = REPOSITORY / "build" / "lab"


LONGEST_FILES = ("test_changes.py", "test_crashes.py", "test_balancing.py", "test_power.py", "test_plain_image.py", "test_volume_growth.py")
"""Files that take minutes, the longest first: what begins last should be short where two workers share the tests."""


class Scheduling(LoadScopeScheduling):
    """Gives a worker a file at a time, or a folder whose tests share a lab, in the order of `pytest_collection_modifyitems`."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        return str(path if path.parent.name == "lab" else path.parent)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    config.option.loadscopereorder = False
    return Scheduling(config, log)


_SNAPSHOT_BEFORE = pytest.StashKey[NodeSnapshot]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Looks at the machine once, before any lab is there."""
    if not _skip_reason() and not KEEP_LAB and not hasattr(session.config, "workerinput"):
        session.config.stash[_SNAPSHOT_BEFORE] = NodeSnapshot.take()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """After all labs are gone the machine is as it was, whatever worker had them; other labs may have come and gone beside these."""
    if (before := session.config.stash.get(_SNAPSHOT_BEFORE, None)) is None:
        return
    session.config.stash[_LEFTOVERS] = leftovers(before, NodeSnapshot.take(), lambda lab: is_test_lab(lab) or lab == LAB)
    if session.config.stash[_LEFTOVERS]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_LEFTOVERS = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what the labs left on the machine, or took from it."""
    for line in config.stash.get(_LEFTOVERS, list[str]()):
        terminalreporter.write_line(f"the labs changed the machine: {line}", red=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Gives a test that times what it sees the machine alone; its time begins when it has it."""
    with machine_lock.machine_lock(exclusive=item.get_closest_marker("alone") is not None):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names what is missing instead of failing in the middle (in CI a skip is a failure); puts the longest files first.

    Files of tests that want the machine alone come last: each would wait until a test of the other worker ends, while nothing else ran.
    """
    alone = {item.path for item in items} - {item.path for item in items if item.get_closest_marker("alone") is None}
    items.sort(
        key=lambda item: (
            item.path in alone,
            LONGEST_FILES.index(item.path.name) if item.path.name in LONGEST_FILES else len(LONGEST_FILES),
        )
    )
    reason = _skip_reason()
    if reason:
        for item in items:
            if "tests/lab/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))


def _skip_reason() -> str:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "the lab boots hosts: it needs root on Linux (make test-unit and make test-aws do not)"
    missing = [program for program in ("systemd-nspawn", "debootstrap", "nft") if shutil.which(program) is None]
    return f"the lab needs {', '.join(missing)}: run `make setup`" if missing else ""


@pytest.fixture(scope="session")
def lab() -> Iterator[LabUnderTest]:
    """A lab that serves the dev stack. Its tear-down proves that the machine is as it was before."""
    under_test = LabUnderTest(name=LAB)
    if not KEEP_LAB:
        under_test.command("down")
    before = NodeSnapshot.take()
    try:
        under_test.up()
        yield under_test
    finally:
        if not KEEP_LAB:
            under_test.command("down")
    if not KEEP_LAB:
        assert before.diff(NodeSnapshot.take(), names_any_lab(LAB)) == [], "the lab left something behind"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """After a failure keeps each host's journal, the daemon's log and the status under build/lab/."""
    report = yield
    if report.failed and call.when in ("setup", "call") and "tests/lab/" in item.path.as_posix():
        keep_logs(LabUnderTest(name=LAB), ARTEFACTS / item.name.replace("/", "_"))
    return report


def keep_logs(lab: LabUnderTest, folder: Path) -> None:
    """Copies what the lab's hosts and daemon said into a folder; a lab that is not there gives none."""
    folder.mkdir(parents=True, exist_ok=True)
    state = lab.names.state_dir
    if lab.names.daemon_log.exists():
        shutil.copy(lab.names.daemon_log, folder / "daemon.log")
    for machine in state.glob("machines/*"):
        journal = subprocess.run(
            ["journalctl", "--no-pager", "--directory", str(machine / "upper/var/log/journal")], capture_output=True, text=True, check=False
        )
        (folder / f"{machine.name}.journal").write_text(journal.stdout)
        cloud_init = machine / "upper/var/log/cloud-init-output.log"
        if cloud_init.exists():
            shutil.copy(cloud_init, folder / f"{machine.name}.cloud-init.log")
