"""Rules of VPCs, subnets, gateways, routes and endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.provider.rules.model import TypeRules, Violation, indexed_dicts, name_set
from lab.provider.rules.validators import arn, between, cidr4, cidr6, document, ip4, one_of, prefix_between

ROUTE_TARGETS: Final = (
    "carrierGatewayId", "coreNetworkArn", "egressOnlyGatewayId", "gatewayId", "localGatewayId", "natGatewayId", "networkInterfaceId",
    "odbNetworkArn", "transitGatewayId", "vpcEndpointId", "vpcPeeringConnectionId",
)  # fmt: skip


def _tenancy_replaces(_state: Mapping[str, Any], news: Mapping[str, Any], changed: frozenset[str]) -> frozenset[str]:
    """`resourceVPCCustomizeDiff` (vpc_.go): AWS changes it from dedicated to default alone."""
    return changed & {"instanceTenancy"} if news.get("instanceTenancy") == "dedicated" else frozenset()


def _route(props: dict[str, Any]) -> Iterator[Violation]:
    if props.get("gatewayId") == "local":
        yield Violation("gatewayId", 'cannot create a route to "local": the table has it already')
    if "destinationPrefixListId" in props and "vpcEndpointId" in props:
        yield Violation("vpcEndpointId", "conflicts with destinationPrefixListId: a gateway endpoint adds its own routes")
    if "egressOnlyGatewayId" in props and "destinationCidrBlock" in props:
        yield Violation("egressOnlyGatewayId", "serves IPv6 destinations only")


def _inline_routes(props: dict[str, Any]) -> Iterator[Violation]:
    for index, route in indexed_dicts(props.get("routes")):
        destinations = [name for name in ("cidrBlock", "ipv6CidrBlock", "destinationPrefixListId") if route.get(name) is not None]
        targets = [name for name in ROUTE_TARGETS if route.get(name) is not None]
        for given, kind in ((destinations, "destination"), (targets, "target")):
            if len(given) != 1:
                yield Violation(f"routes[{index}]", f"exactly one {kind} must be given; got {', '.join(given) or 'none'}")


def _nat(props: dict[str, Any]) -> Iterator[Violation]:
    private = props.get("connectivityType") == "private"
    zonal = props.get("availabilityMode", "zonal") == "zonal"
    if not zonal:
        yield Violation("availabilityMode", "the lab's provider implements zonal NAT gateways only")
    if private and "allocationId" in props:
        yield Violation("allocationId", 'conflicts with connectivityType "private"')
    if not private and zonal and "allocationId" not in props:
        yield Violation("allocationId", "a public NAT gateway needs an Elastic IP")
    if zonal and "subnetId" not in props:
        yield Violation("subnetId", "a zonal NAT gateway needs a subnet")


def _endpoint(props: dict[str, Any]) -> Iterator[Violation]:
    if props.get("vpcEndpointType", "Gateway") == "Gateway":
        for name in ("subnetIds", "securityGroupIds", "privateDnsEnabled", "subnetConfigurations"):
            if props.get(name):
                yield Violation(name, "a Gateway endpoint has none; set vpcEndpointType to Interface or leave it out")


def _flow_log(props: dict[str, Any]) -> Iterator[Violation]:
    kind = props.get("logDestinationType", "cloud-watch-logs")
    if kind == "cloud-watch-logs" and "iamRoleArn" not in props:
        yield Violation("iamRoleArn", "delivery to CloudWatch Logs needs the ARN of a role")
    if "logDestination" not in props:
        yield Violation("logDestination", "where the records go must be given (an ARN)")


RULES: Final[dict[str, TypeRules]] = {
    "aws:ec2/vpc:Vpc": TypeRules(
        unsupported=name_set(
            "ipv4IpamPoolId ipv4NetmaskLength ipv6CidrBlock ipv6CidrBlockNetworkBorderGroup ipv6IpamPoolId "
            "ipv6NetmaskLength assignGeneratedIpv6CidrBlock enableNetworkAddressUsageMetrics"
        ),
        checks={"cidrBlock": prefix_between(16, 28), "instanceTenancy": one_of("default", "dedicated")},
        replace_if=_tenancy_replaces,
    ),
    "aws:ec2/subnet:Subnet": TypeRules(
        unsupported=name_set(
            "ipv6CidrBlock ipv6Native ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6NetmaskLength "
            "outpostArn customerOwnedIpv4Pool mapCustomerOwnedIpOnLaunch enableLniAtDeviceIndex"
        ),
        checks={
            "cidrBlock": prefix_between(16, 28),
            "ipv6CidrBlock": cidr6,
            "privateDnsHostnameTypeOnLaunch": one_of("ip-name", "resource-name"),
        },
    ),
    "aws:ec2/internetGateway:InternetGateway": TypeRules(),
    "aws:ec2/eip:Eip": TypeRules(
        unsupported=name_set("address customerOwnedIpv4Pool ipamPoolId networkBorderGroup publicIpv4Pool"),
        checks={"domain": one_of("vpc", "standard")},
    ),
    "aws:ec2/natGateway:NatGateway": TypeRules(
        unsupported=name_set(
            "availabilityZoneAddresses secondaryAllocationIds secondaryPrivateIpAddressCount secondaryPrivateIpAddresses vpcId"
        ),
        checks={"connectivityType": one_of("private", "public"), "privateIp": ip4, "availabilityMode": one_of("zonal", "regional")},
        cross_check=_nat,
    ),
    "aws:ec2/routeTable:RouteTable": TypeRules(
        unsupported=name_set("propagatingVgws"),
        checks={"routes[].cidrBlock": cidr4, "routes[].ipv6CidrBlock": cidr6},
        cross_check=_inline_routes,
    ),
    "aws:ec2/route:Route": TypeRules(
        checks={"destinationCidrBlock": cidr4, "destinationIpv6CidrBlock": cidr6},
        cross_check=_route,
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": TypeRules(),
    "aws:ec2/vpcEndpoint:VpcEndpoint": TypeRules(
        unsupported=name_set("dnsOptions ipAddressType resourceConfigurationArn serviceNetworkArn serviceRegion subnetConfigurations"),
        checks={
            "vpcEndpointType": one_of("Interface", "Gateway", "GatewayLoadBalancer", "Resource", "ServiceNetwork"),
            "policy": document,
        },
        cross_check=_endpoint,
    ),
    "aws:ec2/flowLog:FlowLog": TypeRules(
        unsupported=name_set("deliverCrossAccountRole destinationOptions tagFieldSpecifications regionalNatGatewayId"),
        checks={
            "maxAggregationInterval": one_of(60, 600),
            "logDestinationType": one_of("cloud-watch-logs", "s3", "kinesis-data-firehose"),
            "trafficType": one_of("ACCEPT", "REJECT", "ALL"),
            "iamRoleArn": arn,
            "logDestination": arn,
        },
        cross_check=_flow_log,
    ),
    "aws:ec2/vpcDhcpOptions:VpcDhcpOptions": TypeRules(
        unsupported=name_set("ipv6AddressPreferredLeaseTime"),
        force_new=name_set("domainName domainNameServers ipv6AddressPreferredLeaseTime netbiosNameServers netbiosNodeType ntpServers"),
        at_least_one=(("domainName", "domainNameServers", "ntpServers", "netbiosNameServers", "netbiosNodeType"),),
        checks={"netbiosNodeType": between(1, 8)},
    ),
    "aws:ec2/vpcDhcpOptionsAssociation:VpcDhcpOptionsAssociation": TypeRules(force_new=name_set("vpcId")),
}
