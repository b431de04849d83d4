"""The block devices of an instance: what is read of them, and how the root volume is changed.

Source: `readBlockDevicesFromInstance` and the `root_block_device` part of `resourceInstanceUpdate` in terraform-provider-aws,
internal/service/ec2/ec2_instance.go.
"""

from __future__ import annotations

from typing import Any, Final

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import retag, tag_map
from lab.provider.rules.model import as_dict, as_list
from lab.provider.services.ec2.volumes import wait_until_modified

EBS_PARAMS: Final = {
    "volumeSize": "VolumeSize",
    "volumeType": "VolumeType",
    "iops": "Iops",
    "throughput": "Throughput",
    "encrypted": "Encrypted",
    "kmsKeyId": "KmsKeyId",
    "deleteOnTermination": "DeleteOnTermination",
}
"""The properties of a root volume, by the names that RunInstances has for them."""
_MODIFIED: Final = {"volumeSize": "Size", "volumeType": "VolumeType", "iops": "Iops", "throughput": "Throughput"}


def read_devices(client: ApiClient, instance: dict[str, Any]) -> Props:
    """`rootBlockDevice`, and as `ebsBlockDevices` every other volume, also those that were attached after the launch."""
    mappings = {mapping["Ebs"]["VolumeId"]: mapping for mapping in as_list(instance.get("BlockDeviceMappings")) if mapping.get("Ebs")}
    if not mappings:
        return {"rootBlockDevice": None, "ebsBlockDevices": []}
    root: Props | None = None
    others: list[Props] = []
    for volume in client.call("ec2.describe_volumes", VolumeIds=sorted(mappings))["Volumes"]:
        mapping = mappings[volume["VolumeId"]]
        device = _device(mapping, volume)
        if mapping["DeviceName"] == instance.get("RootDeviceName"):
            root = device
        else:
            others.append({**device, "snapshotId": volume.get("SnapshotId") or ""})
    return {"rootBlockDevice": root, "ebsBlockDevices": sorted(others, key=lambda device: device["deviceName"])}


def root_volume_id(instance: dict[str, Any]) -> str | None:
    """The id of the volume that an instance boots from."""
    for mapping in as_list(instance.get("BlockDeviceMappings")):
        if mapping["DeviceName"] == instance.get("RootDeviceName"):
            return str(mapping["Ebs"]["VolumeId"])
    return None


def modify_root(client: ApiClient, identifier: str, olds: Props, news: Props) -> None:
    """Brings the root volume to what the news say of it: size, type and speed first, then what becomes of it, then its tags."""
    before, after = as_dict(olds.get("rootBlockDevice")), as_dict(news.get("rootBlockDevice"))
    changes = {key: after[name] for name, key in _MODIFIED.items() if after.get(name) and after[name] != before.get(name)}
    if changes:
        client.call("ec2.modify_volume", VolumeId=before["volumeId"], **changes)
        wait_until_modified(client, before["volumeId"])
    goes = after.get("deleteOnTermination", True)
    if after and goes != before.get("deleteOnTermination"):
        mapping = {"DeviceName": before["deviceName"], "Ebs": {"DeleteOnTermination": bool(goes)}}
        client.call("ec2.modify_instance_attribute", InstanceId=identifier, BlockDeviceMappings=[mapping])
    if after.get("tags") is not None and after["tags"] != before.get("tags"):
        retag(client, before["volumeId"], {"tagsAll": before.get("tags")}, {"tagsAll": after["tags"]})


def _device(mapping: dict[str, Any], volume: dict[str, Any]) -> Props:
    return {
        "deviceName": mapping["DeviceName"],
        "volumeId": volume["VolumeId"],
        "volumeSize": volume["Size"],
        "volumeType": volume.get("VolumeType") or "gp2",
        "iops": volume.get("Iops"),
        "throughput": volume.get("Throughput"),
        "encrypted": bool(volume.get("Encrypted")),
        "kmsKeyId": volume.get("KmsKeyId") or "",
        "deleteOnTermination": bool(mapping["Ebs"].get("DeleteOnTermination", True)),
        "tags": tag_map(volume.get("Tags")),
    }
