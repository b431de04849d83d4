"""Hosts that boot while the AWS API is down or throttles: each goes on by itself once it can, and nobody has to start it anew."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.test_api_faults import give

HOSTS = {
    "web-2": "not configured: ",
    "db-2": "not configured: ",
    "lb-1": "not configured: ",
}
"""One host of each role, and the reason by which its log shows that the API failed it."""

SERVICES_OF_A_BOOT = ("s3", "sts", "secretsmanager")
"""What the hosts' programs call before they serve, besides EC2, by which they are started."""


@pytest.fixture(autouse=True)
def _no_fault_stays(lab: LabUnderTest) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    lab.command("fault", "clear", "--all")
    for host in HOSTS:
        wait_until(lambda host=host: lab.hosts()[host]["ready"], seconds=120, what=f"{host} is ready")
    for host in lab.hosts():  # what a timer asks of the API failed meanwhile, and the timer tries again
        wait_until(lambda host=host: not failed_units(lab, host), seconds=240, what=f"no unit of {host} has failed", every=2)


def failed_units(lab: LabUnderTest, host: str) -> str:
    return lab.run_on(host, "systemctl", "--failed", "--plain", "--no-legend").strip()


@pytest.fixture
def stopped(lab: LabUnderTest) -> None:
    """The hosts, stopped in order."""

    def stop(host: str) -> None:
        lab.command("stop", host)

    with ThreadPoolExecutor() as pool:
        list(pool.map(stop, HOSTS))
    wait_until(lambda: all(lab.hosts()[host]["state"] == "stopped" for host in HOSTS), seconds=150, what="the hosts are off")


def start(lab: LabUnderTest) -> None:
    for host in HOSTS:
        lab.command("start", host)


def log(lab: LabUnderTest, host: str) -> str:
    """What the host's configuration has said since its boot; nothing while the host cannot be asked."""
    return lab.run_on(host, "journalctl", "--boot", "--output=cat", "--unit=cloud-init-main.service", check=False)


def all_ready(lab: LabUnderTest) -> bool:
    hosts = lab.hosts()
    return all(hosts[host]["ready"] for host in HOSTS)


@pytest.mark.usefixtures("stopped")
def test_hosts_that_boot_while_the_api_is_down_serve_once_it_answers_and_be_it_throttled(lab: LabUnderTest) -> None:
    down = [give(lab, "down", "--service", service) for service in SERVICES_OF_A_BOOT]
    start(lab)
    down.append(give(lab, "down", "--service", "ec2"))
    for host, reason in HOSTS.items():
        wait_until(lambda host=host, reason=reason: reason in log(lab, host), seconds=180, what=f"{host} has met the fault", every=1)
    assert not any(lab.hosts()[host]["ready"] for host in HOSTS)

    calls = lab.names.state_dir / "calls.jsonl"
    before = calls.stat().st_size
    give(lab, "throttle", "--percent", "40")
    lab.command("fault", "clear", *down)
    wait_until(lambda: all_ready(lab), seconds=240, what="the hosts are ready while the API throttles", every=1)
    refused = [call for call in map(json.loads, calls.read_bytes()[before:].splitlines()) if call["status"] in (400, 503)]
    assert refused, "nothing was throttled"
    for host in HOSTS:
        assert "webstack: failed" not in log(lab, host), "what waiting mends is no failure"
    lab.command("fault", "clear", "--all")
    lab.up()


def test_up_says_that_an_api_is_down_and_gets_along_with_one_that_throttles(lab: LabUnderTest) -> None:
    down = give(lab, "down")
    failed = lab.up(status=1)
    assert "ConnectionClosedError" in failed.stderr, failed.stderr[-2000:]
    assert "Traceback" not in failed.stderr, failed.stderr[-4000:]
    lab.command("fault", "clear", down)
    give(lab, "throttle", "--percent", "30")
    log = lab.names.state_dir / "calls.jsonl"
    before = log.stat().st_size
    lab.up()
    calls = [json.loads(line) for line in log.read_bytes()[before:].splitlines()]
    assert any(call["status"] in (400, 503) for call in calls), "nothing was throttled"
