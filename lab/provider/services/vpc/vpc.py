"""VPCs and DHCP options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, retag, tag_map, tag_specifications
from lab.provider.rules.model import TypeRules, name_set
from lab.provider.rules.validators import one_of, prefix_between

_ATTRIBUTES: Final = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


def _tenancy_replaces(_state: Mapping[str, Any], news: Mapping[str, Any], changed: frozenset[str]) -> frozenset[str]:
    """`resourceVPCCustomizeDiff` (vpc_.go): AWS changes it from dedicated to default alone."""
    return changed & {"instanceTenancy"} if news.get("instanceTenancy") == "dedicated" else frozenset()


class Vpc(Handler):
    """`aws.ec2.Vpc`."""

    label = "EC2 VPC"
    rules = TypeRules(
        unsupported=name_set(
            "ipv4IpamPoolId ipv4NetmaskLength ipv6CidrBlock ipv6CidrBlockNetworkBorderGroup ipv6IpamPoolId "
            "ipv6NetmaskLength assignGeneratedIpv6CidrBlock enableNetworkAddressUsageMetrics"
        ),
        checks={"cidrBlock": prefix_between(16, 28), "instanceTenancy": one_of("default", "dedicated")},
        replace_if=_tenancy_replaces,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        made = client.call(
            "ec2.create_vpc",
            CidrBlock=news["cidrBlock"],
            InstanceTenancy=news.get("instanceTenancy"),
            TagSpecifications=tag_specifications("vpc", news),
        )
        return str(made["Vpc"]["VpcId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        if news.get("enableDnsSupport") is False:
            _set(client, identifier, "enableDnsSupport", False)
        if news.get("enableDnsHostnames") is not None:
            _set(client, identifier, "enableDnsHostnames", news["enableDnsHostnames"])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        del state
        vpc = client.first("ec2.describe_vpcs", "Vpcs", VpcIds=[identifier])
        if vpc is None:
            return None
        table = client.first("ec2.describe_route_tables", "RouteTables", Filters=filters(vpc_id=identifier, association__main="true"))
        group = client.first("ec2.describe_security_groups", "SecurityGroups", Filters=filters(vpc_id=identifier, group_name="default"))
        acl = client.first("ec2.describe_network_acls", "NetworkAcls", Filters=filters(vpc_id=identifier, default="true"))
        main = table["RouteTableId"] if table else None
        return {
            "arn": client.arn("ec2", f"vpc/{identifier}"),
            "cidrBlock": vpc["CidrBlock"],
            "instanceTenancy": vpc.get("InstanceTenancy", "default"),
            "dhcpOptionsId": vpc.get("DhcpOptionsId"),
            "enableDnsSupport": _get(client, identifier, "enableDnsSupport"),
            "enableDnsHostnames": _get(client, identifier, "enableDnsHostnames"),
            "enableNetworkAddressUsageMetrics": False,
            "assignGeneratedIpv6CidrBlock": bool(vpc.get("Ipv6CidrBlockAssociationSet")),
            "mainRouteTableId": main,
            "defaultRouteTableId": main,
            "defaultSecurityGroupId": group["GroupId"] if group else None,
            "defaultNetworkAclId": acl["NetworkAclId"] if acl else None,
            "ownerId": client.account(),
            "tagsAll": tag_map(vpc.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        for name, fallback in (("enableDnsSupport", True), ("enableDnsHostnames", False)):
            if name in changed:
                value = news.get(name)
                _set(client, identifier, name, fallback if value is None else value)
        if "instanceTenancy" in changed:
            raise client.api_error("ec2.modify_vpc_tenancy", "NotImplemented", "the lab's API cannot change the tenancy of a VPC")
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        del state
        if client.first("ec2.describe_vpcs", "Vpcs", VpcIds=[identifier]) is None:
            return
        if user := _dependent_object(client, identifier):
            raise client.api_error(
                "ec2.delete_vpc", "DependencyViolation", f"The vpc '{identifier}' has dependencies and cannot be deleted. ({user} is in it)"
            )
        ignore_missing(lambda: client.call("ec2.delete_vpc", VpcId=identifier))


def _dependent_object(client: ApiClient, vpc: str) -> str | None:
    """What still lies in the VPC and keeps AWS from deleting it."""
    within = filters(vpc_id=vpc)
    for subnet in client.list_all("ec2.describe_subnets", "Subnets", Filters=within):
        return str(subnet["SubnetId"])
    for gateway in client.list_all("ec2.describe_internet_gateways", "InternetGateways", Filters=filters(attachment__vpc_id=vpc)):
        return str(gateway["InternetGatewayId"])
    for endpoint in client.list_all("ec2.describe_vpc_endpoints", "VpcEndpoints", Filters=within):
        if endpoint.get("State", "available").lower() not in ("deleted", "deleting"):
            return str(endpoint["VpcEndpointId"])
    for interface in client.list_all("ec2.describe_network_interfaces", "NetworkInterfaces", Filters=within):
        return str(interface["NetworkInterfaceId"])
    for group in client.list_all("ec2.describe_security_groups", "SecurityGroups", Filters=within):
        if group["GroupName"] != "default":
            return str(group["GroupId"])
    for table in client.list_all("ec2.describe_route_tables", "RouteTables", Filters=within):
        if not any(association.get("Main") for association in table.get("Associations", [])):
            return str(table["RouteTableId"])
    return None


def _set(client: ApiClient, vpc: str, name: str, value: bool) -> None:
    client.call("ec2.modify_vpc_attribute", VpcId=vpc, **{_ATTRIBUTES[name]: {"Value": value}})


def _get(client: ApiClient, vpc: str, name: str) -> bool:
    return bool(client.call("ec2.describe_vpc_attribute", VpcId=vpc, Attribute=name)[_ATTRIBUTES[name]]["Value"])
