"""Networks and firewalls: what is made is what AWS then shows, drift is seen and repaired, and what is in use is not deleted."""

import json

import pytest

from tests.unit.provider.fake_engine import REGION, AbortedError, FakeEngine, NetworkFixture, Resource, boto_client, diff_kinds
from tests.unit.provider.test_schema import ASSOCIATION, EIP, ENDPOINT, FLOW_LOG, GROUP, LOG_GROUP, NAT, ROUTE, RULE, SUBNET, TABLE, VPC

GATEWAY = "aws:ec2/internetGateway:InternetGateway"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


def settled(engine: FakeEngine, resource: Resource) -> Resource:
    """Fails unless a refresh and a plan after it change nothing."""
    again = engine.refresh(resource)
    assert again is not None
    assert again.inputs == resource.inputs
    assert diff_kinds(engine.diff(again)) == {}
    return again


def drifted(engine: FakeEngine, resource: Resource) -> dict[str, str]:
    """What a plan after a refresh changes."""
    again = engine.refresh(resource)
    assert again is not None
    again.inputs = resource.inputs
    return diff_kinds(engine.diff(again))


def test_a_vpc_reads_as_made_and_its_drift_is_repaired(engine: FakeEngine) -> None:
    vpc = engine.create(VPC, cidrBlock="10.0.0.0/16", enableDnsHostnames=True, tags={"Name": "net"})
    assert settled(engine, vpc)["defaultRouteTableId"].startswith("rtb-")
    ec2 = boto_client("ec2")
    ec2.modify_vpc_attribute(VpcId=vpc.id, EnableDnsSupport={"Value": False})
    ec2.create_tags(Resources=[vpc.id], Tags=[{"Key": "evil", "Value": "1"}])
    assert drifted(engine, vpc) == {"enableDnsSupport": "update", "tags.evil": "delete", "tagsAll.evil": "delete"}
    seen = engine.refresh(vpc)
    assert seen is not None
    seen.inputs = vpc.inputs
    assert settled(engine, engine.update(seen))["tags"] == {"Name": "net"}


def test_a_region_has_five_vpcs_at_most(engine: FakeEngine) -> None:
    for number in range(4):
        engine.create(VPC, cidrBlock=f"10.{number}.0.0/16")
    with pytest.raises(AbortedError, match="VpcLimitExceeded"):
        engine.create(VPC, cidrBlock="10.9.0.0/16")


def test_a_subnet_is_in_a_zone_of_its_region(small_network: NetworkFixture) -> None:
    with pytest.raises(AbortedError, match=r"eu-west-1a.* for parameter availabilityZone is invalid.*eu-central-1a, eu-central-1b"):
        small_network.engine.create(SUBNET, vpcId=small_network.vpc.id, cidrBlock="10.0.9.0/24", availabilityZone="eu-west-1a")


def test_a_subnets_public_addresses_can_be_turned_off_again(small_network: NetworkFixture) -> None:
    subnet = small_network.engine.create(SUBNET, vpcId=small_network.vpc.id, cidrBlock="10.0.2.0/24", mapPublicIpOnLaunch=True)
    subnet = settled(small_network.engine, subnet)
    assert settled(small_network.engine, small_network.engine.update(subnet, mapPublicIpOnLaunch=None))["mapPublicIpOnLaunch"] is False


def test_what_is_in_use_is_not_deleted(small_network: NetworkFixture) -> None:
    engine = small_network.engine
    host = small_network.instance()
    for resource, code in (
        (small_network.subnet, "DependencyViolation"),
        (small_network.group, "DependencyViolation"),
        (small_network.vpc, "DependencyViolation"),
    ):
        with pytest.raises(AbortedError, match=code):
            engine.delete(resource)
    engine.delete(host)
    for resource in (small_network.group, small_network.subnet, small_network.vpc):
        engine.delete(resource)
        assert engine.refresh(resource) is None
        engine.delete(resource)


def test_a_group_that_a_rule_names_is_not_deleted(small_network: NetworkFixture) -> None:
    other = small_network.engine.create(GROUP, "other", vpcId=small_network.vpc.id)
    given = {"ipProtocol": "tcp", "fromPort": 1, "toPort": 1}
    rule = small_network.engine.create(RULE, **given, securityGroupId=other.id, referencedSecurityGroupId=small_network.group.id)
    with pytest.raises(AbortedError, match=f"a rule of {other.id} names it"):
        small_network.engine.delete(small_network.group)
    small_network.engine.delete(rule)
    small_network.engine.delete(small_network.group)


