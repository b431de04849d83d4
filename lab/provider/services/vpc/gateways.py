"""Internet gateways, Elastic IPs and NAT gateways."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any, Final

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, retag, tag_map, tag_specifications
from lab.provider.rules.model import TypeRules, Violation, as_list, name_set
from lab.provider.rules.validators import ip4, one_of

_LIVE_NAT: Final = ("pending", "available")


def _nat_violations(props: dict[str, Any]) -> Iterator[Violation]:
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


class InternetGateway(Handler):
    """`aws.ec2.InternetGateway`."""

    label = "EC2 Internet Gateway"

    def create(self, client: ApiClient, news: Props) -> str:
        if news.get("vpcId"):
            _check_no_gateway(client, news["vpcId"])
        made = client.call("ec2.create_internet_gateway", TagSpecifications=tag_specifications("internet-gateway", news))
        return str(made["InternetGateway"]["InternetGatewayId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        if news.get("vpcId"):
            client.call("ec2.attach_internet_gateway", InternetGatewayId=identifier, VpcId=news["vpcId"])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        del state
        gateway = client.first("ec2.describe_internet_gateways", "InternetGateways", InternetGatewayIds=[identifier])
        if gateway is None:
            return None
        attached = as_list(gateway.get("Attachments"))
        return {
            "arn": client.arn("ec2", f"internet-gateway/{identifier}"),
            "vpcId": attached[0]["VpcId"] if attached else "",
            "ownerId": client.account(),
            "tagsAll": tag_map(gateway.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "vpcId" in changed:
            _check_no_gateway(client, news["vpcId"])
            if olds.get("vpcId"):
                _detach(client, identifier, olds["vpcId"])
            client.call("ec2.attach_internet_gateway", InternetGatewayId=identifier, VpcId=news["vpcId"])
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        live = self.read(client, identifier, state)
        if live is None:
            return
        if live["vpcId"]:
            _detach(client, identifier, live["vpcId"])
        ignore_missing(lambda: client.call("ec2.delete_internet_gateway", InternetGatewayId=identifier))


def _check_no_gateway(client: ApiClient, vpc: str) -> None:
    for other in client.list_all("ec2.describe_internet_gateways", "InternetGateways", Filters=filters(attachment__vpc_id=vpc)):
        message = f"Network {vpc} already has an internet gateway attached ({other['InternetGatewayId']})"
        raise client.api_error("ec2.attach_internet_gateway", "InvalidParameterValue", message)


def _detach(client: ApiClient, gateway: str, vpc: str) -> None:
    interfaces = client.list_all("ec2.describe_network_interfaces", "NetworkInterfaces", Filters=filters(vpc_id=vpc))
    mapped = [item for item in interfaces if item.get("Association", {}).get("PublicIp")]
    if mapped:
        message = (
            f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway. "
            f"({mapped[0]['NetworkInterfaceId']} has {mapped[0]['Association']['PublicIp']})"
        )
        raise client.api_error("ec2.detach_internet_gateway", "DependencyViolation", message)
    ignore_missing(lambda: client.call("ec2.detach_internet_gateway", InternetGatewayId=gateway, VpcId=vpc), "Gateway.NotAttached")


class Eip(Handler):
    """`aws.ec2.Eip`, allocated for VPCs."""

    label = "EC2 EIP"
    rules = TypeRules(
        unsupported=name_set("address customerOwnedIpv4Pool ipamPoolId networkBorderGroup publicIpv4Pool"),
        checks={"domain": one_of("vpc", "standard")},
    )

    def create(self, client: ApiClient, news: Props) -> str:
        made = client.call("ec2.allocate_address", Domain="vpc", TagSpecifications=tag_specifications("elastic-ip", news))
        return str(made["AllocationId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        if news.get("instance") or news.get("networkInterface"):
            _associate(client, identifier, news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        address = client.first("ec2.describe_addresses", "Addresses", AllocationIds=[identifier])
        if address is None:
            return None
        public = address["PublicIp"]
        return {
            "allocationId": identifier,
            "arn": client.arn("ec2", f"elastic-ip/{identifier}"),
            "associationId": address.get("AssociationId") or "",
            "domain": address.get("Domain", "vpc"),
            "instance": address.get("InstanceId") or "",
            "networkInterface": address.get("NetworkInterfaceId") or "",
            "networkBorderGroup": client.region,
            "privateIp": address.get("PrivateIpAddress") or None,
            "publicIp": public,
            "publicDns": f"ec2-{public.replace('.', '-')}.{_dns_suffix(client.region)}",
            "publicIpv4Pool": "amazon",
            "ptrRecord": None,
            "tagsAll": tag_map(address.get("Tags")),
            "address": state.get("address"),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if changed & {"instance", "networkInterface", "associateWithPrivateIp"}:
            _disassociate(client, identifier)
            if news.get("instance") or news.get("networkInterface"):
                _associate(client, identifier, news)
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """As `resourceEIPDelete` (terraform-provider-aws, internal/service/ec2/ec2_eip.go): the state alone says whether it is associated.

        One that is so without the state's knowledge is released as it is, which AWS refuses.
        """
        if association := state.get("associationId"):
            ignore_missing(lambda: client.call("ec2.disassociate_address", AssociationId=association))
        ignore_missing(lambda: client.call("ec2.release_address", AllocationId=identifier))


def _dns_suffix(region: str) -> str:
    return "compute-1.amazonaws.com" if region == "us-east-1" else f"{region}.compute.amazonaws.com"


def _associate(client: ApiClient, allocation: str, news: Props) -> None:
    client.call(
        "ec2.associate_address",
        AllocationId=allocation,
        InstanceId=news.get("instance"),
        NetworkInterfaceId=news.get("networkInterface"),
        PrivateIpAddress=news.get("associateWithPrivateIp"),
        AllowReassociation=True,
    )


def _disassociate(client: ApiClient, allocation: str) -> None:
    address = client.first("ec2.describe_addresses", "Addresses", AllocationIds=[allocation])
    if address and address.get("AssociationId"):
        ignore_missing(lambda: client.call("ec2.disassociate_address", AssociationId=address["AssociationId"]))


def _nat_gateways(client: ApiClient, allocation: str) -> list[str]:
    """The living NAT gateways that use an address."""
    return [
        str(gateway["NatGatewayId"])
        for gateway in client.list_all("ec2.describe_nat_gateways", "NatGateways")
        if gateway["State"] in _LIVE_NAT and any(item.get("AllocationId") == allocation for item in gateway["NatGatewayAddresses"])
    ]


class NatGateway(Handler):
    """`aws.ec2.NatGateway`, zonal."""

    label = "EC2 NAT Gateway"
    rules = TypeRules(
        unsupported=name_set(
            "availabilityZoneAddresses secondaryAllocationIds secondaryPrivateIpAddressCount secondaryPrivateIpAddresses vpcId"
        ),
        checks={"connectivityType": one_of("private", "public"), "privateIp": ip4, "availabilityMode": one_of("zonal", "regional")},
        cross_check=_nat_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        subnet = client.first("ec2.describe_subnets", "Subnets", SubnetIds=[news["subnetId"]])
        if subnet is None:
            raise client.api_error(
                "ec2.create_nat_gateway", "InvalidSubnetID.NotFound", f"The subnet ID '{news['subnetId']}' does not exist"
            )
        if news.get("privateIp") and ipaddress.ip_address(news["privateIp"]) not in ipaddress.ip_network(subnet["CidrBlock"]):
            raise client.api_error(
                "ec2.create_nat_gateway", "InvalidParameterValue", f"Address {news['privateIp']} does not fall within the subnet's range"
            )
        if allocation := news.get("allocationId"):
            address = client.call("ec2.describe_addresses", AllocationIds=[allocation])["Addresses"][0]
            if address.get("AssociationId") or _nat_gateways(client, allocation):
                message = f"Elastic IP address [{allocation}] is already associated"
                raise client.api_error("ec2.create_nat_gateway", "Resource.AlreadyAssociated", message)
            if not client.list_all(
                "ec2.describe_internet_gateways", "InternetGateways", Filters=filters(attachment__vpc_id=subnet["VpcId"])
            ):
                message = f"Network {subnet['VpcId']} has no Internet gateway attached"
                raise client.api_error("ec2.create_nat_gateway", "Gateway.NotAttached", message)
        made = client.call(
            "ec2.create_nat_gateway",
            SubnetId=news["subnetId"],
            AllocationId=news.get("allocationId"),
            ConnectivityType=news.get("connectivityType") or "public",
            PrivateIpAddress=news.get("privateIp"),
            TagSpecifications=tag_specifications("natgateway", news),
        )
        return str(made["NatGateway"]["NatGatewayId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        del news
        client.wait(
            f"NAT gateway {identifier}", lambda: _nat(client, identifier).get("State"), "available", failure_states=("failed", "deleted")
        )

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        gateway = _nat(client, identifier)
        if gateway.get("State") not in _LIVE_NAT:
            return None
        address: dict[str, Any] = (as_list(gateway.get("NatGatewayAddresses")) or [{}])[0]
        return {
            "allocationId": address.get("AllocationId") or state.get("allocationId"),
            "associationId": address.get("AssociationId"),
            "availabilityMode": "zonal",
            "connectivityType": gateway.get("ConnectivityType") or "public",
            "networkInterfaceId": address.get("NetworkInterfaceId"),
            "privateIp": address.get("PrivateIp"),
            "publicIp": address.get("PublicIp"),
            "subnetId": gateway["SubnetId"],
            "vpcId": gateway["VpcId"],
            **_secondary(gateway),
            "tagsAll": tag_map(gateway.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        del changed
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        del state
        ignore_missing(lambda: client.call("ec2.delete_nat_gateway", NatGatewayId=identifier))
        client.wait(f"NAT gateway {identifier}", lambda: _nat(client, identifier).get("State", "deleted"), "deleted")


def _nat(client: ApiClient, identifier: str) -> dict[str, Any]:
    return client.first("ec2.describe_nat_gateways", "NatGateways", NatGatewayIds=[identifier]) or {}


def _secondary(gateway: dict[str, Any]) -> Props:
    """The addresses beside the first (`resourceNATGatewayRead` in terraform-provider-aws, internal/service/ec2/vpc_nat_gateway.go)."""
    others: list[dict[str, Any]] = as_list(gateway.get("NatGatewayAddresses"))[1:]
    return {
        "secondaryAllocationIds": [item["AllocationId"] for item in others if item.get("AllocationId")],
        "secondaryPrivateIpAddresses": [item["PrivateIp"] for item in others if item.get("PrivateIp")],
        "secondaryPrivateIpAddressCount": len(others),
    }
