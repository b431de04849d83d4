"""Subnets."""

from __future__ import annotations

from typing import Final

from lab.provider.cloud import Cloud, filters
from lab.provider.codec import Props
from lab.provider.services.base import Handler, quiet, retag, tag_map, tag_specifications

_ATTRIBUTES: Final = {
    "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
    "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
    "enableDns64": "EnableDns64",
    "enableResourceNameDnsARecordOnLaunch": "EnableResourceNameDnsARecordOnLaunch",
    "enableResourceNameDnsAaaaRecordOnLaunch": "EnableResourceNameDnsAAAARecordOnLaunch",
}


class Subnet(Handler):
    """`aws.ec2.Subnet`."""

    kind = "aws:ec2/subnet:Subnet"
    label = "EC2 Subnet"

    def create(self, cloud: Cloud, news: Props) -> str:
        zone = news.get("availabilityZone")
        zones = [item["ZoneName"] for item in cloud.every("ec2.describe_availability_zones", "AvailabilityZones")]
        if zone is not None and zone not in zones:
            message = (
                f"Value ({zone}) for parameter availabilityZone is invalid. "
                f"Subnets can currently only be created in the following availability zones: {', '.join(zones)}."
            )
            raise cloud.refusal("ec2.create_subnet", "InvalidParameterValue", message)
        made = cloud.call(
            "ec2.create_subnet",
            VpcId=news["vpcId"],
            CidrBlock=news.get("cidrBlock"),
            AvailabilityZone=zone,
            AvailabilityZoneId=news.get("availabilityZoneId"),
            TagSpecifications=tag_specifications("subnet", news),
        )
        return str(made["Subnet"]["SubnetId"])

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        for name in _ATTRIBUTES:
            if news.get(name) is True:
                _set(cloud, identifier, name, True)

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        subnet = cloud.first("ec2.describe_subnets", "Subnets", SubnetIds=[identifier])
        if subnet is None:
            return None
        return {
            "arn": cloud.arn("ec2", f"subnet/{identifier}"),
            "vpcId": subnet["VpcId"],
            "cidrBlock": subnet["CidrBlock"],
            "availabilityZone": subnet["AvailabilityZone"],
            "availabilityZoneId": subnet.get("AvailabilityZoneId"),
            "mapPublicIpOnLaunch": bool(subnet.get("MapPublicIpOnLaunch")),
            "assignIpv6AddressOnCreation": bool(subnet.get("AssignIpv6AddressOnCreation")),
            "privateDnsHostnameTypeOnLaunch": state.get("privateDnsHostnameTypeOnLaunch") or "ip-name",
            "ownerId": cloud.account(),
            "tagsAll": tag_map(subnet.get("Tags")),
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        for name in sorted(changed & _ATTRIBUTES.keys()):
            _set(cloud, identifier, name, bool(news.get(name)))
        retag(cloud, identifier, olds, news)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        del state
        for interface in cloud.every("ec2.describe_network_interfaces", "NetworkInterfaces", Filters=filters(subnet_id=identifier)):
            message = f"The subnet '{identifier}' has dependencies and cannot be deleted. ({interface['NetworkInterfaceId']} is in it)"
            raise cloud.refusal("ec2.delete_subnet", "DependencyViolation", message)
        quiet(lambda: cloud.call("ec2.delete_subnet", SubnetId=identifier))


def _set(cloud: Cloud, subnet: str, name: str, value: bool) -> None:
    """AWS takes one attribute a call."""
    cloud.call("ec2.modify_subnet_attribute", SubnetId=subnet, **{_ATTRIBUTES[name]: {"Value": value}})
