"""What AWS refuses at a launch and moto does not: addresses, groups, images, types, profiles."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final, cast

from lab.provider.cloud import Cloud, filters
from lab.provider.codec import Props
from lab.provider.rules.model import listed

_RUN: Final = "ec2.run_instances"
_RESERVED_FIRST: Final = 4
"""The network's address, the router's, the resolver's and one for later."""
_DEBIAN_ROOT_GB: Final = 8


def refuse_impossible_launch(cloud: Cloud, news: Props) -> dict[str, Any]:
    """Refuse as AWS would; else give the subnet to launch into."""
    subnet = _subnet(cloud, news)
    if news.get("availabilityZone") not in (None, subnet["AvailabilityZone"]):
        message = f"The availability zone {news['availabilityZone']} is not the one of subnet {subnet['SubnetId']}"
        raise cloud.refusal(_RUN, "InvalidParameterValue", message)
    _refuse_address(cloud, news.get("privateIp"), subnet)
    refuse_foreign_groups(cloud, _RUN, news.get("vpcSecurityGroupIds") or [], subnet["VpcId"])
    _refuse_image(cloud, news)
    _refuse_profile(cloud, news.get("iamInstanceProfile"))
    return subnet


def _subnet(cloud: Cloud, news: Props) -> dict[str, Any]:
    if wanted := news.get("subnetId"):
        subnet = cloud.first("ec2.describe_subnets", "Subnets", SubnetIds=[wanted])
        if subnet is None:
            raise cloud.refusal(_RUN, "InvalidSubnetID.NotFound", f"The subnet ID '{wanted}' does not exist")
        return subnet
    zone = {"availability_zone": str(news["availabilityZone"])} if news.get("availabilityZone") else {}
    subnet = cloud.first("ec2.describe_subnets", "Subnets", Filters=filters(default_for_az="true", **zone))
    if subnet is None:
        raise cloud.refusal(_RUN, "MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
    return subnet


def _refuse_address(cloud: Cloud, wanted: str | None, subnet: dict[str, Any]) -> None:
    if wanted is None:
        return
    network, address = ipaddress.IPv4Network(subnet["CidrBlock"]), ipaddress.IPv4Address(wanted)
    if address not in network:
        raise cloud.refusal(_RUN, "InvalidParameterValue", f"Address {wanted} does not fall within the subnet's address range")
    if int(address) - int(network.network_address) < _RESERVED_FIRST or address == network.broadcast_address:
        raise cloud.refusal(_RUN, "InvalidParameterValue", f"Address {wanted} is in subnet's reserved address range")
    within = filters(subnet_id=subnet["SubnetId"], addresses__private_ip_address=wanted)
    if cloud.every("ec2.describe_network_interfaces", "NetworkInterfaces", Filters=within):
        raise cloud.refusal(_RUN, "InvalidIPAddress.InUse", f"Address {wanted} is in use.")


def refuse_foreign_groups(cloud: Cloud, operation: str, groups: Iterable[str], vpc: str) -> None:
    """Every group must be of the VPC."""
    for identifier in groups:
        group = cloud.first("ec2.describe_security_groups", "SecurityGroups", GroupIds=[identifier])
        if group is None:
            raise cloud.refusal(operation, "InvalidGroup.NotFound", f"The security group '{identifier}' does not exist")
        if group["VpcId"] != vpc:
            message = f"Security group {identifier} and the subnet belong to different networks."
            raise cloud.refusal(operation, "InvalidParameter", message)


def _refuse_image(cloud: Cloud, news: Props) -> None:
    image = _image(cloud, news["ami"])
    described = cloud.first("ec2.describe_instance_types", "InstanceTypes", InstanceTypes=[news["instanceType"]])
    if described is None:
        raise cloud.refusal(_RUN, "InvalidParameterValue", f"Invalid value '{news['instanceType']}' for InstanceType.")
    architectures = cast("list[str]", described.get("ProcessorInfo", {}).get("SupportedArchitectures") or [])
    architecture = image.get("Architecture") or "x86_64"
    if architectures and architecture not in architectures:
        message = (
            f"The architecture '{architectures[0]}' of the specified instance type does not match the architecture '{architecture}' "
            "of the specified AMI."
        )
        raise cloud.refusal(_RUN, "InvalidParameterValue", message)
    size = cast("Props", news.get("rootBlockDevice") or {}).get("volumeSize")
    least = _root_size(image)
    if size is not None and size < least:
        message = f"Volume of size {size}GB is smaller than snapshot, expect size >= {least}GB"
        raise cloud.refusal(_RUN, "InvalidBlockDeviceMapping", message)


def _image(cloud: Cloud, identifier: str) -> dict[str, Any]:
    image = cloud.first("ec2.describe_images", "Images", ImageIds=[identifier])
    if image is None and identifier not in cloud.own_images:
        raise cloud.refusal(_RUN, "InvalidAMIID.NotFound", f"The image id '[{identifier}]' does not exist")
    return image or {}


def _root_size(image: dict[str, Any]) -> int:
    for mapping in listed(image.get("BlockDeviceMappings")):
        if mapping.get("DeviceName") == image.get("RootDeviceName"):
            return int(mapping.get("Ebs", {}).get("VolumeSize") or _DEBIAN_ROOT_GB)
    return _DEBIAN_ROOT_GB


def root_device(cloud: Cloud, image: str) -> str:
    """The name under which an image's root disk is mapped."""
    return str(_image(cloud, image).get("RootDeviceName") or "/dev/sda1")


def _refuse_profile(cloud: Cloud, name: str | None) -> None:
    if name is None:
        return
    found = cloud.find("iam.get_instance_profile", InstanceProfileName=name)
    if found is None:
        message = f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
        raise cloud.refusal(_RUN, "InvalidParameterValue", message)
    if not found["InstanceProfile"].get("Roles"):
        message = f"Value ({name}) for parameter iamInstanceProfile.name is invalid. The instance profile has no role"
        raise cloud.refusal(_RUN, "InvalidParameterValue", message)
