"""Public addresses, Elastic IPs and NAT gateways."""

from typing import Any

from tests.aws.cloud.support import Network, refused, report_event


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
