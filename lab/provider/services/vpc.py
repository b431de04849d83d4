"""VPCs and DHCP options."""

from __future__ import annotations

from typing import Any, Final

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.rules.model import as_list
from lab.provider.services.base import Handler, ignore_missing, retag, tag_map, tag_specifications

_ATTRIBUTES: Final = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


class Vpc(Handler):
    """`aws.ec2.Vpc`."""

    resource_type = "aws:ec2/vpc:Vpc"
    label = "EC2 VPC"

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


_OPTIONS: Final = {
    "domainName": "domain-name",
    "domainNameServers": "domain-name-servers",
    "ntpServers": "ntp-servers",
    "netbiosNameServers": "netbios-name-servers",
    "netbiosNodeType": "netbios-node-type",
}


class DhcpOptions(Handler):
    """`aws.ec2.VpcDhcpOptions`."""

    resource_type = "aws:ec2/vpcDhcpOptions:VpcDhcpOptions"
    label = "EC2 DHCP Options Set"

    def create(self, client: ApiClient, news: Props) -> str:
        given: list[dict[str, Any]] = []
        for name, key in _OPTIONS.items():
            if news.get(name) is not None:
                value = news[name]
                given.append({"Key": key, "Values": [str(item) for item in (as_list(value) or [value])]})
        made = client.call("ec2.create_dhcp_options", DhcpConfigurations=given)
        return str(made["DhcpOptions"]["DhcpOptionsId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        """moto does not see the tags of the creating call."""
        retag(client, identifier, {}, news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        del state
        found = client.first("ec2.describe_dhcp_options", "DhcpOptions", DhcpOptionsIds=[identifier])
        if found is None:
            return None
        values = {item["Key"]: [value["Value"] for value in item["Values"]] for item in found.get("DhcpConfigurations", [])}
        live: Props = {name: values[key] for name, key in _OPTIONS.items() if key in values}
        for single in ("domainName", "netbiosNodeType"):
            if single in live:
                live[single] = live[single][0]
        return live | {
            "arn": client.arn("ec2", f"dhcp-options/{identifier}"),
            "ownerId": client.account(),
            "tagsAll": tag_map(found.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        del changed
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        del state
        for vpc in client.list_all("ec2.describe_vpcs", "Vpcs", Filters=filters(dhcp_options_id=identifier)):
            message = f"The dhcpOptions '{identifier}' has dependencies and cannot be deleted. ({vpc['VpcId']} uses it)"
            raise client.api_error("ec2.delete_dhcp_options", "DependencyViolation", message)
        ignore_missing(lambda: client.call("ec2.delete_dhcp_options", DhcpOptionsId=identifier))


class DhcpOptionsAssociation(Handler):
    """`aws.ec2.VpcDhcpOptionsAssociation`; its id is `options-vpc`."""

    resource_type = "aws:ec2/vpcDhcpOptionsAssociation:VpcDhcpOptionsAssociation"
    label = "EC2 DHCP Options Set Association"

    def create(self, client: ApiClient, news: Props) -> str:
        client.call("ec2.associate_dhcp_options", DhcpOptionsId=news["dhcpOptionsId"], VpcId=news["vpcId"])
        return f"{news['dhcpOptionsId']}-{news['vpcId']}"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        vpc = client.first("ec2.describe_vpcs", "Vpcs", VpcIds=[state["vpcId"]])
        if vpc is None or vpc.get("DhcpOptionsId") in (None, "default"):
            return None
        return {"vpcId": state["vpcId"], "dhcpOptionsId": vpc["DhcpOptionsId"]}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        client.call("ec2.associate_dhcp_options", DhcpOptionsId=news["dhcpOptionsId"], VpcId=news["vpcId"])

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        ignore_missing(lambda: client.call("ec2.associate_dhcp_options", DhcpOptionsId="default", VpcId=state["vpcId"]))
