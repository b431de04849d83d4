"""StopInstances, StartInstances, RebootInstances and TerminateInstances act on real machines, and a pulled plug is no stop."""

import signal
import socket
import subprocess
import time

import pytest

from lab.hypervisor import namespaces
from lab.hypervisor.probes import TCP, Probe, ProbePoint, ProbeReply, run_probes
from lab.hypervisor.router import MACHINE_LINK
from tests.lab.bare.machines import HANGS_AT_STOP, SHUTDOWN_TIMEOUT, SLOW_TO_STOP, BareLab, Host
from tests.lab.harness import TIMEOUT_FACTOR, wait_until

MARKER = "/var/lib/marker"

GREETS = """\
[Service]
ExecStart=/usr/bin/python3 -c 'import socket, time; \
  server = socket.create_server(("", 8080)); caller, _ = server.accept(); caller.send(b"hello"); time.sleep(600)'
"""


@pytest.fixture(autouse=True)
def _no_marker(host: Host) -> None:  # pyright: ignore[reportUnusedFunction]
    host.run(f"rm -f {MARKER}")


def test_a_stopped_host_shuts_down_in_order_and_starts_with_its_root_disk(bare: BareLab, host: Host) -> None:
    host.add_unit("slow", SLOW_TO_STOP.format(seconds=1, marker=MARKER))
    boot = host.boot_id()
    with host.recorded_states() as states:
        began = time.monotonic()
        bare.ec2.stop_instances(InstanceIds=[host.instance_id])
        host.wait_for_state("stopped")
    assert states == ["running", "stopping", "stopped"]
    assert time.monotonic() - began > 1, "it is stopping for as long as its services need"
    [started] = bare.ec2.start_instances(InstanceIds=[host.instance_id])["StartingInstances"]
    assert [started.get(which, {}).get("Name") for which in ("PreviousState", "CurrentState")] == ["stopped", "pending"]
    host.wait_until_up()
    assert host.run(f"cat {MARKER}") == "stopped in order"
    assert host.boot_id() != boot


def test_a_reboot_keeps_the_instance_running_with_its_address_and_its_volume(bare: BareLab, host: Host) -> None:
    volume = bare.new_volume()
    device = bare.attach(volume, host)
    host.run(f"mkfs.ext4 -q {device}; mount {device} /mnt; echo precious > /mnt/data; umount /mnt")
    host.add_unit("slow", SLOW_TO_STOP.format(seconds=1, marker=MARKER))
    before, boot = host.describe(), host.boot_id()
    with host.recorded_states() as states:
        bare.ec2.reboot_instances(InstanceIds=[host.instance_id])
        wait_until(lambda: host.boot_id() != boot and host.is_up(), seconds=60, what="another boot", every=0.2)
    assert states == ["running"]
    assert host.run(f"cat {MARKER}") == "stopped in order"
    after = host.describe()
    assert (after.get("PrivateIpAddress"), after.get("LaunchTime")) == (before.get("PrivateIpAddress"), before.get("LaunchTime"))
    assert host.run("ip -4 -brief address show ens5").split()[2] == f"{host.address}/24"
    assert host.run(f"mount {device} /mnt; cat /mnt/data") == "precious"


def test_a_host_that_hangs_at_its_stop_is_cut_off_after_the_constant(bare: BareLab, host: Host) -> None:
    host.add_unit("hangs", HANGS_AT_STOP)
    began = time.monotonic()
    bare.ec2.stop_instances(InstanceIds=[host.instance_id])
    host.wait_for_state("stopped", seconds=3 * SHUTDOWN_TIMEOUT)
    assert time.monotonic() - began >= SHUTDOWN_TIMEOUT, "it has its time"
    assert f"no clean shutdown within {SHUTDOWN_TIMEOUT:g} s, power cut" in bare.lab.names.daemon_log.read_text()
    assert host.root_disk.is_dir()


def test_who_works_on_a_host_does_not_hold_up_its_stop_and_is_sent_away(bare: BareLab, host: Host) -> None:
    with subprocess.Popen(host.shell_command(f"touch {MARKER}; exec sleep infinity"), stdin=subprocess.DEVNULL) as session:
        try:
            wait_until(lambda: host.has(MARKER), seconds=30, what="somebody works there", every=0.1)
            told = len(bare.lab.names.daemon_log.read_text())
            bare.ec2.stop_instances(InstanceIds=[host.instance_id])
            host.wait_for_state("stopped")
            assert "power cut" not in bare.lab.names.daemon_log.read_text()[told:]
            assert session.wait(10 * TIMEOUT_FACTOR) in (128 + signal.SIGTERM, 128 + signal.SIGKILL)
        finally:
            session.kill()


