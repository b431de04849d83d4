"""What is in use is not deleted."""

from tests.aws.cloud.support import Network, refused


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
