"""Hosts that freeze, disks that are full or slow: each is seen to bite, and to be gone.

How fast a disk is, is asked of whoever writes to it: what a command takes besides says how busy this machine is.
"""

import re
import socket
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from lab.hypervisor import namespaces, volumes
from tests.lab.harness import TIMEOUT_FACTOR, CommandFailedError, LabUnderTest, wait_until

SLOW = 200_000
"""Bytes in a second of a slow disk."""

TELLING = 2 * SLOW
"""What a slow disk stays below, with room for what the kernel writes back by itself and nobody is slowed down for; on a disk that is not
slow a hundred times as much was seen."""

INSERT = "INSERT INTO app_faults.t VALUES (REPEAT('x', 100000))"
BINARY_LOG = """SELECT SUM_NUMBER_OF_BYTES_WRITE, (SUM_TIMER_WRITE + SUM_TIMER_MISC) / 1e12
 FROM performance_schema.file_summary_by_event_name WHERE EVENT_NAME = 'wait/io/file/sql/binlog'"""
"""Bytes that MySQL has written to its binary log, and seconds for which it has waited for that; fsync is among MISC
(https://dev.mysql.com/doc/refman/9.7/en/performance-schema-file-summary-tables.html)."""


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


def commit_rate(lab: LabUnderTest, host: str) -> float:
    """Bytes a second at which commits reached the binary log, by MySQL's own account; `app_faults.t` is there."""
    rows = lab.query(host, "; ".join((BINARY_LOG, INSERT, INSERT, INSERT, BINARY_LOG)))
    [(written, waited), (written_then, waited_then)] = [[float(figure) for figure in row] for row in rows]
    return (written_then - written) / (waited_then - waited)


def direct_rate(lab: LabUnderTest, host: str, file: str) -> float:
    """Bytes a second, by its own account, of a program that writes past the page cache; `exec` alone would run none of the host's own."""
    write = f"LC_ALL=C dd if=/dev/zero of={file} bs=100k count=5 oflag=direct 2>&1"
    said = lab.run_on(host, "systemd-run", "--quiet", "--pipe", "--wait", "sh", "-c", write)
    found = re.search(r"(\d+) bytes .* copied, (\S+) s,", said)
    assert found, said
    return int(found[1]) / float(found[2])


def test_a_frozen_web_host_is_left_out_until_it_thaws_and_the_api_shows_it_running(lab: LabUnderTest) -> None:
    address = str(lab.hosts()["web-1"]["private_ip"])
    balancer = lab.names.machine_netns(str(lab.hosts()["lb-1"]["instance_id"]))
    with lab.http_client() as browser:

        def served_by() -> set[str]:
            """One that waits for a frozen host waits for half a minute, as it would for a slow page: it is let go."""
            return {browser.get("/api/products", timeout=2 * TIMEOUT_FACTOR).raise_for_status().headers["x-web-host"] for _ in range(6)}

        with fault(lab, "freeze", "web-1"):
            wait_until(lambda: served_by() == {"web-2"}, seconds=60, what="web-2 serves alone")
            assert lab.hosts()["web-1"]["state"] == "running"
            with namespaces.call_in_namespace(
                balancer, lambda: socket.create_connection((address, 8443), timeout=2 * TIMEOUT_FACTOR)
            ) as connection:
                connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                connection.settimeout(1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
        wait_until(lambda: served_by() == {"web-1", "web-2"}, seconds=60, what="web-1 serves again, without a restart")


def test_a_frozen_host_can_be_killed_and_what_starts_anew_is_not_frozen(lab: LabUnderTest) -> None:
    with fault(lab, "freeze", "web-2") as given:
        started = time.monotonic()
        lab.command("kill", "web-2")
        assert time.monotonic() - started < 20 * TIMEOUT_FACTOR
        lab.command("start", "web-2")
        wait_until(lambda: lab.hosts()["web-2"]["ready"], seconds=60, what="web-2 is ready though the fault has not been taken back")
        assert f"{given}  " in lab.command("fault", "list").stdout
        assert "a new run is not frozen" in lab.command("fault", "list").stdout


def test_a_full_data_volume_refuses_mysqls_writes_and_takes_them_afterwards(lab: LabUnderTest) -> None:
    """The name of the database that cannot be made is used for no other: MySQL 9.7.4 remembers to delete its folder, and does not start
    again where a database of that name exists by then (docs/runbooks.md)."""
    primary = lab.primary()
    with fault(lab, "fill-disk", primary):
        with pytest.raises(CommandFailedError, match="No space left on device"):
            lab.query(primary, "CREATE DATABASE app_never_made")
        with pytest.raises(CommandFailedError, match="No space left on device"):
            lab.run_on(primary, "dd", "if=/dev/zero", "of=/var/lib/mysql/.full", "bs=4k", "count=1")
        lab.query(primary, "SELECT 1")
    lab.run_on(primary, "rm", "-f", "/var/lib/mysql/.full")
    lab.query(primary, "CREATE DATABASE app_faults; CREATE TABLE app_faults.t (a LONGBLOB)")
    lab.query(primary, f"{INSERT}; DROP DATABASE app_faults")


def test_a_slow_data_volume_slows_mysql_down(lab: LabUnderTest) -> None:
    primary = lab.primary()
    lab.query(primary, "CREATE DATABASE app_faults; CREATE TABLE app_faults.t (a LONGBLOB)")
    try:
        wait_until(lambda: commit_rate(lab, primary) > TELLING, seconds=60, what="this disk is not slow by itself")
        with fault(lab, "slow-disk", primary, "--write", f"{SLOW // 1000}kB/s"):
            during = commit_rate(lab, primary)
        assert during < TELLING, f"commits write {during / 1000:.0f} kB/s"
        wait_until(lambda: commit_rate(lab, primary) > TELLING, seconds=60, what="commits are no longer slow")
    finally:
        lab.query(primary, "DROP DATABASE app_faults")


def test_a_root_disk_is_full_and_slow_until_it_is_not(lab: LabUnderTest) -> None:
    file = "/root/.fault"
    try:
        wait_until(lambda: direct_rate(lab, "web-1", file) > TELLING, seconds=60, what="this disk is not slow by itself")
        with fault(lab, "slow-disk", "web-1", "--volume", "root", "--write", f"{SLOW // 1000}kB/s"):
            during = direct_rate(lab, "web-1", file)
        assert during < TELLING, f"a direct write has {during / 1000:.0f} kB/s"
        with fault(lab, "fill-disk", "web-1", "--volume", "root"):
            with pytest.raises(CommandFailedError, match="No space left on device"):
                direct_rate(lab, "web-1", f"{file}.new")
            with lab.http_client() as browser:
                assert browser.get("/api/products").status_code == 200
        wait_until(lambda: direct_rate(lab, "web-1", f"{file}.new") > TELLING, seconds=60, what="writes are no longer slow")
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
