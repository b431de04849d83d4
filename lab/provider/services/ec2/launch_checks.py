"""What AWS refuses at a launch and moto does not: addresses, groups, images, types, profiles."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.rules.model import as_list

_RUN_INSTANCES: Final = "ec2.run_instances"
_RESERVED_ADDRESSES: Final = 4
"""The network's address, the router's, the resolver's and one for later."""
_DEBIAN_ROOT_GB: Final = 8


def check_launch(client: ApiClient, news: Props) -> dict[str, Any]:
    """Refuse as AWS would; else give the subnet to launch into."""
    subnet = _subnet(client, news)
    if news.get("availabilityZone") not in (None, subnet["AvailabilityZone"]):
        message = f"The availability zone {news['availabilityZone']} is not the one of subnet {subnet['SubnetId']}"
        raise client.api_error(_RUN_INSTANCES, "InvalidParameterValue", message)
    _check_address(client, news.get("privateIp"), subnet)
    check_groups_in_vpc(client, _RUN_INSTANCES, news.get("vpcSecurityGroupIds") or [], subnet["VpcId"])
    _check_image(client, news)
    _check_profile(client, news.get("iamInstanceProfile"))
    return subnet


def _subnet(client: ApiClient, news: Props) -> dict[str, Any]:
    if wanted := news.get("subnetId"):
        subnet = client.first("ec2.describe_subnets", "Subnets", SubnetIds=[wanted])
        if subnet is None:
            raise client.api_error(_RUN_INSTANCES, "InvalidSubnetID.NotFound", f"The subnet ID '{wanted}' does not exist")
        return subnet
    zone = {"availability_zone": str(news["availabilityZone"])} if news.get("availabilityZone") else {}
    subnet = client.first("ec2.describe_subnets", "Subnets", Filters=filters(default_for_az="true", **zone))
    if subnet is None:
        raise client.api_error(_RUN_INSTANCES, "MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
    return subnet


def _check_address(client: ApiClient, wanted: str | None, subnet: dict[str, Any]) -> None:
    if wanted is None:
        return
    network, address = ipaddress.IPv4Network(subnet["CidrBlock"]), ipaddress.IPv4Address(wanted)
    if address not in network:
        raise client.api_error(_RUN_INSTANCES, "InvalidParameterValue", f"Address {wanted} does not fall within the subnet's address range")
    if int(address) - int(network.network_address) < _RESERVED_ADDRESSES or address == network.broadcast_address:
        raise client.api_error(_RUN_INSTANCES, "InvalidParameterValue", f"Address {wanted} is in subnet's reserved address range")
    within = filters(subnet_id=subnet["SubnetId"], addresses__private_ip_address=wanted)
    if client.list_all("ec2.describe_network_interfaces", "NetworkInterfaces", Filters=within):
        raise client.api_error(_RUN_INSTANCES, "InvalidIPAddress.InUse", f"Address {wanted} is in use.")


def check_groups_in_vpc(client: ApiClient, operation: str, groups: Iterable[str], vpc: str) -> None:
    """Every group must be of the VPC."""
    for identifier in groups:
        group = client.first("ec2.describe_security_groups", "SecurityGroups", GroupIds=[identifier])
        if group is None:
            raise client.api_error(operation, "InvalidGroup.NotFound", f"The security group '{identifier}' does not exist")
        if group["VpcId"] != vpc:
            message = f"Security group {identifier} and the subnet belong to different networks."
            raise client.api_error(operation, "InvalidParameter", message)


def _check_image(client: ApiClient, news: Props) -> None:
    image = _image(client, news["ami"])
    described = client.first("ec2.describe_instance_types", "InstanceTypes", InstanceTypes=[news["instanceType"]])
    if described is None:
        raise client.api_error(_RUN_INSTANCES, "InvalidParameterValue", f"Invalid value '{news['instanceType']}' for InstanceType.")
    architectures = cast("list[str]", described.get("ProcessorInfo", {}).get("SupportedArchitectures") or [])
    architecture = image.get("Architecture") or "x86_64"
    if architectures and architecture not in architectures:
        message = (
            f"The architecture '{architectures[0]}' of the specified instance type does not match the architecture '{architecture}' "
            "of the specified AMI."
        )
        raise client.api_error(_RUN_INSTANCES, "InvalidParameterValue", message)
    size = cast("Props", news.get("rootBlockDevice") or {}).get("volumeSize")
    least = _root_size(image)
    if size is not None and size < least:
        message = f"Volume of size {size}GB is smaller than snapshot, expect size >= {least}GB"
        raise client.api_error(_RUN_INSTANCES, "InvalidBlockDeviceMapping", message)


def _image(client: ApiClient, identifier: str) -> dict[str, Any]:
    image = client.first("ec2.describe_images", "Images", ImageIds=[identifier])
    if image is None and identifier != client.debian_ami:
        raise client.api_error(_RUN_INSTANCES, "InvalidAMIID.NotFound", f"The image id '[{identifier}]' does not exist")
    return image or {}


def _root_size(image: dict[str, Any]) -> int:
    for mapping in as_list(image.get("BlockDeviceMappings")):
        if mapping.get("DeviceName") == image.get("RootDeviceName"):
            return int(mapping.get("Ebs", {}).get("VolumeSize") or _DEBIAN_ROOT_GB)
    return _DEBIAN_ROOT_GB


def root_device(client: ApiClient, image: str) -> str:
    """The name under which an image's root disk is mapped."""
    return str(_image(client, image).get("RootDeviceName") or "/dev/sda1")


def _check_profile(client: ApiClient, name: str | None) -> None:
    if name is None:
        return
    found = client.find("iam.get_instance_profile", InstanceProfileName=name)
    if found is None:
        message = f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
        raise client.api_error(_RUN_INSTANCES, "InvalidParameterValue", message)
    if not found["InstanceProfile"].get("Roles"):
        message = f"Value ({name}) for parameter iamInstanceProfile.name is invalid. The instance profile has no role"
        raise client.api_error(_RUN_INSTANCES, "InvalidParameterValue", message)