def test_a_vpc_has_one_internet_gateway_and_keeps_it_while_addresses_are_mapped(small_network: NetworkFixture) -> None:
    engine = small_network.engine
    gateway = settled(engine, engine.create(GATEWAY, vpcId=small_network.vpc.id))
    with pytest.raises(AbortedError, match="already has an internet gateway attached"):
        engine.create(GATEWAY, "second", vpcId=small_network.vpc.id)
    host = small_network.instance()
    address = engine.create(EIP, domain="vpc", instance=host.id)
    with pytest.raises(AbortedError, match="has some mapped public address"):
        engine.delete(gateway)
    engine.delete(address)
    engine.delete(gateway)
    assert engine.refresh(gateway) is None


def test_an_address_that_its_host_moved_is_no_drift(small_network: NetworkFixture) -> None:
    small_network.engine.create(GATEWAY, vpcId=small_network.vpc.id)
    host, address = small_network.instance(), small_network.engine.create(EIP, domain="vpc")
    boto_client("ec2").associate_address(AllocationId=address.id, InstanceId=host.id)
    assert drifted(small_network.engine, address) == {}


def test_an_address_goes_only_where_the_state_knows_its_association(small_network: NetworkFixture) -> None:
    """`resourceEIPDelete` asks AWS for nothing before it releases."""
    small_network.engine.create(GATEWAY, vpcId=small_network.vpc.id)
    host, address = small_network.instance(), small_network.engine.create(EIP, domain="vpc")
    boto_client("ec2").associate_address(AllocationId=address.id, InstanceId=host.id)
    with pytest.raises(AbortedError, match=r"InvalidIPAddress\.InUse"):
        small_network.engine.delete(address)
    refreshed = small_network.engine.refresh(address)
    assert refreshed is not None
    small_network.engine.delete(refreshed)
    assert small_network.engine.refresh(address) is None


@pytest.mark.parametrize(("before", "after", "kind"), [("default", "dedicated", "update_replace"), ("dedicated", "default", "update")])
def test_a_vpc_goes_back_from_dedicated_hardware_alone(engine: FakeEngine, before: str, after: str, kind: str) -> None:
    vpc = engine.create(VPC, "net", cidrBlock="10.9.0.0/16", instanceTenancy=before)
    vpc.outputs["instanceTenancy"] = before  # moto keeps none
    assert diff_kinds(engine.diff(vpc, instanceTenancy=after)) == {"instanceTenancy": kind}


def test_a_nat_gateway_shows_that_it_has_no_further_addresses(small_network: NetworkFixture) -> None:
    small_network.engine.create(GATEWAY, vpcId=small_network.vpc.id)
    nat = small_network.engine.create(NAT, subnetId=small_network.subnet.id, allocationId=small_network.engine.create(EIP, domain="vpc").id)
    assert [nat[name] for name in ("secondaryAllocationIds", "secondaryPrivateIpAddresses", "secondaryPrivateIpAddressCount")] == [
        [],
        [],
        0,
    ]


def test_a_gateway_endpoint_has_no_private_dns(small_network: NetworkFixture) -> None:
    endpoint = small_network.engine.create(ENDPOINT, vpcId=small_network.vpc.id, serviceName=f"com.amazonaws.{REGION}.s3")
    assert endpoint["privateDnsEnabled"] is False
    assert diff_kinds(small_network.engine.diff(endpoint, privateDnsEnabled=False)) == {}


def test_a_nat_gateway_needs_a_free_address_and_a_way_out_and_holds_both(small_network: NetworkFixture) -> None:
    engine = small_network.engine
    address = engine.create(EIP, domain="vpc")
    with pytest.raises(AbortedError, match=r"Gateway.NotAttached"):
        engine.create(NAT, subnetId=small_network.subnet.id, allocationId=address.id)
    engine.create(GATEWAY, vpcId=small_network.vpc.id)
    nat = settled(engine, engine.create(NAT, subnetId=small_network.subnet.id, allocationId=address.id))
    with pytest.raises(AbortedError, match=r"Resource.AlreadyAssociated"):
        engine.create(NAT, "second", subnetId=small_network.subnet.id, allocationId=address.id)
    refreshed = engine.refresh(address)
    assert refreshed is not None
    for held, code in ((address, "InvalidIPAddress.InUse"), (refreshed, "AuthFailure"), (small_network.subnet, "DependencyViolation")):
        with pytest.raises(AbortedError, match=code):
            engine.delete(held)
    engine.delete(nat)
    assert engine.refresh(nat) is None
    engine.delete(address)
    engine.delete(small_network.subnet)


