"""Instances and volumes: launches that AWS refuses, changes that stop a host, ends that wait for it."""

from typing import Any

import pytest
from moto.ec2.models.elastic_block_store import EBSBackend

from lab.provider.api_client import DEFAULT_DEBIAN_AMI
from tests.unit.provider.fake_engine import REGION, AbortedError, NetworkFixture, boto_client, diff_kinds
from tests.unit.provider.test_network import drifted, settled
from tests.unit.provider.test_schema import ATTACHMENT, GROUP, INSTANCE, PROFILE, ROLE, SUBNET, TRUST, VOLUME, VPC

DISK = {"encrypted": True, "volumeType": "gp3", "volumeSize": 12}


def test_a_host_reads_as_made(small_network: NetworkFixture) -> None:
    options = {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}
    host = small_network.instance(
        privateIp="10.0.1.10", userData="#cloud-config\n", metadataOptions=options, rootBlockDevice=DISK, sourceDestCheck=False,
        disableApiTermination=True, tags={"Name": "h"}, volumeTags={"v": "1"},
    )  # fmt: skip
    host = settled(small_network.engine, host)
    assert (host["privateIp"], host["userData"], host["instanceState"]) == ("10.0.1.10", "#cloud-config\n", "running")
    assert host["vpcSecurityGroupIds"] == [small_network.group.id]
    volume = boto_client("ec2").describe_volumes(VolumeIds=[host["rootBlockDevice"]["volumeId"]])["Volumes"][0]
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
def test_a_launch_that_aws_refuses_is_refused(small_network: NetworkFixture, props: dict[str, Any], code: str) -> None:
    with pytest.raises(AbortedError, match=code):
        small_network.instance(**props)


def test_an_address_is_given_once_and_free_again_after_the_end(small_network: NetworkFixture) -> None:
    host = small_network.instance(privateIp="10.0.1.10")
    with pytest.raises(AbortedError, match=r"InvalidIPAddress.InUse"):
        small_network.instance("second", privateIp="10.0.1.10")
    small_network.engine.delete(host)
    small_network.instance("third", privateIp="10.0.1.10")


def test_a_group_of_another_vpc_is_refused(small_network: NetworkFixture) -> None:
    other = small_network.engine.create(VPC, "other", cidrBlock="10.1.0.0/16")
    with pytest.raises(AbortedError, match="belong to different networks"):
        small_network.instance(vpcSecurityGroupIds=[other["defaultSecurityGroupId"]])


def test_changed_tags_and_groups_leave_the_host_running(small_network: NetworkFixture) -> None:
    host = small_network.instance(tags={"a": "1"})
    other = small_network.engine.create(GROUP, "other", vpcId=small_network.vpc.id)
    changed = settled(
        small_network.engine, small_network.engine.update(host, tags={"b": "2"}, vpcSecurityGroupIds=[other.id, small_network.group.id])
    )
    assert changed["tags"] == {"b": "2"}
    assert set(changed["vpcSecurityGroupIds"]) == {other.id, small_network.group.id}


def test_a_hosts_profile_is_given_changed_and_taken(small_network: NetworkFixture) -> None:
    engine = small_network.engine
    for name in ("one", "two"):
        engine.create(ROLE, name, name=name, assumeRolePolicy=TRUST)
        engine.create(PROFILE, name, name=name, role=name)
    host = settled(engine, small_network.instance(iamInstanceProfile="one"))
    changed = settled(engine, engine.update(host, iamInstanceProfile="two"))
    assert changed["iamInstanceProfile"] == "two"


def test_a_profile_without_a_role_is_refused(small_network: NetworkFixture) -> None:
    small_network.engine.create(PROFILE, "empty", name="empty")
    with pytest.raises(AbortedError, match="has no role"):
        small_network.instance(iamInstanceProfile="empty")


def test_a_protected_host_stays_until_it_is_unprotected_or_forced(small_network: NetworkFixture) -> None:
    host = small_network.instance(disableApiTermination=True)
    with pytest.raises(AbortedError, match="OperationNotPermitted"):
        small_network.engine.delete(host)
    free = small_network.engine.update(host, disableApiTermination=False)
    small_network.engine.delete(free)
    forced = small_network.instance("forced", disableApiTermination=True, forceDestroy=True)
    small_network.engine.delete(forced)
    assert small_network.engine.refresh(forced) is None


def test_a_host_that_ended_by_itself_is_gone_at_a_refresh(small_network: NetworkFixture) -> None:
    host = small_network.instance()
    boto_client("ec2").terminate_instances(InstanceIds=[host.id])
    assert small_network.engine.refresh(host) is None
    small_network.engine.delete(host)


