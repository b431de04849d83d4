"""Volumes attach, detach and attach elsewhere with their data; one that a host still uses stays with it until the host lets go."""

import pytest

from lab.disk_space import GIB
from lab.hypervisor.volumes import guest_device
from tests.lab.bare.machines import BareLab, Host, error_code
from tests.lab.harness import wait_until

HOLDS_IN_PRIVATE = """\
[Service]
PrivateMounts=yes
ExecStart=/bin/sh -c 'mount {device} /mnt; touch {held}; exec sleep infinity'
"""

HOLDS_OPEN = """\
[Service]
ExecStart=/bin/sh -c 'exec <{device}; touch {held}; exec sleep infinity'
"""


@pytest.fixture
def volume(bare: BareLab) -> str:
    return bare.new_volume()


def test_a_volume_takes_its_data_from_host_to_host(bare: BareLab, host: Host, peer: Host, volume: str) -> None:
    elsewhere = bare.launch("b")
    device = bare.attach(volume, host)
    assert error_code(lambda: bare.ec2.attach_volume(VolumeId=volume, InstanceId=peer.instance_id, Device="/dev/sdf")) == "VolumeInUse"
    host.run(f"mkfs.ext4 -q {device}; mount {device} /mnt; echo precious > /mnt/data; umount /mnt")
    bare.ec2.detach_volume(VolumeId=volume)
    bare.wait_until_available(volume)
    assert not host.has(device)
    refused = error_code(lambda: bare.ec2.attach_volume(VolumeId=volume, InstanceId=elsewhere.instance_id, Device="/dev/sdf"))
    assert refused == "InvalidVolume.ZoneMismatch"
    assert bare.attach(volume, peer) == device
    assert peer.run(f"mount {device} /mnt; cat /mnt/data; umount /mnt") == "precious"
    assert not host.has(device)
    bare.ec2.detach_volume(VolumeId=volume)
    bare.wait_until_available(volume)
    bare.attach(volume, host)
    assert host.run(f"mount -r {device} /mnt; cat /mnt/data; umount /mnt") == "precious"


def test_a_host_sees_the_new_size_of_a_volume_under_its_mounted_file_system(bare: BareLab, host: Host, volume: str) -> None:
    device = bare.attach(volume, host)
    host.run(f"mkfs.ext4 -q {device}; mount {device} /mnt; echo precious > /mnt/data")
    before = int(host.run(f"blockdev --getsize64 {device}"))
    bare.ec2.modify_volume(VolumeId=volume, Size=before // GIB + 1)
    wait_until(lambda: int(host.run(f"blockdev --getsize64 {device}")) == before + GIB, seconds=20, what="the host sees the new size")
    assert host.run("cat /mnt/data") == "precious"
    assert int(host.run("df --output=size -B1 /mnt | tail -1")) < before, "the file system is the host's own affair"
    host.run("umount /mnt")
    bare.ec2.detach_volume(VolumeId=volume)
    bare.wait_until_available(volume)


def test_a_detach_does_not_finish_while_the_volume_is_mounted(bare: BareLab, host: Host, peer: Host, volume: str) -> None:
    device = bare.attach(volume, host)
    host.run(f"mkfs.ext4 -q {device}; mount {device} /mnt")
    bare.ec2.detach_volume(VolumeId=volume)
    assert bare.stays_detaching(volume)
    assert host.has(device), "the guest has it for as long as it uses it"
    host.run("echo late > /mnt/data; sync")
    assert error_code(lambda: bare.ec2.attach_volume(VolumeId=volume, InstanceId=peer.instance_id, Device="/dev/sdg")) == "VolumeInUse"
    host.run("umount /mnt")
    bare.wait_until_available(volume)
    assert not host.has(device)
    bare.attach(volume, peer)
    assert peer.run(f"mount {device} /mnt; cat /mnt/data; umount /mnt") == "late"


@pytest.mark.parametrize("holder", [HOLDS_IN_PRIVATE, HOLDS_OPEN], ids=["mounted for one service alone", "open as a device"])
def test_a_detach_waits_for_every_user_of_the_device(bare: BareLab, host: Host, peer: Host, volume: str, holder: str) -> None:
    device = bare.attach(volume, host)
    host.run(f"mkfs.ext4 -q {device}")
    held = f"/run/{volume}.held"
    host.add_unit("holder", holder.format(device=device, held=held))
    wait_until(lambda: host.has(held), seconds=30, what="the service holds the device", every=0.1)
    assert "/mnt" not in host.run("cat /proc/1/mounts"), "init does not see the mount"
    bare.ec2.detach_volume(VolumeId=volume)
    assert bare.stays_detaching(volume)
    host.run("systemctl stop holder")
    bare.wait_until_available(volume)
    assert not host.has(device)


def test_a_forced_detach_tears_the_volume_out_of_the_host(bare: BareLab, host: Host, peer: Host, volume: str) -> None:
    device = bare.attach(volume, host)
    host.run(f"mkfs.ext4 -q {device}; mount {device} /mnt; echo early > /mnt/data; sync")
    bare.ec2.detach_volume(VolumeId=volume)
    assert bare.stays_detaching(volume, seconds=0.5)
    bare.ec2.detach_volume(VolumeId=volume, Force=True)
    bare.wait_until_available(volume)
    assert not host.has(device)
    assert host.run("echo late > /mnt/data && sync /mnt/data && echo written || echo lost") == "lost"
    bare.attach(volume, peer)
    assert peer.run(f"mount {device} /mnt; cat /mnt/data; umount /mnt") == "early"
    host.run("umount /mnt")


def test_a_stop_ends_a_pending_detach(bare: BareLab, host: Host, peer: Host, volume: str) -> None:
    device = bare.attach(volume, host)
    host.run(f"mkfs.ext4 -q {device}; mount {device} /mnt; echo kept > /mnt/data")
    bare.ec2.detach_volume(VolumeId=volume)
    assert bare.stays_detaching(volume, seconds=0.5)
    bare.ec2.stop_instances(InstanceIds=[host.instance_id])
    host.wait_for_state("stopped")
    assert bare.attachment(volume) is None
    bare.ec2.start_instances(InstanceIds=[host.instance_id])
    host.wait_until_up()
    assert not host.has(guest_device(volume))
    bare.attach(volume, host)
    assert host.run(f"mount {device} /mnt; cat /mnt/data; umount /mnt") == "kept"


def test_a_root_disk_has_its_volume_s_size_and_grows_with_it_at_the_next_boot(bare: BareLab, host: Host) -> None:
    def mebibytes() -> int:
        return int(host.run("df --output=size --block-size=1M / | tail -n 1"))

    [root] = [
        mapping.get("Ebs", {}).get("VolumeId", "")
        for mapping in host.describe().get("BlockDeviceMappings", [])
        if mapping.get("DeviceName") == host.describe().get("RootDeviceName")
    ]
    size = bare.ec2.describe_volumes(VolumeIds=[root])["Volumes"][0].get("Size", 0)
    assert 0.9 * size * 1024 < mebibytes() <= size * 1024
    host.run("echo precious > /var/lib/data")
    bare.ec2.modify_volume(VolumeId=root, Size=size + 4)
    bare.ec2.stop_instances(InstanceIds=[host.instance_id])
    host.wait_for_state("stopped")
    bare.ec2.start_instances(InstanceIds=[host.instance_id])
    host.wait_until_up()
    assert 0.9 * (size + 4) * 1024 < mebibytes() <= (size + 4) * 1024
    assert host.run("cat /var/lib/data") == "precious"
