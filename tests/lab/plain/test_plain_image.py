"""Every role boots on the plain image, as on AWS: nothing is baked in, and each host installs its own packages at its first boot."""

import json

import pytest

from lab.cloud.images import PLAIN_IMAGE
from tests.lab.harness import LabUnderTest

HOSTS = ["lb-1", "web-1", "db-1", "db-2"]
PROGRAMS = {
    "lb-1": ["/usr/sbin/haproxy", "/usr/sbin/keepalived"],
    "web-1": ["/usr/sbin/haproxy", "/usr/sbin/nginx"],
    "db-1": ["/usr/sbin/mysqld"],
    "db-2": ["/usr/sbin/mysqld"],
}


def test_every_host_booted_the_plain_image_and_is_ready(plain: LabUnderTest) -> None:
    hosts = plain.hosts()
    assert sorted(hosts) == sorted(HOSTS)
    assert {name: host["ready"] for name, host in hosts.items()} == dict.fromkeys(HOSTS, True)
    pages = plain.ec2().get_paginator("describe_instances").paginate()
    images = {i.get("ImageId") for page in pages for reservation in page["Reservations"] for i in reservation.get("Instances", [])}
    assert images == {PLAIN_IMAGE}


def test_the_shop_answers(plain: LabUnderTest) -> None:
    with plain.http_client() as browser:
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


def _ask(plain: LabUnderTest, host: str, **commands: str) -> dict[str, str]:
    """What each shell command printed on the host, all in one call."""
    mark = "--webstack-next--"
    output = plain.run_on(host, "sh", "-c", f"; echo {mark}; ".join(commands.values()), check=False)
    return dict(zip(commands, (part.strip() for part in output.split(f"{mark}\n")), strict=True))
