"""Volumes: attached, detached when their machine has let go of them, and gone or left with their instance."""

from typing import Any

from tests.aws.cloud.support import Network, refused, report_event


def test_a_volume_is_on_one_instance_of_its_own_zone(api: str, network: Network) -> None:
    one, other = network.launch(), network.launch()
    volume = network.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"]
    elsewhere = network.ec2.create_volume(AvailabilityZone="eu-west-1b", Size=8)["VolumeId"]
    network.ec2.attach_volume(VolumeId=volume, InstanceId=one, Device="/dev/sdf")
    assert refused(network.ec2.attach_volume, VolumeId=volume, InstanceId=other, Device="/dev/sdf") == "VolumeInUse"
    assert refused(network.ec2.attach_volume, VolumeId=elsewhere, InstanceId=one, Device="/dev/sdg") == "InvalidVolume.ZoneMismatch"
    assert refused(network.ec2.detach_volume, VolumeId=volume, InstanceId=other) == "InvalidAttachment.NotFound"
    assert network.ec2.detach_volume(VolumeId=volume)["InstanceId"] == one, "the instance may be left out"
    report_event(api, one, "detached", volume)
    assert refused(network.ec2.detach_volume, VolumeId=volume) == "IncorrectState"


def attachment(network: Network, volume: str) -> dict[str, Any]:
    """What DescribeVolumes shows of the volume's attachment; nothing where it has none."""
    [found] = network.ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    assert (found["State"] == "in-use") is bool(found["Attachments"])
    return found["Attachments"][0] if found["Attachments"] else {}


def mappings(network: Network, instance: str) -> dict[str, dict[str, Any]]:
    return {one["DeviceName"]: one["Ebs"] for one in network.instance(instance)["BlockDeviceMappings"]}


def test_a_volume_is_detaching_until_its_machine_has_let_go_of_it(api: str, network: Network) -> None:
    instance = network.launch()
    volume = network.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"]
    network.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    assert report_event(api, instance, "detached", volume) == "in-use", "nobody has asked for it"
    for _ in ("asked", "asked again"):
        assert network.ec2.detach_volume(VolumeId=volume)["State"] == "detaching"
        assert attachment(network, volume)["State"] == "detaching"
        assert mappings(network, instance)["/dev/sdf"]["Status"] == "detaching"
    assert refused(network.ec2.attach_volume, VolumeId=volume, InstanceId=instance, Device="/dev/sdg") == "VolumeInUse"
    assert report_event(api, instance, "busy", volume) == "in-use"
    assert attachment(network, volume)["State"] == "busy"
    assert mappings(network, instance)["/dev/sdf"]["Status"] == "detaching", "DescribeInstances knows no busy"
    assert report_event(api, "i-0123456789abcdef0", "detached", volume) == "in-use", "another machine never had it"
    assert report_event(api, instance, "detached", volume) == "available"
    assert attachment(network, volume) == {}
    assert "/dev/sdf" not in mappings(network, instance)
    assert report_event(api, instance, "detached", volume) == "available", "a report may be repeated"


def test_a_stopped_instance_lets_go_of_a_volume_at_once(api: str, network: Network) -> None:
    instance = network.launch()
    volume = network.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"]
    network.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    network.ec2.stop_instances(InstanceIds=[instance])
    report_event(api, instance, "stopped")
    network.ec2.detach_volume(VolumeId=volume)
    assert attachment(network, volume) == {}


def test_a_root_volume_does_not_leave_a_running_instance_nor_any_volume_one_that_ends(network: Network) -> None:
    instance = network.launch()
    volume = network.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"]
    network.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    root = mappings(network, instance)[network.instance(instance)["RootDeviceName"]]["VolumeId"]
    assert refused(network.ec2.detach_volume, VolumeId=root, Force=True) == "IncorrectState"
    network.ec2.terminate_instances(InstanceIds=[instance])
    assert refused(network.ec2.detach_volume, VolumeId=volume) == "IncorrectInstanceState"


def test_volumes_of_a_launch_go_with_the_instance_and_later_ones_stay_unless_told_otherwise(api: str, network: Network) -> None:
    ec2 = network.ec2
    disks = [
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 8}},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": False}},
    ]
    instance = network.launch(BlockDeviceMappings=disks)
    root = network.instance(instance)["RootDeviceName"]
    for device in ("/dev/sdh", "/dev/sdi"):
        volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"]
        ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
    expected = {root: True, "/dev/sdf": True, "/dev/sdg": False, "/dev/sdh": False, "/dev/sdi": False}
    assert {device: ebs["DeleteOnTermination"] for device, ebs in mappings(network, instance).items()} == expected
    change = [
        {"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdi", "Ebs": {"DeleteOnTermination": True}},
    ]
    ec2.modify_instance_attribute(InstanceId=instance, BlockDeviceMappings=change)
    expected |= {"/dev/sdf": False, "/dev/sdi": True}
    shown = mappings(network, instance)
    assert {device: ebs["DeleteOnTermination"] for device, ebs in shown.items()} == expected
    volumes = {device: ebs["VolumeId"] for device, ebs in shown.items()}
    assert {device: attachment(network, volume)["DeleteOnTermination"] for device, volume in volumes.items()} == expected
    asked = ec2.describe_instance_attribute(InstanceId=instance, Attribute="blockDeviceMapping")["BlockDeviceMappings"]
    assert {one["DeviceName"]: one["Ebs"]["DeleteOnTermination"] for one in asked} == expected
    unknown = [{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": True}}]
    modify = ec2.modify_instance_attribute
    assert refused(modify, InstanceId=instance, BlockDeviceMappings=unknown) == "InvalidInstanceAttributeValue"
    ec2.terminate_instances(InstanceIds=[instance])
    report_event(api, instance, "terminated")
    left = {one["VolumeId"]: one["State"] for one in ec2.describe_volumes()["Volumes"]}
    assert left == {volumes[device]: "available" for device, goes in expected.items() if not goes}
