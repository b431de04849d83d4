"""What a change of an instance does, call by call: as `resourceInstanceUpdate` of terraform-provider-aws (ec2/ec2_instance.go) does it."""

import base64
import logging
from typing import Any

import pytest

from lab.provider.api_client import ApiClient, ApiError
from lab.provider.codec import UNKNOWN
from tests.unit.provider.fake_engine import AbortedError, FakeEngine, NetworkFixture, boto_client, diff_kinds
from tests.unit.provider.test_network import settled
from tests.unit.provider.test_schema import ATTACHMENT, SUBNET, VOLUME

OPTIONS = {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}


class Calls(list[tuple[str, dict[str, Any]]]):
    """The calls that went to the API, in order."""

    def verbs(self) -> list[str]:
        """Those that change something, as `verb` or `verb attribute`."""
        told: list[str] = []
        for operation, parameters in self:
            verb = operation.removeprefix("ec2.")
            if verb.startswith("describe") or "get_caller" in verb:
                continue
            attribute = next((name for name in parameters if name != "InstanceId"), "") if verb == "modify_instance_attribute" else ""
            told.append(f"{verb} {attribute}".strip())
        return told


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Everything that is called from now on."""
    seen, call = Calls(), ApiClient.call

    def recorded(self: ApiClient, operation: str, /, **parameters: Any) -> dict[str, Any]:
        seen.append((operation, parameters))
        return call(self, operation, **parameters)

    monkeypatch.setattr(ApiClient, "call", recorded)
    return seen


def test_type_and_user_data_take_a_stop_and_a_start_each_the_type_first(small_network: NetworkFixture, calls: Calls) -> None:
    host = small_network.instance(userData="one")
    calls.clear()
    booted: list[tuple[str, bytes]] = []
    start = ApiClient.call

    def noted(self: ApiClient, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation == "ec2.start_instances":
            described = boto_client("ec2").describe_instance_attribute(InstanceId=host.id, Attribute="userData")
            kind = boto_client("ec2").describe_instance_attribute(InstanceId=host.id, Attribute="instanceType")["InstanceType"]["Value"]
            booted.append((kind, base64.b64decode(described["UserData"]["Value"])))
        return start(self, operation, **parameters)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ApiClient, "call", noted)
        changed = small_network.engine.update(host, userData="two", instanceType="t3.small")
    assert calls.verbs() == [
        "stop_instances", "modify_instance_attribute InstanceType", "start_instances",
        "stop_instances", "modify_instance_attribute UserData", "start_instances",
    ]  # fmt: skip
    assert booted == [("t3.small", b"one"), ("t3.small", b"two")], "it boots once with the new type and the old user data"
    assert (changed["userData"], changed["instanceType"], changed["instanceState"]) == ("two", "t3.small", "running")
    settled(small_network.engine, changed)


def test_a_hosts_changes_come_in_the_real_providers_order(small_network: NetworkFixture, calls: Calls) -> None:
    host = small_network.instance(userData="one", metadataOptions=OPTIONS, rootBlockDevice={"volumeType": "gp3", "volumeSize": 8})
    calls.clear()
    small_network.engine.update(
        host, userData="two", instanceType="t3.small", disableApiStop=True, disableApiTermination=True, monitoring=True,
        instanceInitiatedShutdownBehavior="terminate", sourceDestCheck=False, metadataOptions={**OPTIONS, "httpPutResponseHopLimit": 2},
        creditSpecification={"cpuCredits": "standard"},
        rootBlockDevice={"volumeType": "gp3", "volumeSize": 9, "deleteOnTermination": False},
    )  # fmt: skip
    assert calls.verbs() == [
        "modify_instance_attribute SourceDestCheck",
        "stop_instances", "modify_instance_attribute InstanceType", "start_instances",
        "stop_instances", "modify_instance_attribute UserData", "start_instances",
        "modify_instance_attribute DisableApiStop",
        "modify_instance_attribute DisableApiTermination",
        "modify_instance_attribute InstanceInitiatedShutdownBehavior",
        "monitor_instances",
        "modify_instance_credit_specification",
        "modify_instance_metadata_options",
        "modify_volume",
        "modify_instance_attribute BlockDeviceMappings",
    ]  # fmt: skip


def test_a_stop_that_fails_leaves_the_later_changes_undone(small_network: NetworkFixture, calls: Calls) -> None:
    host = small_network.instance(disableApiStop=True)
    calls.clear()
    with pytest.raises(AbortedError, match="OperationNotPermitted"):
        small_network.engine.update(host, instanceType="t3.small", disableApiStop=False)
    assert calls.verbs() == ["stop_instances"]


@pytest.mark.parametrize("name", ["volumeType", "volumeSize", "deleteOnTermination", "encrypted"])
def test_what_is_no_longer_said_of_the_root_disk_stays_as_it_is(small_network: NetworkFixture, name: str) -> None:
    disk = {"volumeType": "gp3", "volumeSize": 12, "deleteOnTermination": True, "encrypted": True}
    host = small_network.instance(rootBlockDevice=disk)
    assert diff_kinds(small_network.engine.diff(host, rootBlockDevice={key: value for key, value in disk.items() if key != name})) == {}
    assert diff_kinds(small_network.engine.diff(host, rootBlockDevice=None)) == {}


def test_a_root_disk_that_was_to_stay_goes_again_where_nothing_more_is_said(small_network: NetworkFixture) -> None:
    """`delete_on_termination` has a default, true; the other properties are what AWS says."""
    host = small_network.instance(rootBlockDevice={"volumeSize": 12, "deleteOnTermination": False})
    assert host["rootBlockDevice"]["deleteOnTermination"] is False
    assert diff_kinds(small_network.engine.diff(host, rootBlockDevice={"volumeSize": 12})) == {
        "rootBlockDevice.deleteOnTermination": "update"
    }
    changed = settled(small_network.engine, small_network.engine.update(host, rootBlockDevice={"volumeSize": 12}))
    assert changed["rootBlockDevice"]["deleteOnTermination"] is True


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_metadata_option_that_is_no_longer_said_stays_as_it_is(small_network: NetworkFixture, name: str) -> None:
    host = small_network.instance(metadataOptions=OPTIONS)
    left = {key: value for key, value in OPTIONS.items() if key != name}
    assert diff_kinds(small_network.engine.diff(host, metadataOptions=left)) == {}


def test_a_type_of_another_architecture_replaces(small_network: NetworkFixture) -> None:
    host = small_network.instance()
    assert diff_kinds(small_network.engine.diff(host, instanceType="t4g.micro")) == {"instanceType": "update_replace"}
    assert diff_kinds(small_network.engine.diff(host, instanceType="t3.small")) == {"instanceType": "update"}
    assert diff_kinds(small_network.engine.diff(host, instanceType="t9.none")) == {"instanceType": "update"}, (
        "what is not known replaces nothing"
    )


def test_the_root_volumes_tags_are_made_after_the_launch_and_a_failure_is_no_more_than_a_warning(
    small_network: NetworkFixture, calls: Calls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host = small_network.instance(rootBlockDevice={"volumeSize": 8, "tags": {"a": "b"}}, tags={"Name": "h"})
    (launch,) = [parameters for operation, parameters in calls if operation == "ec2.run_instances"]
    assert [one["ResourceType"] for one in launch["TagSpecifications"]] == ["instance"]
    assert host["rootBlockDevice"]["tags"] == {"a": "b"}
    call = ApiClient.call

    def refused(self: ApiClient, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation == "ec2.create_tags":
            raise ApiError(operation, "UnauthorizedOperation", "no")
        return call(self, operation, **parameters)

    monkeypatch.setattr(ApiClient, "call", refused)
    with caplog.at_level(logging.WARNING, logger="lab.provider"):
        untagged = small_network.instance("second", rootBlockDevice={"volumeSize": 8, "tags": {"a": "b"}})
    assert untagged["instanceState"] == "running"
    assert "UnauthorizedOperation" in caplog.text


@pytest.mark.parametrize(
    ("kind", "given", "sent", "shown"),
    [
        ("t3.micro", None, "unlimited", {"cpuCredits": "unlimited"}),
        ("t3.micro", {"cpuCredits": "standard"}, "standard", {"cpuCredits": "standard"}),
        ("t2.micro", None, None, {"cpuCredits": "standard"}),
        ("m5.large", None, None, None),
    ],
)
def test_credits_of_a_burstable_type(
    small_network: NetworkFixture, calls: Calls, kind: str, given: dict[str, str] | None, sent: str | None, shown: dict[str, str] | None
) -> None:
    host = small_network.instance(instanceType=kind, **({"creditSpecification": given} if given else {}))
    (launch,) = [parameters for operation, parameters in calls if operation == "ec2.run_instances"]
    assert (launch["CreditSpecification"] or {}).get("CpuCredits") == sent
    assert host["creditSpecification"] == shown
    host = settled(small_network.engine, host)
    assert diff_kinds(small_network.engine.diff(host, creditSpecification=None)) == {}


def test_a_preview_does_not_know_the_public_address_that_a_stop_gives_back(small_network: NetworkFixture) -> None:
    public = small_network.engine.create(SUBNET, "public", vpcId=small_network.vpc.id, cidrBlock="10.0.2.0/24", mapPublicIpOnLaunch=True)
    host = small_network.instance(subnetId=public.id, userData="one")
    seen = small_network.engine.update(host, preview=True, userData="two").outputs
    assert (seen["publicIp"], seen["publicDns"], seen["privateIp"]) == (UNKNOWN, UNKNOWN, host["privateIp"])
    assert small_network.engine.update(host, preview=True, tags={"a": "b"}).outputs["publicIp"] == host["publicIp"]
    private = small_network.instance("private", userData="one")
    assert small_network.engine.update(private, preview=True, userData="two").outputs["publicIp"] == ""


def test_a_refresh_shows_the_volumes_that_were_attached_after_the_launch(small_network: NetworkFixture) -> None:
    host = small_network.instance()
    assert host["ebsBlockDevices"] == []
    volume = small_network.engine.create(VOLUME, "data", availabilityZone="eu-central-1a", size=10, type="gp3", encrypted=True)
    small_network.engine.create(ATTACHMENT, deviceName="/dev/sdf", instanceId=host.id, volumeId=volume.id)
    seen = small_network.engine.refresh(host)
    assert seen is not None
    (device,) = seen["ebsBlockDevices"]
    assert (device["deviceName"], device["volumeId"], device["volumeSize"], device["deleteOnTermination"]) == (
        "/dev/sdf",
        volume.id,
        10,
        False,
    )
    settled(small_network.engine, seen)


def test_an_attachment_stops_its_instance_whatever_state_that_is_in(small_network: NetworkFixture, calls: Calls) -> None:
    """`resourceVolumeAttachmentDelete` (ec2/ebs_volume_attachment.go) asks for nothing before StopInstances."""
    engine, host = small_network.engine, small_network.instance()
    volume = engine.create(VOLUME, "data", availabilityZone="eu-central-1a", size=1)
    attachment = engine.create(ATTACHMENT, deviceName="/dev/sdf", instanceId=host.id, volumeId=volume.id, stopInstanceBeforeDetaching=True)
    boto_client("ec2").terminate_instances(InstanceIds=[host.id])
    with pytest.raises(AbortedError, match="IncorrectInstanceState"):
        engine.delete(attachment)
    assert engine.refresh(attachment) is None, "a refresh forgets it"


def test_an_attachment_that_is_gone_already_is_no_error(small_network: NetworkFixture, engine: FakeEngine) -> None:
    host = small_network.instance()
    volume = engine.create(VOLUME, "data", availabilityZone="eu-central-1a", size=1)
    attachment = engine.create(ATTACHMENT, deviceName="/dev/sdf", instanceId=host.id, volumeId=volume.id)
    boto_client("ec2").detach_volume(VolumeId=volume.id)
    engine.delete(attachment)
