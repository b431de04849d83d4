"""Hosts that freeze, disks that are full or slow: each is seen to bite, and to be gone."""

import socket
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from lab.hypervisor import namespaces, volumes
from tests.lab.harness import SLOWNESS, CommandFailedError, LabUnderTest, wait_until

pytestmark = pytest.mark.alone

_MEGABYTES = 2
_PAYLOAD = "INSERT INTO app_faults.t VALUES (REPEAT('x', 1000000))"


@pytest.fixture(autouse=True)
def _no_fault_stays(lab: LabUnderTest) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    lab.command("fault", "clear", "--all")


@contextmanager
def fault(lab: LabUnderTest, *words: str) -> Generator[str]:
    """Gives a fault, and takes it back by its id."""
    given = lab.command("fault", *words).stdout.partition(":")[0]
    yield given
    lab.command("fault", "clear", given)


def direct_write(lab: LabUnderTest, host: str, file: str) -> float:
    """Seconds that a program of the host takes to write a file past the page cache; `exec` alone would run none of the host's own."""
    write = ("dd", "if=/dev/zero", f"of={file}", "bs=128k", f"count={_MEGABYTES * 8}", "oflag=direct")
    started = time.monotonic()
    lab.run_on(host, "systemd-run", "--quiet", "--wait", "--pipe", *write)
    return time.monotonic() - started


def test_a_frozen_web_host_is_left_out_until_it_thaws_and_the_api_shows_it_running(lab: LabUnderTest) -> None:
    address = str(lab.hosts()["web-1"]["private_ip"])
    balancer = lab.names.machine_netns(str(lab.hosts()["lb-1"]["instance_id"]))
    with lab.browser() as browser:

        def served_by() -> set[str]:
            """One that waits for a frozen host waits for half a minute, as it would for a slow page: it is let go."""
            return {browser.get("/api/products", timeout=2 * SLOWNESS).raise_for_status().headers["x-web-host"] for _ in range(6)}

        with fault(lab, "freeze", "web-1"):
            wait_until(lambda: served_by() == {"web-2"}, seconds=60, what="web-2 serves alone")
            assert lab.hosts()["web-1"]["state"] == "running"
            with namespaces.inside(balancer, lambda: socket.create_connection((address, 8080), timeout=2 * SLOWNESS)) as connection:
                connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                connection.settimeout(1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
        wait_until(lambda: served_by() == {"web-1", "web-2"}, seconds=60, what="web-1 serves again, without a restart")


def test_a_frozen_host_can_be_killed_and_what_starts_anew_is_not_frozen(lab: LabUnderTest) -> None:
    with fault(lab, "freeze", "web-2") as given:
        started = time.monotonic()
        lab.command("kill", "web-2")
        assert time.monotonic() - started < 20 * SLOWNESS
        lab.command("start", "web-2")
        wait_until(lambda: lab.hosts()["web-2"]["ready"], seconds=60, what="web-2 is ready though the fault has not been taken back")
        assert f"{given}  " in lab.command("fault", "list").stdout
        assert "what starts anew is not frozen" in lab.command("fault", "list").stdout


def test_a_full_data_volume_refuses_mysqls_writes_and_takes_them_afterwards(lab: LabUnderTest) -> None:
    primary = lab.primary()
    with fault(lab, "fill-disk", primary):
        with pytest.raises(CommandFailedError, match="No space left on device"):
            lab.query(primary, "CREATE DATABASE app_faults")
        with pytest.raises(CommandFailedError, match="No space left on device"):
            lab.run_on(primary, "dd", "if=/dev/zero", "of=/var/lib/mysql/.full", "bs=4k", "count=1")
        lab.query(primary, "SELECT 1")
    lab.run_on(primary, "rm", "-f", "/var/lib/mysql/.full")
    lab.query(primary, "CREATE DATABASE app_faults; CREATE TABLE app_faults.t (a LONGBLOB)")
    lab.query(primary, f"{_PAYLOAD}; DROP DATABASE app_faults")


def test_a_slow_data_volume_slows_mysql_down(lab: LabUnderTest) -> None:
    primary = lab.primary()
    lab.query(primary, "CREATE DATABASE app_faults; CREATE TABLE app_faults.t (a LONGBLOB)")
    try:

        def insert() -> float:
            started = time.monotonic()
            lab.query(primary, _PAYLOAD)
            return time.monotonic() - started

        before = min(insert() for _ in range(2))
        with fault(lab, "slow-disk", primary, "--write", "1MB/s"):
            during = insert()
        after = min(insert() for _ in range(2))
    finally:
        lab.query(primary, "DROP DATABASE app_faults")
    assert during >= 2, f"a megabyte goes to the binary log and to the redo log at 1 MB/s, within {during:.1f} s"
    assert during > 2 * max(before, after), f"{before:.1f} s before, {during:.1f} s during, {after:.1f} s after"


def test_a_root_disk_is_full_and_slow_until_it_is_not(lab: LabUnderTest) -> None:
    file = "/root/.fault"
    try:
        with fault(lab, "slow-disk", "web-1", "--volume", "root", "--write", "1MB/s"):
            during = direct_write(lab, "web-1", file)
        assert during >= _MEGABYTES
        with fault(lab, "fill-disk", "web-1", "--volume", "root"):
            with pytest.raises(CommandFailedError, match="No space left on device"):
                direct_write(lab, "web-1", f"{file}.new")
            with lab.browser() as browser:
                assert browser.get("/api/products").status_code == 200
        assert min(direct_write(lab, "web-1", f"{file}.new") for _ in range(2)) < during
    finally:
        lab.run_on("web-1", "rm", "-f", file, f"{file}.new")


def test_a_volume_is_emptied_although_nobody_has_mounted_it(lab: LabUnderTest, spare_volume: str) -> None:
    device = volumes.guest_device(spare_volume)
    write = "dd if=/dev/zero of=/mnt/file bs=4k count=1"
    lab.run_on("web-1", "sh", "-c", f"mkfs.ext4 -q {device} && mount {device} /mnt")
    with fault(lab, "fill-disk", "web-1", "--volume", spare_volume), pytest.raises(CommandFailedError, match="No space left on device"):
        lab.run_on("web-1", "sh", "-c", f"{write}; status=$?; umount /mnt; exit $status")
    seen = lab.run_on("web-1", "sh", "-c", f"mount {device} /mnt && {write}; ls -A /mnt; umount /mnt")
    assert seen.split() == ["file", "lost+found"]


@pytest.fixture
def spare_volume(lab: LabUnderTest) -> Iterator[str]:
    """A volume of a gibibyte that web-1 has besides its own."""
    ec2, host = lab.ec2(), lab.hosts()["web-1"]
    volume_id = ec2.create_volume(AvailabilityZone=str(host["zone"]), Size=1).get("VolumeId", "")
    ec2.attach_volume(VolumeId=volume_id, InstanceId=str(host["instance_id"]), Device="/dev/sdz")
    present = ("test", "-b", volumes.guest_device(volume_id))
    try:
        wait_until(lambda: lab.run_on("web-1", *present) == "", seconds=60, what="web-1 has the volume")
        yield volume_id
    finally:
        ec2.detach_volume(VolumeId=volume_id)
        wait_until(
            lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0].get("State") == "available", seconds=60, what="detached"
        )
        ec2.delete_volume(VolumeId=volume_id)
