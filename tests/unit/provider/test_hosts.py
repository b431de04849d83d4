"""Instances and volumes: launches that AWS refuses, changes that stop a host, ends that wait for it."""

from typing import Any

import pytest
from moto.ec2.models.elastic_block_store import EBSBackend

from lab.provider.invokes import DEFAULT_DEBIAN_AMI
from tests.unit.provider.engine import REGION, AbortedError, World, client, kinds
from tests.unit.provider.test_network import drifted, settled
from tests.unit.provider.test_schema import ATTACHMENT, GROUP, INSTANCE, PROFILE, ROLE, SUBNET, TRUST, VOLUME, VPC

DISK = {"encrypted": True, "volumeType": "gp3", "volumeSize": 12}


def test_a_host_reads_as_made(small: World) -> None:
    options = {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}
    host = small.instance(
        privateIp="10.0.1.10", userData="#cloud-config\n", metadataOptions=options, rootBlockDevice=DISK, sourceDestCheck=False,
        disableApiTermination=True, tags={"Name": "h"}, volumeTags={"v": "1"},
    )  # fmt: skip
    host = settled(small.engine, host)
    assert (host["privateIp"], host["userData"], host["instanceState"]) == ("10.0.1.10", "#cloud-config\n", "running")
    assert host["vpcSecurityGroupIds"] == [small.group.id]
    volume = client("ec2").describe_volumes(VolumeIds=[host["rootBlockDevice"]["volumeId"]])["Volumes"][0]
    assert (volume["VolumeType"], volume["Size"], volume["Encrypted"]) == ("gp3", 12, True)


