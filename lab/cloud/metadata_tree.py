"""The instance metadata's keys and values, as a pure function of the API's data.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html lists the categories. Those that the lab's instances cannot
have (Spot, Outposts, ramdisks, key pairs, signatures by AWS) are left out and give a 404, as on an instance without them.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lab.cloud.inventory import InstanceInfo

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import GroupIdentifierTypeDef

VERSIONS = (
    *("1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01"),
    *("2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28"),
    *("2018-08-17", "2018-09-24", "2019-10-01", "2020-08-24", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-09-24"),
    *("2024-04-11", "latest"),
)
"""The metadata versions, oldest first, as an instance lists them. Here all have the same keys; on AWS older ones lack newer keys."""

_PRESET = "default-hvm"


def build_tree(instance_info: InstanceInfo, *, user_data: bool) -> dict[str, str]:
    """Returns the values of all keys below a version, by key without a leading slash. `user_data`: whether to list it, without a value."""
    paths = {f"meta-data/{path}": value for path, value in _metadata(instance_info).items()}
    paths["dynamic/instance-identity/document"] = identity_document(instance_info)
    paths["dynamic/fws/instance-monitoring"] = instance_info.instance.get("Monitoring", {}).get("State", "disabled")
    if user_data:
        paths["user-data"] = ""
    return paths


def list_dir(paths: Iterable[str], folder: str) -> str | None:
    """Lists `folder` (no slashes at its ends; empty for the root): one name per line, folders with a slash. None if it does not exist."""
    prefix = f"{folder}/" if folder else ""
    names: set[str] = set()
    for path in paths:
        if path.startswith(prefix):
            name, slash, _ = path.removeprefix(prefix).partition("/")
            names.add(name + slash)
    return "\n".join(sorted(names)) if names else None


def _metadata(instance_info: InstanceInfo) -> dict[str, str]:
    instance = instance_info.instance
    zone = instance.get("Placement", {}).get("AvailabilityZone", "")
    local_name = instance.get("PrivateDnsName", "")
    paths = {
        "ami-id": instance.get("ImageId", ""),
        "ami-launch-index": str(instance.get("AmiLaunchIndex", 0)),
        "ami-manifest-path": "(unknown)",
        "events/maintenance/history": "[]",
        "events/maintenance/scheduled": "[]",
        "hostname": local_name,
        "instance-action": "none",
        "instance-id": instance_info.id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.get("InstanceType", ""),
        "local-hostname": local_name,
        "local-ipv4": instance.get("PrivateIpAddress", ""),
        "placement/availability-zone": zone,
        "placement/region": instance_info.region,
        "profile": _PRESET,
        "reservation-id": instance_info.reservation,
        "security-groups": "\n".join(group.get("GroupName", "") for group in _groups(instance_info)),
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
        "system": "nitro",
    }
    zone_id = instance_info.subnet.get("AvailabilityZoneId", "") if instance_info.subnet else ""
    if zone_id:
        paths["placement/availability-zone-id"] = zone_id
    paths.update(_public("", instance.get("PublicIpAddress", ""), instance.get("PublicDnsName", "")))
    paths.update(_devices(instance_info))
    paths.update(_interfaces(instance_info))
    paths.update(_identity(instance_info))
    if instance.get("MetadataOptions", {}).get("InstanceMetadataTags") == "enabled":
        paths.update({f"tags/instance/{key}": value for key, value in instance_info.tags.items()})
    return paths


def _groups(instance_info: InstanceInfo) -> "Iterable[GroupIdentifierTypeDef]":
    """Returns the first interface's groups: an instance launched with explicit interfaces has its groups only there."""
    interfaces = instance_info.instance.get("NetworkInterfaces", [])
    return interfaces[0].get("Groups", []) if interfaces else instance_info.instance.get("SecurityGroups", [])


def _public(plural: str, address: str, name: str) -> dict[str, str]:
    paths: dict[str, str] = {}
    if address:
        paths[f"public-ipv4{plural}"] = address
    if address and name:
        paths["public-hostname"] = name
    return paths


