"""Every role boots on the plain image, as on AWS: nothing is baked in, and each host installs its own packages at its first boot.

A mirror in the lab's network, made of the .debs that the baked image was built from, stands for Debian's archive and MySQL's repository.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud.images import PLAIN_IMAGE
from lab.hypervisor import teardown
from tests.lab.conftest import ARTEFACTS, keep_logs
from tests.lab.harness import LabUnderTest, own
from tests.program import copy_program

HOSTS = ["lb-1", "web-1", "web-2", "db-1", "db-2"]
PROGRAMS = {
    "lb-1": ["/usr/sbin/haproxy", "/usr/sbin/keepalived"],
    "web-1": ["/usr/sbin/haproxy", "/usr/sbin/nginx"],
    "web-2": ["/usr/sbin/haproxy", "/usr/sbin/nginx"],
    "db-1": ["/usr/sbin/mysqld"],
    "db-2": ["/usr/sbin/mysqld"],
}


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


@pytest.fixture(scope="module")
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """A lab of its own, on the plain image; nothing of it is there afterwards."""
    clone = copy_program(tmp_path_factory.mktemp("clone"), beside=("lab", "ops", "tools", "pyproject.toml"))
    render, last = clone / "userdata" / "render.py", '        "runcmd": [[BOOT]],\n'
    assert last in render.read_text(), "render.py has changed: change this test with it"
    upgrades = ["systemd-run", "--no-block", "--unit=upgrades", "--property=DefaultDependencies=no", "/usr/bin/python3", "-c", UPGRADES]
    bootcmd = f'        **({{"bootcmd": [{upgrades!r}]}} if variables.host == "lb-1" else {{}}),\n'
    render.write_text(render.read_text().replace(last, last + bootcmd))
    under_test = LabUnderTest(name=own("plain"), clone=clone)
    failed_before = request.session.testsfailed
    under_test.command("down")
    came_up = False
    try:
        under_test.up(f"environment.ami={PLAIN_IMAGE}")
        came_up = True
        yield under_test
    finally:
        if not came_up or request.session.testsfailed > failed_before:
            _keep(under_test, ARTEFACTS / "plain_image")
        under_test.command("down")
    assert teardown.remains(under_test.names) == []


def test_every_host_booted_the_plain_image_and_is_ready(plain: LabUnderTest) -> None:
    hosts = plain.hosts()
    assert sorted(hosts) == sorted(HOSTS)
    assert {name: host["ready"] for name, host in hosts.items()} == dict.fromkeys(HOSTS, True)
    pages = plain.ec2().get_paginator("describe_instances").paginate()
    images = {i.get("ImageId") for page in pages for reservation in page["Reservations"] for i in reservation.get("Instances", [])}
    assert images == {PLAIN_IMAGE}


def test_the_shop_answers(plain: LabUnderTest) -> None:
    with plain.browser() as browser:
        assert browser.get("/").status_code == 200
        assert browser.get("/api/products").json()


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_installed_its_programs_by_itself_and_has_nothing_to_complain_of(plain: LabUnderTest, host: str) -> None:
    found = _ask(
        plain,
        host,
        owners=f"dpkg-query --search {' '.join(PROGRAMS[host])}",
        installed="grep ' install ' /var/log/dpkg.log",
        failed="systemctl --failed --plain --no-legend",
        state="systemctl is-system-running --wait",
        cloud_init="cloud-init status --format json",
    )
    owners = [line.partition(":")[0] for line in found["owners"].splitlines()]
    assert len(owners) == len(PROGRAMS[host])
    for package in owners:
        assert f" install {package}:" in found["installed"], f"{package} was in the image"
    assert (found["failed"], found["state"]) == ("", "running")
    status = json.loads(found["cloud_init"])
    assert (status["status"], status["errors"], status["recoverable_errors"]) == ("done", [], {})


def test_a_host_whose_apt_is_locked_at_its_first_boot_says_by_whom_and_boots_in_peace(plain: LabUnderTest) -> None:
    """That it has nothing to complain of is asked above, of every host."""
    found = _ask(plain, "lb-1", log="cat /var/log/cloud-init-output.log", upgrades="journalctl --unit upgrades --output cat")
    assert "dpkg waits: /var/lib/apt/lists/lock is held by process" in found["log"], found["upgrades"]
    assert "Could not get lock" not in found["log"]


@pytest.mark.parametrize("host", ["db-1", "db-2"])
def test_mysql_came_by_the_hosts_script(plain: LabUnderTest, host: str) -> None:
    """cloud-init's list of packages has no MySQL: apt was asked for it by `database_role.install`, which then holds it."""
    found = _ask(plain, host, history="cat /var/log/apt/history.log", held="apt-mark showhold", answer="mysql -BN -e 'SELECT 1'")
    commands = [line for line in found["history"].splitlines() if line.startswith("Commandline:") and line.endswith("install mysql-server")]
    assert len(commands) == 1
    assert "mysql-server" in found["held"].split()
    assert found["answer"] == "1"


def _keep(plain: LabUnderTest, folder: Path) -> None:
    """Besides what every lab's test keeps: what MySQL's package wrote, whose scripts hide mysqld's words from apt."""
    keep_logs(plain, folder)
    for log in plain.names.machines_dir.glob("*/upper/var/log/mysql/error.log"):
        shutil.copy(log, folder / f"{log.relative_to(plain.names.machines_dir).parts[0]}.mysql-error.log")


def _ask(plain: LabUnderTest, host: str, **commands: str) -> dict[str, str]:
    """What each shell command printed on the host, all in one call."""
    mark = "--webstack-next--"
    output = plain.run_on(host, "sh", "-c", f"; echo {mark}; ".join(commands.values()), check=False)
    return dict(zip(commands, (part.strip() for part in output.split(f"{mark}\n")), strict=True))
