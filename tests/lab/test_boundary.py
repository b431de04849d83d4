"""What code on a host may not do to this machine and to other hosts: root on web-1 tries, as a service of web-1 would."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.hypervisor import volumes
from lab.hypervisor.netlink import node_netlink
from tests.lab.harness import CommandFailedError, LabUnderTest

HTTPS = 443

CAPABILITIES = {
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"),
    *("CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW"),
    *("CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT"),
}
"""What a boot needs: its units' users and limits, its network and its volumes' file systems."""

AS_A_SERVICE = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--property=SuccessExitStatus=0")
"""In a control group of the host's own: a command that is entered from outside is in none."""

RELEASE_AGENTS = """
mkdir -p /run/tried
for names in $(cut -d: -f2 /proc/self/cgroup); do
  mount -t cgroup -o "$names" none /run/tried 2>/dev/null || continue
  [ ! -e /run/tried/release_agent ] || echo "$names"
  umount /run/tried
done
"""
"""Prints the control group hierarchies of version 1 whose release_agent, a program that the kernel runs outside, is there to be written."""


def tried(lab: LabUnderTest, host: str, script: str) -> str:
    """What a script says that a service of the host runs as root."""
    return lab.run_on(host, *AS_A_SERVICE, "sh", "-c", script)


def test_a_host_opens_no_disk_but_its_own(lab: LabUnderTest) -> None:
    folder = lab.names.machine_dir(str(lab.hosts()["db-1"]["instance_id"]))
    loop = volumes.loops_of_file(folder / "root.img")[0].stat().st_rdev
    numbers = str(os.major(loop)), str(os.minor(loop))
    with pytest.raises(CommandFailedError, match="Operation not permitted"):
        tried(lab, "web-1", f"mknod /root/disk b {' '.join(numbers)}")
    lab.run_on("web-1", "mknod", "/root/disk", "b", *numbers)  # by this machine's root
    try:
        with pytest.raises(CommandFailedError, match=r"cannot open.*Operation not permitted"):
            tried(lab, "web-1", "head -c 1024 /root/disk")
        with pytest.raises(CommandFailedError, match="Can't open blockdev"):
            tried(lab, "web-1", "mount -o ro /root/disk /mnt")
    finally:
        lab.run_on("web-1", "rm", "-f", "/root/disk")


@pytest.mark.parametrize("device", ["c 10 237", "c 1 1", "c 1 11"], ids=["loop-control", "mem", "kmsg"])
def test_a_host_makes_no_device_of_this_machines(lab: LabUnderTest, device: str) -> None:
    with pytest.raises(CommandFailedError, match="Operation not permitted"):
        tried(lab, "web-1", f"mknod /root/device {device} && rm /root/device")


def test_what_every_host_needs_of_devices_is_there(lab: LabUnderTest) -> None:
    assert tried(lab, "web-1", "head -c 8 /dev/urandom | wc -c; echo x > /dev/null; head -c 2 /dev/zero | wc -c").split() == ["8", "2"]


def test_no_host_can_name_a_program_that_this_machines_kernel_runs(lab: LabUnderTest) -> None:
    assert tried(lab, "web-1", RELEASE_AGENTS) == ""


@pytest.mark.parametrize("host", ["lb-1", "web-1", "db-1"])
def test_a_host_has_the_capabilities_that_its_boot_needs_and_no_other(lab: LabUnderTest, host: str) -> None:
    bounding = int(lab.run_on(host, "sh", "-c", "grep CapBnd /proc/1/status").split()[1], 16)
    names = lab.run_on(host, "sh", "-c", f"capsh --decode={bounding:x}").strip().partition("=")[2].split(",")
    assert {name.upper() for name in names} == CAPABILITIES


@pytest.fixture
def services_of_this_machine(lab: LabUnderTest) -> Iterator[list[str]]:
    """The addresses at which this machine serves, at a port to which security groups let hosts send: all but those of other labs."""
    with node_netlink() as wires:
        addresses = [one.ip for one in wires.addresses() if not one.ip.is_loopback]
    labs = lab.names.wan_network.supernet(new_prefix=16)
    ours = [one for one in addresses if one == lab.names.wan_peer_address or one not in labs]
    with ExitStack() as servers:
        for address in ours:
            servers.enter_context(socket.create_server((str(address), HTTPS)))
        yield [str(address) for address in ours]


@pytest.mark.parametrize("host", ["lb-1", "web-1"])
def test_a_host_reaches_no_service_of_this_machine(lab: LabUnderTest, services_of_this_machine: list[str], host: str) -> None:
    assert str(lab.names.wan_peer_address) in services_of_this_machine
    for address in services_of_this_machine:
        with socket.create_connection((address, HTTPS), timeout=5):
            pass  # it does serve there
        script = f"timeout 2 bash -c 'exec 3<>/dev/tcp/{address}/{HTTPS}' && echo reached || echo refused"
        assert tried(lab, host, script) == "refused\n", address