def _devices(instance_info: InstanceInfo) -> dict[str, str]:
    root = instance_info.instance.get("RootDeviceName", "")
    paths = {"block-device-mapping/ami": root, "block-device-mapping/root": root}
    data = sorted(device.get("DeviceName", "") for device in instance_info.instance.get("BlockDeviceMappings", []))
    for number, device in enumerate((device for device in data if device != root), start=1):
        paths[f"block-device-mapping/ebs{number}"] = device.removeprefix("/dev/")
    return paths


def _interfaces(instance_info: InstanceInfo) -> dict[str, str]:
    paths: dict[str, str] = {}
    for nic in instance_info.instance.get("NetworkInterfaces", []):
        mac = nic.get("MacAddress", "")
        here = f"network/interfaces/macs/{mac}/"
        addresses = [item.get("PrivateIpAddress", "") for item in nic.get("PrivateIpAddresses", [])] or [nic.get("PrivateIpAddress", "")]
        device = nic.get("Attachment", {}).get("DeviceIndex", 0)
        values: dict[str, str] = {
            "device-number": str(device),
            "interface-id": nic.get("NetworkInterfaceId", ""),
            "local-hostname": instance_info.instance.get("PrivateDnsName", ""),
            "local-ipv4s": "\n".join(addresses),
            "mac": mac,
            "owner-id": instance_info.account,
            "security-group-ids": "\n".join(group.get("GroupId", "") for group in nic.get("Groups", [])),
            "security-groups": "\n".join(group.get("GroupName", "") for group in nic.get("Groups", [])),
            "subnet-id": nic.get("SubnetId", ""),
            "vpc-id": nic.get("VpcId", ""),
        }
        if instance_info.subnet and instance_info.subnet.get("SubnetId") == nic.get("SubnetId"):
            values["subnet-ipv4-cidr-block"] = instance_info.subnet.get("CidrBlock", "")
        if instance_info.vpc_cidrs:
            values["vpc-ipv4-cidr-block"] = instance_info.vpc_cidrs[0]
            values["vpc-ipv4-cidr-blocks"] = "\n".join(instance_info.vpc_cidrs)
        public = nic.get("Association", {}).get("PublicIp", "") or (
            instance_info.instance.get("PublicIpAddress", "") if device == 0 else ""
        )
        values.update(_public("s", public, instance_info.instance.get("PublicDnsName", "") if device == 0 else ""))
        if public:
            values[f"ipv4-associations/{public}"] = addresses[0]
        if device == 0:
            paths["mac"] = mac
        paths.update({here + key: value for key, value in values.items()})
    return paths


def _identity(instance_info: InstanceInfo) -> dict[str, str]:
    if instance_info.profile is None:
        return {}
    launched = _time(instance_info)
    info = {
        "Code": "Success",
        "LastUpdated": launched,
        "InstanceProfileArn": instance_info.profile.arn,
        "InstanceProfileId": instance_info.profile.id,
    }
    paths = {"iam/info": _json(info)}
    if instance_info.profile.role_name:
        paths[f"iam/security-credentials/{instance_info.profile.role_name}"] = ""  # the value expires, so the server generates it
    return paths


def identity_document(instance_info: InstanceInfo) -> str:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-identity-documents.html, without AWS's signatures beside it."""
    instance = instance_info.instance
    return _json(
        {
            "accountId": instance_info.account,
            "architecture": instance.get("Architecture", "x86_64"),
            "availabilityZone": instance.get("Placement", {}).get("AvailabilityZone", ""),
            "billingProducts": None,
            "devpayProductCodes": None,
            "marketplaceProductCodes": None,
            "imageId": instance.get("ImageId", ""),
            "instanceId": instance_info.id,
            "instanceType": instance.get("InstanceType", ""),
            "kernelId": None,
            "pendingTime": _time(instance_info),
            "privateIp": instance.get("PrivateIpAddress", ""),
            "ramdiskId": None,
            "region": instance_info.region,
            "version": "2017-09-30",
        }
    )


def _time(instance_info: InstanceInfo) -> str:
    launched = instance_info.instance.get("LaunchTime")
    return launched.strftime("%Y-%m-%dT%H:%M:%SZ") if launched else ""


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2)