def test_a_host_that_was_stopped_is_no_reason_to_replace_it(small_network: NetworkFixture) -> None:
    host = small_network.instance()
    boto_client("ec2").stop_instances(InstanceIds=[host.id])
    assert drifted(small_network.engine, host) == {}


def test_a_root_disk_grows_and_never_shrinks(small_network: NetworkFixture) -> None:
    host = small_network.instance(rootBlockDevice=DISK)
    grown = settled(small_network.engine, small_network.engine.update(host, rootBlockDevice={**DISK, "volumeSize": 20}))
    with pytest.raises(AbortedError, match="cannot be smaller"):
        small_network.engine.update(grown, rootBlockDevice=DISK)


def test_a_public_subnet_gives_a_public_address_that_nobody_asked_for(small_network: NetworkFixture) -> None:
    public = small_network.engine.create(SUBNET, "public", vpcId=small_network.vpc.id, cidrBlock="10.0.2.0/24", mapPublicIpOnLaunch=True)
    host = settled(small_network.engine, small_network.instance(subnetId=public.id))
    assert host["publicIp"]
    assert small_network.instance("private")["publicIp"] == ""


def test_a_volume_grows_and_is_deleted_only_when_free(small_network: NetworkFixture) -> None:
    engine = small_network.engine
    given = {"availabilityZone": f"{REGION}a", "size": 10, "type": "gp3", "encrypted": True, "tags": {"a": "b"}}
    volume = settled(engine, engine.create(VOLUME, "data", **given))
    volume = settled(engine, engine.update(volume, size=12))
    with pytest.raises(AbortedError, match="cannot be smaller"):
        engine.update(volume, size=8)
    with pytest.raises(AbortedError, match=r"InvalidZone.NotFound"):
        engine.create(VOLUME, "far", **{**given, "availabilityZone": "us-east-1a"})
    host = small_network.instance()
    attachment = engine.create(ATTACHMENT, deviceName="/dev/sdf", instanceId=host.id, volumeId=volume.id, stopInstanceBeforeDetaching=True)
    settled(engine, attachment)
    with pytest.raises(AbortedError, match="VolumeInUse"):
        engine.delete(volume)
    engine.delete(attachment)
    assert boto_client("ec2").describe_instances(InstanceIds=[host.id])["Reservations"][0]["Instances"][0]["State"]["Name"] == "stopped"
    engine.delete(volume)
    assert engine.refresh(volume) is None


@pytest.mark.parametrize(("state", "reason"), [("busy", "is busy; wanted detached"), ("detaching", "is still detaching after 0 s")])
def test_a_volume_that_its_host_still_uses_is_not_detached(
    small_network: NetworkFixture, monkeypatch: pytest.MonkeyPatch, state: str, reason: str
) -> None:
    engine, host = small_network.engine, small_network.instance()
    volume = engine.create(VOLUME, "data", availabilityZone=f"{REGION}a", size=1)
    attachment = engine.create(ATTACHMENT, deviceName="/dev/sdf", instanceId=host.id, volumeId=volume.id)

    def detach(backend: Any, volume_id: str, *_others: object) -> Any:
        mounted = backend.volumes[volume_id].attachment
        mounted.status = state
        return mounted

    monkeypatch.setattr(EBSBackend, "detach_volume", detach)
    with pytest.raises(AbortedError, match=f"attachment of {volume.id} to {host.id} {reason}.*the host still uses the volume: unmount it"):
        engine.delete(attachment)


def test_a_volume_is_attached_once_under_a_free_name_in_its_own_zone(small_network: NetworkFixture) -> None:
    engine, zone = small_network.engine, {"availabilityZone": f"{REGION}a", "size": 1}
    one, two = engine.create(VOLUME, "one", **zone), engine.create(VOLUME, "two", **zone)
    far = engine.create(VOLUME, "far", availabilityZone=f"{REGION}b", size=1)
    host, second = small_network.instance(), small_network.instance("second")
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


def test_the_image_of_the_parameter_is_one_that_can_be_launched(small_network: NetworkFixture) -> None:
    host = small_network.instance(ami=DEFAULT_DEBIAN_AMI)
    assert diff_kinds(small_network.engine.diff(host, ami="ami-11111111")) == {"ami": "update_replace"}
    assert diff_kinds(small_network.engine.diff(host, ignore=("ami",), ami="ami-11111111")) == {}
    assert host.token == INSTANCE
