"""One lab on the plain image for all tests of this folder: it is made as hosts are on AWS, and takes the longest to boot.

A mirror in the lab's network, made of the .debs that the baked image was built from, stands for Debian's archive and MySQL's repository.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud.images import PLAIN_IMAGE
from lab.hypervisor import teardown
from tests.lab.conftest import ARTEFACTS, keep_logs
from tests.lab.harness import LabUnderTest, worker_lab_name
from tests.program_files import copy_program

UPGRADES = """
import fcntl, pathlib, time
files = [open(path, "w") for path in ("/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock")]
for file in files:
    fcntl.lockf(file, fcntl.LOCK_EX)
log = pathlib.Path("/var/log/cloud-init-output.log")
while not (log.exists() and b"trying again" in log.read_bytes()):
    time.sleep(0.5)
"""
"""Stands on lb-1 for unattended upgrades: from the start of its boot it holds two of apt's locks, until the boot script has begun anew for
it; that is longer than cloud-init's own step would wait (30 s)."""


SETTINGS = (f"environment.ami={PLAIN_IMAGE}", "web.count=1")
"""One web host is like another."""


@pytest.fixture(scope="package")
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """A lab of its own, on the plain image; nothing of it is there afterwards."""
    clone = copy_program(tmp_path_factory.mktemp("clone"), extra=("lab", "ops", "tools", "pyproject.toml"))
    render, last = clone / "userdata" / "render.py", '        "runcmd": [[BOOT_SCRIPT]],\n'
    assert last in render.read_text(), "render.py has changed: change this test with it"
    upgrades = ["systemd-run", "--no-block", "--unit=upgrades", "--property=DefaultDependencies=no", "/usr/bin/python3", "-c", UPGRADES]
    bootcmd = f'        **({{"bootcmd": [{upgrades!r}]}} if variables.host == "lb-1" else {{}}),\n'
    render.write_text(render.read_text().replace(last, last + bootcmd))
    under_test = LabUnderTest(name=worker_lab_name("plain"), clone=clone)
    failed_before = request.session.testsfailed
    under_test.command("down")
    came_up = False
    try:
        under_test.up(*SETTINGS)
        came_up = True
        yield under_test
    finally:
        if not came_up or request.session.testsfailed > failed_before:
            _keep(under_test, ARTEFACTS / "plain_image")
        under_test.command("down")
    assert teardown.find_leftovers(under_test.names) == []


def _keep(plain: LabUnderTest, folder: Path) -> None:
    """Besides what every lab's test keeps: what MySQL's package wrote, whose scripts hide mysqld's words from apt."""
    keep_logs(plain, folder)
    for log in plain.names.machines_dir.glob("*/upper/var/log/mysql/error.log"):
        shutil.copy(log, folder / f"{log.relative_to(plain.names.machines_dir).parts[0]}.mysql-error.log")
