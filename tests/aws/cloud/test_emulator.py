"""Where moto is kinder than AWS, the lab's API is not: seen by boto3, over HTTP, as any client sees it."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud.images import BAKED_IMAGE, DEBIAN_PARAMETER, PLAIN_IMAGE
from lab.cloud.internal_api import QUOTAS_PATH, REGIONS_PATH
from tests.aws.cloud.support import Network, client, report_event


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The code of AWS's refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response.get("Error", {}).get("Code", "")


def test_a_stopping_instance_is_stopped_only_when_its_machine_is(api: str, network: Network) -> None:
    instance = network.launch()
    network.ec2.stop_instances(InstanceIds=[instance])
    assert network.state(instance) == "stopping"
    assert refused(network.ec2.start_instances, InstanceIds=[instance]) == "IncorrectInstanceState"
    assert report_event(api, instance, "stopped") == "stopped"
    assert network.state(instance) == "stopped"
    assert report_event(api, instance, "stopped") == "stopped", "a report may be repeated"


def test_a_terminated_instance_keeps_its_address_until_its_machine_is_gone(api: str, network: Network) -> None:
    instance = network.launch("10.20.1.10")
    network.ec2.terminate_instances(InstanceIds=[instance])
    assert network.state(instance) == "shutting-down"
    assert refused(network.launch, address="10.20.1.10") == "InvalidIPAddress.InUse"
    assert report_event(api, instance, "terminated") == "terminated"
    assert network.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert network.ec2.describe_volumes()["Volumes"] == []
    network.launch("10.20.1.10")


def test_a_machine_that_powers_itself_off_is_stopped_or_terminated_as_its_launch_said(api: str, network: Network) -> None:
    stays = network.launch()
    goes = network.launch(InstanceInitiatedShutdownBehavior="terminate")
    assert report_event(api, stays, "stopped") == "stopped"
    assert report_event(api, goes, "stopped") == "shutting-down", "until its root disk is gone too"
    assert report_event(api, goes, "terminated") == "terminated"


def test_a_report_of_an_unknown_instance_is_not_found(api: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        report_event(api, "i-0123456789abcdef0", "stopped")


def test_a_start_renews_the_launch_time_and_shows_whole_seconds(api: str, network: Network) -> None:
    instance = network.launch()
    first = network.instance(instance)["LaunchTime"]
    network.ec2.stop_instances(InstanceIds=[instance])
    report_event(api, instance, "stopped")
    network.ec2.start_instances(InstanceIds=[instance])
    again = network.instance(instance)["LaunchTime"]
    assert again >= first
    assert (first.microsecond, again.microsecond) == (0, 0)


def test_an_instance_is_pending_until_its_machine_is_switched_on(api: str, network: Network) -> None:
    instance = network.launch(started=False)
    volume = network.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"]
    assert network.state(instance) == "pending"
    assert refused(network.ec2.stop_instances, InstanceIds=[instance]) == "IncorrectInstanceState"
    assert refused(network.ec2.attach_volume, VolumeId=volume, InstanceId=instance, Device="/dev/sdf") == "IncorrectState"
    assert report_event(api, instance, "started") == "running"
    network.ec2.stop_instances(InstanceIds=[instance])
    assert report_event(api, instance, "started") == "stopping", "a late report changes nothing"
    report_event(api, instance, "stopped")
    assert network.ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]["CurrentState"]["Name"] == "pending"
    assert network.state(instance) == "pending"
    assert network.ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]["PreviousState"]["Name"] == "pending"
    assert report_event(api, instance, "started") == "running"


def test_the_regions_in_use_are_those_where_somebody_made_something(api: str, network: Network) -> None:
    network.ec2.describe_instances()
    with urllib.request.urlopen(f"{api}{REGIONS_PATH}") as answer:
        assert json.load(answer) == {"regions": ["eu-west-1"]}


def test_public_addresses_come_from_the_labs_range_each_one_once_until_none_is_left(network: Network) -> None:
    seen = {network.ec2.allocate_address(Domain="vpc")["PublicIp"] for _ in range(3)}
    seen |= {network.instance(network.launch())["PublicIpAddress"] for _ in range(3)}
    assert seen == {f"198.18.7.{number}" for number in range(1, 7)}
    assert refused(network.ec2.allocate_address, Domain="vpc") == "InsufficientAddressCapacity"


def test_an_elastic_ip_moves_and_its_old_holder_gets_an_automatic_address_again(api: str, network: Network) -> None:
    one, other = network.launch(), network.launch()
    elastic = network.ec2.allocate_address(Domain="vpc")
    (interface,) = network.instance(one)["NetworkInterfaces"]
    assert interface["Association"]["IpOwnerId"] == "amazon"
    network.ec2.associate_address(AllocationId=elastic["AllocationId"], InstanceId=one)
    (interface,) = network.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface["NetworkInterfaceId"]])["NetworkInterfaces"]
    assert interface["Association"]["AllocationId"] == elastic["AllocationId"]
    assert network.instance(one)["PublicIpAddress"] == elastic["PublicIp"]
    association: dict[str, Any] = {"AllocationId": elastic["AllocationId"], "InstanceId": other}
    assert refused(network.ec2.associate_address, **association, AllowReassociation=False) == "Resource.AlreadyAssociated"
    network.ec2.associate_address(**association, AllowReassociation=True)
    assert network.instance(other)["PublicIpAddress"] == elastic["PublicIp"]
    assert network.instance(one)["PublicIpAddress"] not in {elastic["PublicIp"], None}
    assert network.ec2.describe_addresses()["Addresses"][0]["InstanceId"] == other
    network.ec2.stop_instances(InstanceIds=[one, other])
    for instance in (one, other):
        report_event(api, instance, "stopped")
    assert "PublicIpAddress" not in network.instance(one), "an automatic address goes with the stop"
    assert network.instance(other)["PublicIpAddress"] == elastic["PublicIp"], "an Elastic IP stays"
    assert refused(network.ec2.release_address, AllocationId=elastic["AllocationId"]) == "InvalidIPAddress.InUse"
    network.ec2.terminate_instances(InstanceIds=[other])
    report_event(api, other, "terminated")
    network.ec2.release_address(AllocationId=elastic["AllocationId"])


def test_an_address_needs_an_internet_gateway(network: Network) -> None:
    network.ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)
    allocation = network.ec2.allocate_address(Domain="vpc")["AllocationId"]
    code = refused(network.ec2.associate_address, AllocationId=allocation, InstanceId=network.launch())
    assert code == "Gateway.NotAttached"


def test_a_nat_gateway_has_an_address_of_its_subnet_and_gives_all_back(network: Network) -> None:
    allocation = network.ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = network.ec2.create_nat_gateway(SubnetId=network.subnet, AllocationId=allocation)["NatGateway"]
    assert gateway["NatGatewayAddresses"][0]["PrivateIp"].startswith("10.20.1.")
    assert refused(network.ec2.delete_subnet, SubnetId=network.subnet) == "DependencyViolation"
    assert refused(network.ec2.detach_internet_gateway, InternetGatewayId=network.gateway, VpcId=network.vpc) == "DependencyViolation"
    network.ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"])
    network.ec2.release_address(AllocationId=allocation)
    network.ec2.delete_subnet(SubnetId=network.subnet)


def test_a_nat_gateway_gets_the_private_address_that_was_asked_for_and_nobody_else_does(network: Network) -> None:
    allocation = network.ec2.allocate_address(Domain="vpc")["AllocationId"]
    asked = {"SubnetId": network.subnet, "PrivateIpAddress": "10.20.1.20"}
    gateway = network.ec2.create_nat_gateway(AllocationId=allocation, **asked)["NatGateway"]
    assert gateway["NatGatewayAddresses"][0]["PrivateIp"] == "10.20.1.20"
    assert refused(network.ec2.create_nat_gateway, ConnectivityType="private", **asked) == "InvalidIPAddress.InUse"
    outside = {"SubnetId": network.subnet, "PrivateIpAddress": "10.99.0.20", "ConnectivityType": "private"}
    assert refused(network.ec2.create_nat_gateway, **outside) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"ImageId": "ami-00000000000000001"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "t9.huge"}, "InvalidParameterValue"),
        ({"InstanceType": "t4g.small"}, "InvalidParameterValue"),
        ({"UserData": "x" * 16385}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.20.1.3"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.99.1.9"}, "InvalidParameterValue"),
    ],
)
def test_a_launch_that_aws_refuses_is_refused_and_leaves_nothing(network: Network, arguments: dict[str, str], code: str) -> None:
    launch = {"ImageId": PLAIN_IMAGE, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "SubnetId": network.subnet}
    assert refused(network.ec2.run_instances, **{**launch, **arguments}) == code
    assert network.ec2.describe_instances()["Reservations"] == []
    assert network.ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_a_subnet_has_five_addresses_less_than_its_network_and_then_no_launch_is_left(network: Network) -> None:
    (known,) = network.ec2.describe_subnets(SubnetIds=[network.subnet])["Subnets"]
    small = network.ec2.create_subnet(VpcId=known["VpcId"], CidrBlock="10.20.9.0/28")["Subnet"]["SubnetId"]
    launch = {"ImageId": PLAIN_IMAGE, "InstanceType": "t3.small", "SubnetId": small}
    network.ec2.run_instances(**launch, MinCount=10, MaxCount=10)
    assert refused(network.ec2.run_instances, **launch, MinCount=2, MaxCount=2) == "InsufficientFreeAddressesInSubnet"
    (last,) = network.ec2.run_instances(**launch, MinCount=1, MaxCount=1)["Instances"]
    assert refused(network.ec2.run_instances, **launch, MinCount=1, MaxCount=1) == "InsufficientFreeAddressesInSubnet"
    network.ec2.terminate_instances(InstanceIds=[last["InstanceId"]])


def test_user_data_and_type_change_only_while_stopped(api: str, network: Network) -> None:
    instance = network.launch(UserData="#cloud-config\n")
    assert refused(network.ec2.modify_instance_attribute, InstanceId=instance, UserData={"Value": b"new"}) == "IncorrectInstanceState"
    network.ec2.stop_instances(InstanceIds=[instance])
    report_event(api, instance, "stopped")
    network.ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": b"new: \xc3\xa9\n"})
    answer = network.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
    assert answer["UserData"]["Value"] == "bmV3OiDDqQo=", "once base64, as RunInstances' is"
    assert (
        refused(network.ec2.modify_instance_attribute, InstanceId=instance, InstanceType={"Value": "t4g.small"}) == "InvalidParameterValue"
    )


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


def test_what_is_in_use_is_not_deleted(network: Network) -> None:
    network.launch()
    assert refused(network.ec2.delete_security_group, GroupId=network.group) == "DependencyViolation"
    assert refused(network.ec2.delete_subnet, SubnetId=network.subnet) == "DependencyViolation"
    assert refused(network.ec2.delete_vpc, VpcId=network.vpc) == "DependencyViolation"
    nic = network.ec2.describe_network_interfaces()["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assert refused(network.ec2.delete_network_interface, NetworkInterfaceId=nic) == "InvalidNetworkInterface.InUse"
    groups = network.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [network.vpc]}])["SecurityGroups"]
    default = next(group["GroupId"] for group in groups if group["GroupName"] == "default")
    assert refused(network.ec2.delete_security_group, GroupId=default) == "CannotDelete"


def test_a_group_that_another_names_is_not_deleted(network: Network) -> None:
    named = network.ec2.create_security_group(GroupName="named", Description="named", VpcId=network.vpc)["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": named}]}
    network.ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=[permission])
    assert refused(network.ec2.delete_security_group, GroupId=named) == "DependencyViolation"


def test_an_empty_network_is_deleted_with_its_default_group(network: Network) -> None:
    network.ec2.delete_security_group(GroupId=network.group)
    network.ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)
    network.ec2.delete_subnet(SubnetId=network.subnet)
    network.ec2.delete_vpc(VpcId=network.vpc)


def test_debians_parameter_names_the_labs_image(api: str) -> None:
    assert client("ssm", api).get_parameter(Name=DEBIAN_PARAMETER)["Parameter"]["Value"] == BAKED_IMAGE
    image = client("ec2", api).describe_images(ImageIds=[BAKED_IMAGE])["Images"][0]
    assert (image["RootDeviceName"], image["Architecture"]) == ("/dev/xvda", "x86_64")


def test_a_conditional_put_is_won_once_also_in_a_versioned_bucket(api: str) -> None:
    s3 = client("s3", api)
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="artifacts", Key="database/primary.json", Body=b"db-1", IfNoneMatch="*")
    again = refused(s3.put_object, Bucket="artifacts", Key="database/primary.json", Body=b"db-2", IfNoneMatch="*")
    assert again == "PreconditionFailed"
    s3.delete_object(Bucket="artifacts", Key="database/primary.json")
    s3.put_object(Bucket="artifacts", Key="database/primary.json", Body=b"db-2", IfNoneMatch="*")


def test_a_launch_may_forbid_termination_and_a_root_volume_goes_unless_it_is_to_stay(network: Network) -> None:
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}}
    instance = network.launch(DisableApiTermination=True, BlockDeviceMappings=[mapping])
    assert refused(network.ec2.terminate_instances, InstanceIds=[instance]) == "OperationNotPermitted"
    (device,) = network.instance(instance)["BlockDeviceMappings"]
    assert (device["DeviceName"], device["Ebs"]["DeleteOnTermination"]) == ("/dev/xvda", True)


def test_metadata_options_that_a_change_does_not_name_stay(network: Network) -> None:
    instance = network.launch(MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"})
    network.ec2.modify_instance_metadata_options(InstanceId=instance, HttpPutResponseHopLimit=2)
    options = network.instance(instance)["MetadataOptions"]
    kept = (options["HttpTokens"], options["HttpPutResponseHopLimit"], options["HttpEndpoint"], options["InstanceMetadataTags"])
    assert kept == ("required", 2, "enabled", "enabled")


def test_a_buckets_deny_under_a_condition_or_of_a_role_denies_no_administrators_call_and_another_does(api: str) -> None:
    s3 = client("s3", api)
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::artifacts/*"}
    without_tls = {**everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    of_a_role = {**everything, "Principal": {"AWS": "arn:aws:iam::123456789012:role/web"}}
    s3.put_bucket_policy(Bucket="artifacts", Policy=json.dumps({"Version": "2012-10-17", "Statement": [without_tls, of_a_role]}))
    s3.put_object(Bucket="artifacts", Key="k", Body=b"1")
    s3.put_bucket_policy(Bucket="artifacts", Policy=json.dumps({"Version": "2012-10-17", "Statement": [without_tls, everything]}))
    assert refused(s3.put_object, Bucket="artifacts", Key="k", Body=b"2") == "403"  # moto's answer has no body to name AccessDenied


def test_the_accounts_quotas_are_shown_and_changed(api: str, network: Network) -> None:
    def ask(body: dict[str, object] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(f"{api}{QUOTAS_PATH}", data=json.dumps(body).encode() if body else None)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    before = ask()
    assert before["vcpus"] == 32
    try:
        assert ask({"vcpus": 2})["vcpus"] == 2
        network.launch()
        assert refused(network.launch) == "VcpuLimitExceeded"
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask({"cpus": 2})
    finally:
        ask(before)


def test_a_launch_shows_the_groups_of_its_interface_as_the_instances_own_also_after_a_change(network: Network) -> None:
    instance = network.launch()
    assert [group["GroupId"] for group in network.instance(instance)["SecurityGroups"]] == [network.group]
    other = network.ec2.create_security_group(GroupName="other", Description="other", VpcId=network.vpc)["GroupId"]
    interface = network.instance(instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[other])
    shown = network.instance(instance)
    for groups in (shown["SecurityGroups"], shown["NetworkInterfaces"][0]["Groups"]):
        assert [group["GroupId"] for group in groups] == [other]
    network.ec2.modify_instance_attribute(InstanceId=instance, Groups=[network.group])
    assert [group["GroupId"] for group in network.instance(instance)["NetworkInterfaces"][0]["Groups"]] == [network.group]


def test_credits_and_monitoring_are_kept(api: str, network: Network) -> None:
    ec2, instance = network.ec2, network.launch()

    def shown() -> str:
        return ec2.describe_instance_credit_specifications(InstanceIds=[instance])["InstanceCreditSpecifications"][0]["CpuCredits"]

    assert shown() == "unlimited"
    ec2.modify_instance_credit_specification(InstanceCreditSpecifications=[{"InstanceId": instance, "CpuCredits": "standard"}])
    assert shown() == "standard"
    ec2.monitor_instances(InstanceIds=[instance])
    assert network.instance(instance)["Monitoring"]["State"] == "enabled"
    ec2.stop_instances(InstanceIds=[instance])
    report_event(api, instance, "stopped")
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "m5.large"})
    assert refused(ec2.describe_instance_credit_specifications, InstanceIds=[instance]) == "InstanceCreditSpecification.NotSupported"


def test_a_deleted_endpoint_is_gone_and_a_gateway_one_has_no_private_dns(network: Network) -> None:
    ec2 = network.ec2
    made = ec2.create_vpc_endpoint(VpcId=network.vpc, ServiceName="com.amazonaws.eu-west-1.s3")["VpcEndpoint"]
    assert made["PrivateDnsEnabled"] is False
    ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
    assert ec2.describe_vpc_endpoints()["VpcEndpoints"] == []
    assert refused(ec2.describe_vpc_endpoints, VpcEndpointIds=[made["VpcEndpointId"]]) == "InvalidVpcEndpointId.NotFound"


def test_a_name_in_recovery_is_taken(api: str) -> None:
    secrets = client("secretsmanager", api)
    secrets.create_secret(Name="x", SecretString="y")
    assert refused(secrets.create_secret, Name="x", SecretString="y") == "ResourceExistsException"
    secrets.delete_secret(SecretId="x")
    assert refused(secrets.create_secret, Name="x", SecretString="y") == "InvalidRequestException"
    assert refused(secrets.put_secret_value, SecretId="x", SecretString="z") == "InvalidRequestException"
    secrets.restore_secret(SecretId="x")
    secrets.put_secret_value(SecretId="x", SecretString="z")


def test_a_log_groups_class_is_shown(api: str) -> None:
    logs = client("logs", api)
    logs.create_log_group(logGroupName="a")
    logs.create_log_group(logGroupName="b", logGroupClass="INFREQUENT_ACCESS")
    assert [group["logGroupClass"] for group in logs.describe_log_groups()["logGroups"]] == ["STANDARD", "INFREQUENT_ACCESS"]


def test_endpoints_can_be_had_for_s3_by_gateway_and_for_others_by_interface(api: str) -> None:
    details = client("ec2", api).describe_vpc_endpoint_services()["ServiceDetails"]
    kinds = {(detail["ServiceName"], kind["ServiceType"]) for detail in details for kind in detail["ServiceType"]}
    assert {("com.amazonaws.eu-west-1.s3", "Gateway"), ("com.amazonaws.eu-west-1.secretsmanager", "Interface")} <= kinds


def test_a_rule_between_groups_keeps_its_description(network: Network) -> None:
    pair = {"GroupId": network.group, "Description": "replication"}
    permission = {"IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306, "UserIdGroupPairs": [pair]}
    made = network.ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=[permission])["SecurityGroupRules"][0]
    assert made["Description"] == "replication"
    change = {key: made[key] for key in ("IpProtocol", "FromPort", "ToPort")}
    change |= {"ReferencedGroupId": network.group, "Description": "replication and clone"}
    rule = {"SecurityGroupRuleId": made["SecurityGroupRuleId"], "SecurityGroupRule": change}
    network.ec2.modify_security_group_rules(GroupId=network.group, SecurityGroupRules=[rule])
    found = network.ec2.describe_security_group_rules(SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])["SecurityGroupRules"]
    assert [rule["Description"] for rule in found] == ["replication and clone"]


def test_a_rule_may_come_to_name_another_group(network: Network) -> None:
    other = network.ec2.create_security_group(GroupName="other", Description="other", VpcId=network.vpc)["GroupId"]
    permission: Any = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": network.group}]}
    made = network.ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=[permission])["SecurityGroupRules"][0]
    rule_id = made.get("SecurityGroupRuleId", "")
    change: Any = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "ReferencedGroupId": other}
    network.ec2.modify_security_group_rules(
        GroupId=network.group, SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": change}]
    )
    (found,) = network.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
    assert found.get("ReferencedGroupInfo", {}).get("GroupId") == other


def test_records_are_made_and_deleted_by_what_is_there(api: str) -> None:
    route53 = client("route53", api)
    zone = route53.create_hosted_zone(Name="example.org", CallerReference="records")["HostedZone"]["Id"]

    def change(action: str, name: str, value: str = "10.0.0.1") -> None:
        record = {"Name": f"{name}.example.org", "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": value}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]})

    change("CREATE", "web")
    assert refused(change, action="CREATE", name="web") == "InvalidChangeBatch"
    assert refused(change, action="CREATE", name="web", value="10.0.0.2") == "InvalidChangeBatch"
    change("CREATE", "web-active")
    assert refused(change, action="DELETE", name="web", value="10.0.0.2") == "InvalidChangeBatch"
    change("DELETE", "web")
    assert refused(change, action="DELETE", name="web") == "InvalidChangeBatch"
    change("CREATE", "web")
    change("UPSERT", "web", value="10.0.0.3")
    change("DELETE", "web", value="10.0.0.3")