def test_a_stop_of_a_frozen_host_waits_out_its_patience(bare: BareLab, host: Host) -> None:
    bare.lab.command("fault", "freeze", host.instance_id)
    try:
        began = time.monotonic()
        bare.ec2.stop_instances(InstanceIds=[host.instance_id])
        host.wait_for_state("stopped", seconds=3 * SHUTDOWN_TIMEOUT)
        assert time.monotonic() - began >= SHUTDOWN_TIMEOUT
        bare.ec2.start_instances(InstanceIds=[host.instance_id])
        host.wait_until_up()
        assert host.run("systemctl is-active systemd-journald") == "active", "what is started anew is not frozen"
    finally:
        bare.lab.command("fault", "clear", "--all")


def test_a_terminated_host_shuts_down_in_order_and_takes_only_its_own_disks_along(bare: BareLab, peer: Host) -> None:
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}]
    host = bare.launch(BlockDeviceMappings=disks)
    kept = bare.new_volume()
    host.wait_until_up()
    device = bare.attach(kept, host)
    host.run(f"mkfs.ext4 -q {device}; mount {device} /mnt")
    host.add_unit("slow", SLOW_TO_STOP.format(seconds=1, marker="/mnt/marker"))
    volumes = {
        mapping.get("DeviceName"): mapping.get("Ebs", {}).get("VolumeId", "") for mapping in host.describe().get("BlockDeviceMappings", [])
    }
    gone = volumes["/dev/sdf"]
    assert bare.volume_file(gone).exists()
    with host.recorded_states() as states:
        bare.ec2.terminate_instances(InstanceIds=[host.instance_id])
        host.wait_for_state("terminated")
    assert states == ["running", "shutting-down", "terminated"]
    assert not host.root_disk.exists()
    wait_until(lambda: not bare.volume_file(gone).exists(), seconds=30, what="the launch's volume goes with its host")
    assert [volume.get("VolumeId") for volume in bare.ec2.describe_volumes(VolumeIds=[kept])["Volumes"]] == [kept]
    assert gone not in [volume.get("VolumeId") for volume in bare.ec2.describe_volumes()["Volumes"]]
    device = bare.attach(kept, peer)
    assert peer.run(f"mount {device} /mnt; cat /mnt/marker; umount /mnt") == "stopped in order"


def test_a_killed_host_gets_no_signal_and_its_packets_vanish(bare: BareLab, host: Host, peer: Host) -> None:
    host.add_unit("slow", SLOW_TO_STOP.format(seconds=0, marker=MARKER))
    host.add_unit("greets", GREETS)
    boot = host.boot_id()
    ask = Probe(
        source=ProbePoint(namespace=peer.namespace, link=MACHINE_LINK),
        target=ProbePoint(namespace=host.namespace, link=MACHINE_LINK),
        address=host.address,
        protocol=TCP,
        port=8081,
    )
    [living] = run_probes([ask])
    assert (living.arrived, living.reply) == (True, ProbeReply.REFUSED), "a host that lives answers for a closed port"

    def connected() -> socket.socket:
        try:
            return namespaces.call_in_namespace(
                peer.namespace, lambda: socket.create_connection((str(host.address), 8080), timeout=TIMEOUT_FACTOR)
            )
        except ConnectionRefusedError as error:
            raise AssertionError("nobody listens") from error

    with wait_until(connected, seconds=30, what="its service listens") as open_connection:
        assert open_connection.recv(100) == b"hello"
        bare.lab.command("kill", host.instance_id)
        open_connection.send(b"are you there?")
        with pytest.raises(TimeoutError):  # and neither an end nor a reset
            open_connection.recv(100)
        with pytest.raises(TimeoutError):
            connected()
    assert host.state() == "running", "AWS does not see into a host"
    bare.lab.command("start", host.instance_id)
    wait_until(host.is_up, seconds=20, what="it boots again")
    assert host.boot_id() != boot
    assert not host.has(MARKER), "no service was told to stop"