@pytest.mark.parametrize(
    ("props", "code"),
    [
        ({"privateIp": "10.0.1.3"}, "reserved address range"),
        ({"privateIp": "10.0.1.255"}, "reserved address range"),
        ({"privateIp": "10.0.2.9"}, "does not fall within"),
        ({"ami": "ami-12345678"}, "InvalidAMIID.NotFound"),
        ({"instanceType": "t9.none"}, "t9.none"),
        ({"instanceType": "t4g.micro"}, "architecture 'arm64'"),
        ({"subnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"availabilityZone": "eu-central-1b"}, "is not the one of subnet"),
        ({"vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"iamInstanceProfile": "none"}, "Invalid IAM Instance Profile name"),
        ({"rootBlockDevice": {"volumeSize": 4}}, "smaller than snapshot, expect size >= 8GB"),
    ],
)
def test_a_launch_that_aws_refuses_is_refused(small: World, props: dict[str, Any], code: str) -> None:
    with pytest.raises(AbortedError, match=code):
        small.instance(**props)


def test_an_address_is_given_once_and_free_again_after_the_end(small: World) -> None:
    host = small.instance(privateIp="10.0.1.10")
    with pytest.raises(AbortedError, match=r"InvalidIPAddress.InUse"):
        small.instance("second", privateIp="10.0.1.10")
    small.engine.delete(host)
    small.instance("third", privateIp="10.0.1.10")


def test_a_group_of_another_vpc_is_refused(small: World) -> None:
    other = small.engine.create(VPC, "other", cidrBlock="10.1.0.0/16")
    with pytest.raises(AbortedError, match="belong to different networks"):
        small.instance(vpcSecurityGroupIds=[other["defaultSecurityGroupId"]])


def test_changed_tags_and_groups_leave_the_host_running(small: World) -> None:
    host = small.instance(tags={"a": "1"})
    other = small.engine.create(GROUP, "other", vpcId=small.vpc.id)
    changed = settled(small.engine, small.engine.update(host, tags={"b": "2"}, vpcSecurityGroupIds=[other.id, small.group.id]))
    assert changed["tags"] == {"b": "2"}
    assert set(changed["vpcSecurityGroupIds"]) == {other.id, small.group.id}


def test_a_hosts_profile_is_given_changed_and_taken(small: World) -> None:
    engine = small.engine
    for name in ("one", "two"):
        engine.create(ROLE, name, name=name, assumeRolePolicy=TRUST)
        engine.create(PROFILE, name, name=name, role=name)
    host = settled(engine, small.instance(iamInstanceProfile="one"))
    changed = settled(engine, engine.update(host, iamInstanceProfile="two"))
    assert changed["iamInstanceProfile"] == "two"


def test_a_profile_without_a_role_is_refused(small: World) -> None:
    small.engine.create(PROFILE, "empty", name="empty")
    with pytest.raises(AbortedError, match="has no role"):
        small.instance(iamInstanceProfile="empty")


def test_a_protected_host_stays_until_it_is_unprotected_or_forced(small: World) -> None:
    host = small.instance(disableApiTermination=True)
    with pytest.raises(AbortedError, match="OperationNotPermitted"):
        small.engine.delete(host)
    free = small.engine.update(host, disableApiTermination=False)
    small.engine.delete(free)
    forced = small.instance("forced", disableApiTermination=True, forceDestroy=True)
    small.engine.delete(forced)
    assert small.engine.refresh(forced) is None


def test_a_host_that_ended_by_itself_is_gone_at_a_refresh(small: World) -> None:
    host = small.instance()
    client("ec2").terminate_instances(InstanceIds=[host.id])
    assert small.engine.refresh(host) is None
    small.engine.delete(host)


def test_a_host_that_was_stopped_is_no_reason_to_replace_it(small: World) -> None:
    host = small.instance()
    client("ec2").stop_instances(InstanceIds=[host.id])
    assert drifted(small.engine, host) == {}


def test_a_root_disk_grows_and_never_shrinks(small: World) -> None:
    host = small.instance(rootBlockDevice=DISK)
    grown = settled(small.engine, small.engine.update(host, rootBlockDevice={**DISK, "volumeSize": 20}))
    with pytest.raises(AbortedError, match="cannot be smaller"):
        small.engine.update(grown, rootBlockDevice=DISK)


def test_a_public_subnet_gives_a_public_address_that_nobody_asked_for(small: World) -> None:
    public = small.engine.create(SUBNET, "public", vpcId=small.vpc.id, cidrBlock="10.0.2.0/24", mapPublicIpOnLaunch=True)
    host = settled(small.engine, small.instance(subnetId=public.id))
    assert host["publicIp"]
    assert small.instance("private")["publicIp"] == ""


def test_a_volume_grows_and_is_deleted_only_when_free(small: World) -> None:
    engine = small.engine
    given = {"availabilityZone": f"{REGION}a", "size": 10, "type": "gp3", "encrypted": True, "tags": {"a": "b"}}
    volume = settled(engine, engine.create(VOLUME, "data", **given))
    volume = settled(engine, engine.update(volume, size=12))
    with pytest.raises(AbortedError, match="cannot be smaller"):
        engine.update(volume, size=8)
    with pytest.raises(AbortedError, match=r"InvalidZone.NotFound"):
        engine.create(VOLUME, "far", **{**given, "availabilityZone": "us-east-1a"})
    host = small.instance()
    attachment = engine.create(ATTACHMENT, deviceName="/dev/sdf", instanceId=host.id, volumeId=volume.id, stopInstanceBeforeDetaching=True)
    settled(engine, attachment)
    with pytest.raises(AbortedError, match="VolumeInUse"):
        engine.delete(volume)
    engine.delete(attachment)
    assert client("ec2").describe_instances(InstanceIds=[host.id])["Reservations"][0]["Instances"][0]["State"]["Name"] == "stopped"
    engine.delete(volume)
    assert engine.refresh(volume) is None


@pytest.mark.parametrize(("state", "reason"), [("busy", "is busy; wanted detached"), ("detaching", "is still detaching after 0 s")])
def test_a_volume_that_its_host_still_uses_is_not_detached(small: World, monkeypatch: pytest.MonkeyPatch, state: str, reason: str) -> None:
    engine, host = small.engine, small.instance()
    volume = engine.create(VOLUME, "data", availabilityZone=f"{REGION}a", size=1)
    attachment = engine.create(ATTACHMENT, deviceName="/dev/sdf", instanceId=host.id, volumeId=volume.id)

    def detach(backend: Any, volume_id: str, *_others: object) -> Any:
        mounted = backend.volumes[volume_id].attachment
        mounted.status = state
        return mounted

    monkeypatch.setattr(EBSBackend, "detach_volume", detach)
    with pytest.raises(AbortedError, match=f"attachment of {volume.id} to {host.id} {reason}.*the host still uses the volume: unmount it"):
        engine.delete(attachment)


def test_a_volume_is_attached_once_under_a_free_name_in_its_own_zone(small: World) -> None:
    engine, zone = small.engine, {"availabilityZone": f"{REGION}a", "size": 1}
    one, two = engine.create(VOLUME, "one", **zone), engine.create(VOLUME, "two", **zone)
    far = engine.create(VOLUME, "far", availabilityZone=f"{REGION}b", size=1)
    host, second = small.instance(), small.instance("second")
    place = {"deviceName": "/dev/sdf", "instanceId": host.id}
    made = engine.create(ATTACHMENT, **place, volumeId=one.id)
    assert engine.create(ATTACHMENT, "again", **place, volumeId=one.id).id == made.id, "the same attachment is adopted"
    with pytest.raises(AbortedError, match="Attachment point /dev/sdf is already in use"):
        engine.create(ATTACHMENT, "b", **place, volumeId=two.id)
    with pytest.raises(AbortedError, match="VolumeInUse"):
        engine.create(ATTACHMENT, "c", deviceName="/dev/sdf", instanceId=second.id, volumeId=one.id)
    with pytest.raises(AbortedError, match="not in the same availability zone"):
        engine.create(ATTACHMENT, "d", deviceName="/dev/sdg", instanceId=host.id, volumeId=far.id)
    found = engine.load(ATTACHMENT, f"/dev/sdf:{one.id}:{host.id}")
    assert found is not None
    assert found["instanceId"] == host.id


def test_the_image_of_the_parameter_is_one_that_can_be_launched(small: World) -> None:
    host = small.instance(ami=DEFAULT_DEBIAN_AMI)
    assert kinds(small.engine.diff(host, ami="ami-11111111")) == {"ami": "update_replace"}
    assert kinds(small.engine.diff(host, ignore=("ami",), ami="ami-11111111")) == {}
    assert host.token == INSTANCE
