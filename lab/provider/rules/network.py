"""Rules of VPCs, subnets, gateways, routes and endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.provider.rules.model import Problem, TypeRules, names, objects
from lab.provider.rules.validators import arn, between, cidr4, cidr6, document, ip4, one_of, prefix_between

ROUTE_DESTINATIONS: Final = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
ROUTE_TARGETS: Final = (
    "carrierGatewayId", "coreNetworkArn", "egressOnlyGatewayId", "gatewayId", "localGatewayId", "natGatewayId", "networkInterfaceId",
    "odbNetworkArn", "transitGatewayId", "vpcEndpointId", "vpcPeeringConnectionId",
)  # fmt: skip
FLOW_LOG_SOURCES: Final = ("eniId", "regionalNatGatewayId", "subnetId", "transitGatewayAttachmentId", "transitGatewayId", "vpcId")


def _route(props: dict[str, Any]) -> Iterator[Problem]:
    if props.get("gatewayId") == "local":
        yield Problem("gatewayId", 'cannot create a route to "local": the table has it already')
    if "destinationPrefixListId" in props and "vpcEndpointId" in props:
        yield Problem("vpcEndpointId", "conflicts with destinationPrefixListId: a gateway endpoint adds its own routes")
    if "egressOnlyGatewayId" in props and "destinationCidrBlock" in props:
        yield Problem("egressOnlyGatewayId", "serves IPv6 destinations only")


def _inline_routes(props: dict[str, Any]) -> Iterator[Problem]:
    for index, route in objects(props.get("routes")):
        destinations = [name for name in ("cidrBlock", "ipv6CidrBlock", "destinationPrefixListId") if route.get(name) is not None]
        targets = [name for name in ROUTE_TARGETS if route.get(name) is not None]
        for given, kind in ((destinations, "destination"), (targets, "target")):
            if len(given) != 1:
                yield Problem(f"routes[{index}]", f"exactly one {kind} must be given; got {', '.join(given) or 'none'}")


def _nat(props: dict[str, Any]) -> Iterator[Problem]:
    private = props.get("connectivityType") == "private"
    zonal = props.get("availabilityMode", "zonal") == "zonal"
    if not zonal:
        yield Problem("availabilityMode", "the lab's provider implements zonal NAT gateways only")
    if private and "allocationId" in props:
        yield Problem("allocationId", 'conflicts with connectivityType "private"')
    if not private and zonal and "allocationId" not in props:
        yield Problem("allocationId", "a public NAT gateway needs an Elastic IP")
    if zonal and "subnetId" not in props:
        yield Problem("subnetId", "a zonal NAT gateway needs a subnet")


def _endpoint_replaces(_state: Mapping[str, Any], news: Mapping[str, Any], changed: frozenset[str]) -> frozenset[str]:
    return changed & {"privateDnsEnabled"} if news.get("vpcEndpointType", "Gateway") != "Interface" else frozenset()


def _endpoint(props: dict[str, Any]) -> Iterator[Problem]:
    if props.get("vpcEndpointType", "Gateway") == "Gateway":
        for name in ("subnetIds", "securityGroupIds", "privateDnsEnabled", "subnetConfigurations"):
            if props.get(name):
                yield Problem(name, "a Gateway endpoint has none; set vpcEndpointType to Interface or leave it out")


def _flow_log(props: dict[str, Any]) -> Iterator[Problem]:
    kind = props.get("logDestinationType", "cloud-watch-logs")
    if kind == "cloud-watch-logs" and "iamRoleArn" not in props:
        yield Problem("iamRoleArn", "delivery to CloudWatch Logs needs the ARN of a role")
    if "logDestination" not in props:
        yield Problem("logDestination", "where the records go must be given (an ARN)")


RULES: Final[dict[str, TypeRules]] = {
    "aws:ec2/vpc:Vpc": TypeRules(
        unserved=names(
            "ipv4IpamPoolId ipv4NetmaskLength ipv6CidrBlock ipv6CidrBlockNetworkBorderGroup ipv6IpamPoolId "
            "ipv6NetmaskLength assignGeneratedIpv6CidrBlock enableNetworkAddressUsageMetrics"
        ),
        force_new=names("cidrBlock ipv4IpamPoolId ipv4NetmaskLength"),
        at_least_one=(("cidrBlock", "ipv4IpamPoolId"),),
        conflicts=(("cidrBlock", "ipv4NetmaskLength"),),
        checks={"cidrBlock": prefix_between(16, 28), "instanceTenancy": one_of("default", "dedicated")},
        defaults={"enableDnsSupport": True, "instanceTenancy": "default", "assignGeneratedIpv6CidrBlock": False},
        computed=names("cidrBlock enableDnsHostnames enableNetworkAddressUsageMetrics ipv6CidrBlock ipv6CidrBlockNetworkBorderGroup"),
    ),
    "aws:ec2/subnet:Subnet": TypeRules(
        unserved=names(
            "ipv6CidrBlock ipv6Native ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6NetmaskLength "
            "outpostArn customerOwnedIpv4Pool mapCustomerOwnedIpOnLaunch enableLniAtDeviceIndex"
        ),
        force_new=names("vpcId availabilityZone availabilityZoneId cidrBlock ipv6Native outpostArn ipv4IpamPoolId ipv4NetmaskLength"),
        at_least_one=(("cidrBlock", "ipv6CidrBlock", "ipv4IpamPoolId", "ipv6IpamPoolId"),),
        conflicts=(("availabilityZone", "availabilityZoneId"), ("cidrBlock", "ipv4NetmaskLength")),
        checks={
            "cidrBlock": prefix_between(16, 28),
            "ipv6CidrBlock": cidr6,
            "privateDnsHostnameTypeOnLaunch": one_of("ip-name", "resource-name"),
        },
        defaults={
            "mapPublicIpOnLaunch": False,
            "assignIpv6AddressOnCreation": False,
            "enableDns64": False,
            "enableResourceNameDnsARecordOnLaunch": False,
            "enableResourceNameDnsAaaaRecordOnLaunch": False,
            "ipv6Native": False,
        },
        computed=names("availabilityZone availabilityZoneId cidrBlock privateDnsHostnameTypeOnLaunch ipv6CidrBlock"),
    ),
    "aws:ec2/internetGateway:InternetGateway": TypeRules(computed=names("vpcId")),
    "aws:ec2/eip:Eip": TypeRules(
        unserved=names("address customerOwnedIpv4Pool ipamPoolId networkBorderGroup publicIpv4Pool"),
        force_new=names("address domain ipamPoolId networkBorderGroup publicIpv4Pool customerOwnedIpv4Pool"),
        conflicts=(("instance", "networkInterface"),),
        checks={"domain": one_of("vpc", "standard")},
        computed=names("domain instance networkInterface networkBorderGroup publicIpv4Pool ipamPoolId"),
        own=names("address associateWithPrivateIp"),
    ),
    "aws:ec2/natGateway:NatGateway": TypeRules(
        unserved=names("availabilityZoneAddresses secondaryAllocationIds secondaryPrivateIpAddressCount secondaryPrivateIpAddresses vpcId"),
        force_new=names("allocationId connectivityType privateIp subnetId secondaryPrivateIpAddressCount availabilityMode vpcId"),
        checks={"connectivityType": one_of("private", "public"), "privateIp": ip4, "availabilityMode": one_of("zonal", "regional")},
        whole=_nat,
        defaults={"connectivityType": "public"},
        computed=names(
            "privateIp availabilityMode vpcId secondaryPrivateIpAddressCount secondaryPrivateIpAddresses secondaryAllocationIds"
        ),
    ),
    "aws:ec2/routeTable:RouteTable": TypeRules(
        unserved=names("propagatingVgws"),
        force_new=names("vpcId"),
        checks={"routes[].cidrBlock": cidr4, "routes[].ipv6CidrBlock": cidr6},
        whole=_inline_routes,
        computed=names("routes propagatingVgws"),
    ),
    "aws:ec2/route:Route": TypeRules(
        force_new=names("routeTableId " + " ".join(ROUTE_DESTINATIONS)),
        exactly_one=(ROUTE_DESTINATIONS, ROUTE_TARGETS),
        checks={"destinationCidrBlock": cidr4, "destinationIpv6CidrBlock": cidr6},
        whole=_route,
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": TypeRules(
        force_new=names("subnetId gatewayId"),
        exactly_one=(("subnetId", "gatewayId"),),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": TypeRules(
        unserved=names("dnsOptions ipAddressType resourceConfigurationArn serviceNetworkArn serviceRegion subnetConfigurations"),
        force_new=names("vpcId serviceName vpcEndpointType serviceRegion resourceConfigurationArn serviceNetworkArn"),
        exactly_one=(("serviceName", "resourceConfigurationArn", "serviceNetworkArn"),),
        checks={
            "vpcEndpointType": one_of("Interface", "Gateway", "GatewayLoadBalancer", "Resource", "ServiceNetwork"),
            "policy": document,
        },
        whole=_endpoint,
        defaults={"vpcEndpointType": "Gateway"},
        computed=names("policy privateDnsEnabled routeTableIds securityGroupIds subnetIds ipAddressType dnsOptions subnetConfigurations"),
        documents=names("policy"),
        own=names("autoAccept"),
        replaces_if=_endpoint_replaces,
    ),
    "aws:ec2/flowLog:FlowLog": TypeRules(
        unserved=names("deliverCrossAccountRole destinationOptions tagFieldSpecifications regionalNatGatewayId"),
        force_new=names(
            "deliverCrossAccountRole destinationOptions iamRoleArn logDestination logDestinationType logFormat maxAggregationInterval "
            "trafficType " + " ".join(FLOW_LOG_SOURCES)
        ),
        exactly_one=(FLOW_LOG_SOURCES,),
        checks={
            "maxAggregationInterval": one_of(60, 600),
            "logDestinationType": one_of("cloud-watch-logs", "s3", "kinesis-data-firehose"),
            "trafficType": one_of("ACCEPT", "REJECT", "ALL"),
            "iamRoleArn": arn,
            "logDestination": arn,
        },
        whole=_flow_log,
        defaults={"maxAggregationInterval": 600, "logDestinationType": "cloud-watch-logs"},
        computed=names("logFormat logDestination trafficType"),
        own=names("destinationOptions tagFieldSpecifications"),
    ),
    "aws:ec2/vpcDhcpOptions:VpcDhcpOptions": TypeRules(
        unserved=names("ipv6AddressPreferredLeaseTime"),
        force_new=names("domainName domainNameServers ipv6AddressPreferredLeaseTime netbiosNameServers netbiosNodeType ntpServers"),
        at_least_one=(("domainName", "domainNameServers", "ntpServers", "netbiosNameServers", "netbiosNodeType"),),
        checks={"netbiosNodeType": between(1, 8)},
    ),
    "aws:ec2/vpcDhcpOptionsAssociation:VpcDhcpOptionsAssociation": TypeRules(force_new=names("vpcId")),
}