def test_a_route_goes_to_what_is_there_and_can_be_moved(small_network: NetworkFixture) -> None:
    engine = small_network.engine
    table = engine.create(TABLE, vpcId=small_network.vpc.id)
    stray, gateway = engine.create(GATEWAY, "stray"), engine.create(GATEWAY, vpcId=small_network.vpc.id)
    anywhere = {"routeTableId": table.id, "destinationCidrBlock": "0.0.0.0/0"}
    with pytest.raises(AbortedError, match="belong to different networks"):
        engine.create(ROUTE, **anywhere, gatewayId=stray.id)
    with pytest.raises(AbortedError, match=r"InvalidNatGatewayID.NotFound"):
        engine.create(ROUTE, **anywhere, natGatewayId="nat-0123456789abcdef0")
    with pytest.raises(AbortedError, match="local route of the VPC"):
        engine.create(ROUTE, routeTableId=table.id, destinationCidrBlock="10.0.0.0/16", gatewayId=gateway.id)
    route = settled(engine, engine.create(ROUTE, **anywhere, gatewayId=gateway.id))
    address = engine.create(EIP, domain="vpc")
    nat = engine.create(NAT, subnetId=small_network.subnet.id, allocationId=address.id)
    moved = settled(engine, engine.update(route, gatewayId=None, natGatewayId=nat.id))
    assert (moved["natGatewayId"], moved["gatewayId"]) == (nat.id, None)
    boto_client("ec2").delete_route(RouteTableId=table.id, DestinationCidrBlock="0.0.0.0/0")
    assert engine.refresh(moved) is None


def test_inline_routes_are_brought_to_what_is_wanted(small_network: NetworkFixture) -> None:
    gateway = small_network.engine.create(GATEWAY, vpcId=small_network.vpc.id)
    one, other = ({"cidrBlock": cidr, "gatewayId": gateway.id} for cidr in ("0.0.0.0/0", "11.0.0.0/8"))
    table = settled(small_network.engine, small_network.engine.create(TABLE, vpcId=small_network.vpc.id, routes=[one]))
    assert settled(small_network.engine, small_network.engine.update(table, routes=[other]))["routes"] == [other]


def test_a_subnet_has_one_table_of_its_own_vpc(small_network: NetworkFixture) -> None:
    engine = small_network.engine
    table, second = engine.create(TABLE, "one", vpcId=small_network.vpc.id), engine.create(TABLE, "two", vpcId=small_network.vpc.id)
    association = settled(engine, engine.create(ASSOCIATION, routeTableId=table.id, subnetId=small_network.subnet.id))
    with pytest.raises(AbortedError, match=r"Resource.AlreadyAssociated"):
        engine.create(ASSOCIATION, "again", routeTableId=second.id, subnetId=small_network.subnet.id)
    foreign = engine.create(TABLE, "foreign", vpcId=engine.create(VPC, "other", cidrBlock="10.1.0.0/16").id)
    free = engine.create(SUBNET, "free", vpcId=small_network.vpc.id, cidrBlock="10.0.8.0/24")
    with pytest.raises(AbortedError, match="belong to different networks"):
        engine.create(ASSOCIATION, "foreign", routeTableId=foreign.id, subnetId=free.id)
    moved = settled(engine, engine.update(association, routeTableId=second.id))
    engine.delete(moved)
    assert engine.refresh(moved) is None


