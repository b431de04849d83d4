"""Subnets."""

from __future__ import annotations

from typing import Final

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, retag, tag_map, tag_specifications
from lab.provider.rules.model import TypeRules, name_set
from lab.provider.rules.validators import cidr6, one_of, prefix_between

_ATTRIBUTES: Final = {
    "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
    "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
    "enableDns64": "EnableDns64",
    "enableResourceNameDnsARecordOnLaunch": "EnableResourceNameDnsARecordOnLaunch",
    "enableResourceNameDnsAaaaRecordOnLaunch": "EnableResourceNameDnsAAAARecordOnLaunch",
}


class Subnet(Handler):
    """`aws.ec2.Subnet`."""

    label = "EC2 Subnet"
    rules = TypeRules(
        unsupported=name_set(
            "ipv6CidrBlock ipv6Native ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6NetmaskLength "
            "outpostArn customerOwnedIpv4Pool mapCustomerOwnedIpOnLaunch enableLniAtDeviceIndex"
        ),
        checks={
            "cidrBlock": prefix_between(16, 28),
            "ipv6CidrBlock": cidr6,
            "privateDnsHostnameTypeOnLaunch": one_of("ip-name", "resource-name"),
        },
    )

    def create(self, client: ApiClient, news: Props) -> str:
        zone = news.get("availabilityZone")
        zones = [item["ZoneName"] for item in client.list_all("ec2.describe_availability_zones", "AvailabilityZones")]
        if zone is not None and zone not in zones:
            message = (
                f"Value ({zone}) for parameter availabilityZone is invalid. "
                f"Subnets can currently only be created in the following availability zones: {', '.join(zones)}."
            )
            raise client.api_error("ec2.create_subnet", "InvalidParameterValue", message)
        made = client.call(
            "ec2.create_subnet",
            VpcId=news["vpcId"],
            CidrBlock=news.get("cidrBlock"),
            AvailabilityZone=zone,
            AvailabilityZoneId=news.get("availabilityZoneId"),
            TagSpecifications=tag_specifications("subnet", news),
        )
        return str(made["Subnet"]["SubnetId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        for name in _ATTRIBUTES:
            if news.get(name) is True:
                _set(client, identifier, name, True)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        subnet = client.first("ec2.describe_subnets", "Subnets", SubnetIds=[identifier])
        if subnet is None:
            return None
        return {
            "arn": client.arn("ec2", f"subnet/{identifier}"),
            "vpcId": subnet["VpcId"],
            "cidrBlock": subnet["CidrBlock"],
            "availabilityZone": subnet["AvailabilityZone"],
            "availabilityZoneId": subnet.get("AvailabilityZoneId"),
            "mapPublicIpOnLaunch": bool(subnet.get("MapPublicIpOnLaunch")),
            "assignIpv6AddressOnCreation": bool(subnet.get("AssignIpv6AddressOnCreation")),
            "privateDnsHostnameTypeOnLaunch": state.get("privateDnsHostnameTypeOnLaunch") or "ip-name",
            "ownerId": client.account(),
            "tagsAll": tag_map(subnet.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        for name in sorted(changed & _ATTRIBUTES.keys()):
            _set(client, identifier, name, bool(news.get(name)))
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        del state
        for interface in client.list_all("ec2.describe_network_interfaces", "NetworkInterfaces", Filters=filters(subnet_id=identifier)):
            message = f"The subnet '{identifier}' has dependencies and cannot be deleted. ({interface['NetworkInterfaceId']} is in it)"
            raise client.api_error("ec2.delete_subnet", "DependencyViolation", message)
        ignore_missing(lambda: client.call("ec2.delete_subnet", SubnetId=identifier))


def _set(client: ApiClient, subnet: str, name: str, value: bool) -> None:
    """AWS takes one attribute a call."""
    client.call("ec2.modify_subnet_attribute", SubnetId=subnet, **{_ATTRIBUTES[name]: {"Value": value}})
