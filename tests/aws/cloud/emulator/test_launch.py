"""What a launch is refused for, and what it takes."""

import pytest

from lab.cloud.images import PLAIN_IMAGE
from tests.aws.cloud.support import Network, refused


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


def test_a_launch_may_forbid_termination_and_a_root_volume_goes_unless_it_is_to_stay(network: Network) -> None:
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}}
    instance = network.launch(DisableApiTermination=True, BlockDeviceMappings=[mapping])
    assert refused(network.ec2.terminate_instances, InstanceIds=[instance]) == "OperationNotPermitted"
    (device,) = network.instance(instance)["BlockDeviceMappings"]
    assert (device["DeviceName"], device["Ebs"]["DeleteOnTermination"]) == ("/dev/xvda", True)