def test_an_endpoint_is_for_a_service_that_exists_and_once_per_table(small_network: NetworkFixture) -> None:
    engine, service = small_network.engine, f"com.amazonaws.{REGION}.s3"
    table = engine.create(TABLE, vpcId=small_network.vpc.id)
    policy = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}]})
    with pytest.raises(AbortedError, match="InvalidServiceName"):
        engine.create(ENDPOINT, vpcId=small_network.vpc.id, serviceName="com.amazonaws.nowhere.s3")
    endpoint = settled(
        engine, engine.create(ENDPOINT, vpcId=small_network.vpc.id, serviceName=service, routeTableIds=[table.id], policy=policy)
    )
    assert endpoint["prefixListId"].startswith("pl-")
    with pytest.raises(AbortedError, match="RouteAlreadyExists"):
        engine.create(ENDPOINT, "again", vpcId=small_network.vpc.id, serviceName=service, routeTableIds=[table.id])
    assert settled(engine, engine.update(endpoint, routeTableIds=[]))["routeTableIds"] == []
    engine.delete(endpoint)
    assert engine.refresh(endpoint) is None


def test_a_flow_log_reads_as_made(small_network: NetworkFixture) -> None:
    group = small_network.engine.create(LOG_GROUP, retentionInDays=14)
    role = "arn:aws:iam::123456789012:role/flow"
    log = small_network.engine.create(FLOW_LOG, vpcId=small_network.vpc.id, trafficType="ALL", logDestination=group["arn"], iamRoleArn=role)
    settled(small_network.engine, log)
    assert diff_kinds(small_network.engine.diff(log, trafficType="REJECT")) == {"trafficType": "update_replace"}
    assert diff_kinds(small_network.engine.diff(log, trafficType=None)) == {"trafficType": "delete_replace"}, (
        "AWS fills in none (ec2/vpc_flow_log.go)"
    )
    small_network.engine.delete(log)
    assert small_network.engine.refresh(log) is None


def test_a_new_group_lets_nothing_out(small_network: NetworkFixture) -> None:
    group = boto_client("ec2").describe_security_groups(GroupIds=[small_network.group.id])["SecurityGroups"][0]
    assert group["IpPermissionsEgress"] == []


def test_the_default_group_is_adopted_without_rules_and_never_deleted(small_network: NetworkFixture) -> None:
    group = settled(small_network.engine, small_network.engine.create(DEFAULT_GROUP, vpcId=small_network.vpc.id, tags={"a": "b"}))
    assert (group["ingress"], group["egress"], group.id) == ([], [], small_network.vpc["defaultSecurityGroupId"])
    small_network.engine.delete(group)
    assert small_network.engine.refresh(group) is not None


@pytest.mark.parametrize(("kind", "verb"), [(RULE, "ingress"), (EGRESS, "egress")])
def test_a_rule_is_changed_in_place_and_made_again_where_it_is_gone(small_network: NetworkFixture, kind: str, verb: str) -> None:
    engine = small_network.engine
    rule = engine.create(kind, securityGroupId=small_network.group.id, ipProtocol="6", fromPort=80, toPort=80, cidrIpv4="10.0.0.0/8")
    rule = settled(engine, rule)
    changed = settled(engine, engine.update(rule, toPort=81, description="two ports"))
    assert (changed.id, changed["toPort"], changed["ipProtocol"]) == (rule.id, 81, "6")
    getattr(boto_client("ec2"), f"revoke_security_group_{verb}")(GroupId=small_network.group.id, SecurityGroupRuleIds=[rule.id])
    assert engine.refresh(changed) is None
    engine.delete(changed)


def test_a_protocol_without_ports_has_none(small_network: NetworkFixture) -> None:
    given = {"securityGroupId": small_network.group.id, "referencedSecurityGroupId": small_network.group.id}
    for name, protocol in (("vrrp", "112"), ("all", "-1")):
        rule = settled(small_network.engine, small_network.engine.create(RULE, name, **given, ipProtocol=protocol))
        assert (rule["fromPort"], rule["toPort"]) == (None, None)


def test_a_rules_source_is_of_the_same_vpc(small_network: NetworkFixture) -> None:
    other = small_network.engine.create(VPC, "other", cidrBlock="10.1.0.0/16")
    given = {"securityGroupId": small_network.group.id, "ipProtocol": "-1"}
    with pytest.raises(AbortedError, match="belong to different networks"):
        small_network.engine.create(RULE, **given, referencedSecurityGroupId=other["defaultSecurityGroupId"])
    with pytest.raises(AbortedError, match="does not exist"):
        small_network.engine.create(RULE, **given, referencedSecurityGroupId="sg-0123456789abcdef0")
