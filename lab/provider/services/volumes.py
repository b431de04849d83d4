"""EBS volumes and their attachments."""

from __future__ import annotations

import zlib
from typing import Any, Final

from lab.provider.cloud import Cloud, Refusal, filters
from lab.provider.codec import Props
from lab.provider.rules.model import listed
from lab.provider.services.base import Handler, quiet, retag, tag_map, tag_specifications
from lab.provider.services.instance_state import describe, stop

_SIZES: Final = {"size": "Size", "type": "VolumeType", "iops": "Iops", "throughput": "Throughput"}


class Volume(Handler):
    """`aws.ebs.Volume`."""

    kind = "aws:ebs/volume:Volume"
    label = "EBS Volume"

    def create(self, cloud: Cloud, news: Props) -> str:
        zones = [item["ZoneName"] for item in cloud.every("ec2.describe_availability_zones", "AvailabilityZones")]
        if news["availabilityZone"] not in zones:
            message = f"The zone '{news['availabilityZone']}' does not exist."
            raise cloud.refusal("ec2.create_volume", "InvalidZone.NotFound", message)
        given = {parameter: news.get(name) for name, parameter in _SIZES.items()}
        made = cloud.call(
            "ec2.create_volume",
            AvailabilityZone=news["availabilityZone"],
            Encrypted=news.get("encrypted"),
            KmsKeyId=news.get("kmsKeyId"),
            SnapshotId=news.get("snapshotId"),
            MultiAttachEnabled=news.get("multiAttachEnabled"),
            TagSpecifications=tag_specifications("volume", news),
            **given,
        )
        return str(made["VolumeId"])

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        del news
        cloud.wait(f"volume {identifier}", lambda: (_volume(cloud, identifier) or {}).get("State"), "available", bad=("error",))

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        volume = _volume(cloud, identifier)
        if volume is None or volume.get("State") in ("deleting", "deleted"):
            return None
        return {
            "arn": cloud.arn("ec2", f"volume/{identifier}"),
            "availabilityZone": volume["AvailabilityZone"],
            "createTime": volume["CreateTime"].isoformat(),
            "encrypted": bool(volume.get("Encrypted")),
            "iops": volume.get("Iops") or state.get("iops") or 0,
            "kmsKeyId": volume.get("KmsKeyId") or state.get("kmsKeyId") or "",
            "multiAttachEnabled": bool(volume.get("MultiAttachEnabled")),
            "size": volume["Size"],
            "snapshotId": volume.get("SnapshotId") or "",
            "throughput": volume.get("Throughput") or state.get("throughput") or 0,
            "type": volume.get("VolumeType") or "gp2",
            "tagsAll": tag_map(volume.get("Tags")),
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        changes = {parameter: news[name] for name, parameter in _SIZES.items() if name in changed and news.get(name) is not None}
        if changes:
            cloud.call("ec2.modify_volume", VolumeId=identifier, **changes)
            wait_until_modified(cloud, identifier)
        retag(cloud, identifier, olds, news)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        del state
        quiet(lambda: cloud.call("ec2.delete_volume", VolumeId=identifier))


def wait_until_modified(cloud: Cloud, identifier: str) -> None:
    """Until the new size can be used: `optimizing` lasts for hours, and the provider does not wait for its end.

    `waitVolumeUpdated` and `waitVolumeModificationComplete` in terraform-provider-aws, internal/service/ec2/wait.go.
    """

    def modifying() -> str:
        found = cloud.first("ec2.describe_volumes_modifications", "VolumesModifications", VolumeIds=[identifier]) or {}
        state = str(found.get("ModificationState") or "completed")
        return "modified" if state in ("completed", "optimizing") else state

    cloud.wait(f"modification of volume {identifier}", modifying, "modified", bad=("failed",))


def _volume(cloud: Cloud, identifier: str) -> dict[str, Any] | None:
    return cloud.first("ec2.describe_volumes", "Volumes", VolumeIds=[identifier])


class VolumeAttachment(Handler):
    """`aws.ec2.VolumeAttachment`."""

    kind = "aws:ec2/volumeAttachment:VolumeAttachment"
    label = "EBS Volume Attachment"

    def create(self, cloud: Cloud, news: Props) -> str:
        identifier = "vai-{}".format(zlib.crc32("{deviceName}-{instanceId}-{volumeId}-".format(**news).encode()))
        if _attachment(cloud, news) is not None:
            return identifier  # as the real provider: what is attached so already is adopted
        operation, instance = "ec2.attach_volume", describe(cloud, news["instanceId"])
        volume = _volume(cloud, news["volumeId"])
        if instance is None or instance["State"]["Name"] == "terminated":
            raise cloud.refusal(operation, "InvalidInstanceID.NotFound", f"The instance ID '{news['instanceId']}' does not exist")
        if volume is None:
            raise cloud.refusal(operation, "InvalidVolume.NotFound", f"The volume '{news['volumeId']}' does not exist.")
        if volume["AvailabilityZone"] != instance["Placement"]["AvailabilityZone"]:
            message = f"The volume '{news['volumeId']}' is not in the same availability zone as instance '{news['instanceId']}'"
            raise cloud.refusal(operation, "InvalidVolume.ZoneMismatch", message)
        if volume["State"] != "available":
            raise cloud.refusal(operation, "VolumeInUse", f"{news['volumeId']} is already attached to an instance")
        if any(mapping["DeviceName"] == news["deviceName"] for mapping in listed(instance.get("BlockDeviceMappings"))):
            message = f"Invalid value '{news['deviceName']}' for unixDevice. Attachment point {news['deviceName']} is already in use"
            raise cloud.refusal(operation, "InvalidParameterValue", message)
        cloud.call(operation, Device=news["deviceName"], InstanceId=news["instanceId"], VolumeId=news["volumeId"])
        return identifier

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        cloud.wait(f"attachment of {news['volumeId']}", lambda: (_attachment(cloud, news) or {}).get("State"), "attached")

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        if _attachment(cloud, state) is None:
            return None
        return {name: state[name] for name in ("deviceName", "instanceId", "volumeId")}

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        """Only what the provider itself reads can change."""

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        """As `resourceVolumeAttachmentDelete` (terraform-provider-aws, internal/service/ec2/ebs_volume_attachment.go).

        Nothing is looked at before the stop, so that of a terminated instance fails; and nobody starts the instance again.
        """
        if state.get("skipDestroy"):
            return
        if state.get("stopInstanceBeforeDetaching"):
            stop(cloud, state["instanceId"])
        quiet(
            lambda: cloud.call(
                "ec2.detach_volume",
                Device=state["deviceName"],
                InstanceId=state["instanceId"],
                VolumeId=state["volumeId"],
                Force=bool(state.get("forceDetach")),
            ),
            "IncorrectState",
        )
        _wait_until_detached(cloud, state)

    def imported(self, identifier: str) -> Props:
        device, _, rest = identifier.partition(":")
        volume, _, instance = rest.partition(":")
        return {"deviceName": device, "volumeId": volume, "instanceId": instance}


def _wait_until_detached(cloud: Cloud, state: Props) -> None:
    """Gives up where the host still uses the volume: at the deadline, or as the real provider when AWS calls the attachment busy."""
    what = f"attachment of {state['volumeId']} to {state['instanceId']}"
    try:
        cloud.wait(what, lambda: (_attachment(cloud, state) or {}).get("State", "detached"), "detached", bad=("busy",))
    except Refusal as refusal:
        if refusal.code not in ("UnexpectedState", "Timeout"):
            raise
        remedy = (
            "the host still uses the volume: unmount it there, or stop the host, and try again; stopInstanceBeforeDetaching does so "
            "by itself, forceDetach takes the volume away and loses what is not written"
        )
        raise cloud.refusal("ec2.detach_volume", refusal.code, f"{refusal.message}: {remedy}") from refusal


def _attachment(cloud: Cloud, props: Props) -> dict[str, Any] | None:
    within = filters(volume_id=props["volumeId"], attachment__instance_id=props["instanceId"], attachment__device=props["deviceName"])
    volume = cloud.first("ec2.describe_volumes", "Volumes", Filters=within)
    attachments: list[dict[str, Any]] = listed((volume or {}).get("Attachments"))
    return attachments[0] if attachments else None
