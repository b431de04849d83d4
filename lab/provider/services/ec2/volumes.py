"""EBS volumes and their attachments."""

from __future__ import annotations

import zlib
from typing import Any, Final

from lab.provider.api_client import ApiClient, ApiError, filters
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, retag, tag_map, tag_specifications
from lab.provider.rules.model import TypeRules, as_list, name_set
from lab.provider.rules.validators import arn, between, matches, one_of
from lab.provider.services.ec2.checks import VOLUME_TYPES, volume_violations
from lab.provider.services.ec2.instance_state import describe, stop

_SIZES: Final = {"size": "Size", "type": "VolumeType", "iops": "Iops", "throughput": "Throughput"}


class Volume(Handler):
    """`aws.ebs.Volume`."""

    label = "EBS Volume"
    rules = TypeRules(
        unsupported=name_set("finalSnapshot outpostArn volumeInitializationRate"),
        checks={
            "size": between(1, 65536),
            "type": one_of(*VOLUME_TYPES),
            "throughput": between(125, 2000),
            "kmsKeyId": arn,
            "iops": between(100, 256000),
        },
        cross_check=volume_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        zones = [item["ZoneName"] for item in client.list_all("ec2.describe_availability_zones", "AvailabilityZones")]
        if news["availabilityZone"] not in zones:
            message = f"The zone '{news['availabilityZone']}' does not exist."
            raise client.api_error("ec2.create_volume", "InvalidZone.NotFound", message)
        given = {parameter: news.get(name) for name, parameter in _SIZES.items()}
        made = client.call(
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

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        del news
        client.wait(
            f"volume {identifier}", lambda: (_volume(client, identifier) or {}).get("State"), "available", failure_states=("error",)
        )

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        volume = _volume(client, identifier)
        if volume is None or volume.get("State") in ("deleting", "deleted"):
            return None
        return {
            "arn": client.arn("ec2", f"volume/{identifier}"),
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

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        changes = {parameter: news[name] for name, parameter in _SIZES.items() if name in changed and news.get(name) is not None}
        if changes:
            client.call("ec2.modify_volume", VolumeId=identifier, **changes)
            wait_until_modified(client, identifier)
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        del state
        ignore_missing(lambda: client.call("ec2.delete_volume", VolumeId=identifier))


def wait_until_modified(client: ApiClient, identifier: str) -> None:
    """Until the new size can be used: `optimizing` lasts for hours, and the provider does not wait for its end.

    `waitVolumeUpdated` and `waitVolumeModificationComplete` in terraform-provider-aws, internal/service/ec2/wait.go.
    """

    def modifying() -> str:
        found = client.first("ec2.describe_volumes_modifications", "VolumesModifications", VolumeIds=[identifier]) or {}
        state = str(found.get("ModificationState") or "completed")
        return "modified" if state in ("completed", "optimizing") else state

    client.wait(f"modification of volume {identifier}", modifying, "modified", failure_states=("failed",))


def _volume(client: ApiClient, identifier: str) -> dict[str, Any] | None:
    return client.first("ec2.describe_volumes", "Volumes", VolumeIds=[identifier])


class VolumeAttachment(Handler):
    """`aws.ec2.VolumeAttachment`."""

    label = "EBS Volume Attachment"
    rules = TypeRules(
        checks={"deviceName": matches(r"/dev/(sd[a-z](\d{1,2})?|xvd[a-z]{1,2}|hd[a-z])", "a device name such as /dev/sdf")},
    )

    def create(self, client: ApiClient, news: Props) -> str:
        identifier = "vai-{}".format(zlib.crc32("{deviceName}-{instanceId}-{volumeId}-".format(**news).encode()))
        if _attachment(client, news) is not None:
            return identifier  # as the real provider: what is attached so already is adopted
        operation, instance = "ec2.attach_volume", describe(client, news["instanceId"])
        volume = _volume(client, news["volumeId"])
        if instance is None or instance["State"]["Name"] == "terminated":
            raise client.api_error(operation, "InvalidInstanceID.NotFound", f"The instance ID '{news['instanceId']}' does not exist")
        if volume is None:
            raise client.api_error(operation, "InvalidVolume.NotFound", f"The volume '{news['volumeId']}' does not exist.")
        if volume["AvailabilityZone"] != instance["Placement"]["AvailabilityZone"]:
            message = f"The volume '{news['volumeId']}' is not in the same availability zone as instance '{news['instanceId']}'"
            raise client.api_error(operation, "InvalidVolume.ZoneMismatch", message)
        if volume["State"] != "available":
            raise client.api_error(operation, "VolumeInUse", f"{news['volumeId']} is already attached to an instance")
        if any(mapping["DeviceName"] == news["deviceName"] for mapping in as_list(instance.get("BlockDeviceMappings"))):
            message = f"Invalid value '{news['deviceName']}' for unixDevice. Attachment point {news['deviceName']} is already in use"
            raise client.api_error(operation, "InvalidParameterValue", message)
        client.call(operation, Device=news["deviceName"], InstanceId=news["instanceId"], VolumeId=news["volumeId"])
        return identifier

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        client.wait(f"attachment of {news['volumeId']}", lambda: (_attachment(client, news) or {}).get("State"), "attached")

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        if _attachment(client, state) is None:
            return None
        return {name: state[name] for name in ("deviceName", "instanceId", "volumeId")}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        """Only what the provider itself reads can change."""

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """As `resourceVolumeAttachmentDelete` (terraform-provider-aws, internal/service/ec2/ebs_volume_attachment.go).

        Nothing is looked at before the stop, so that of a terminated instance fails; and nobody starts the instance again.
        """
        if state.get("skipDestroy"):
            return
        if state.get("stopInstanceBeforeDetaching"):
            stop(client, state["instanceId"])
        ignore_missing(
            lambda: client.call(
                "ec2.detach_volume",
                Device=state["deviceName"],
                InstanceId=state["instanceId"],
                VolumeId=state["volumeId"],
                Force=bool(state.get("forceDetach")),
            ),
            "IncorrectState",
        )
        _wait_until_detached(client, state)

    def parse_import_id(self, identifier: str) -> Props:
        device, _, rest = identifier.partition(":")
        volume, _, instance = rest.partition(":")
        return {"deviceName": device, "volumeId": volume, "instanceId": instance}


def _wait_until_detached(client: ApiClient, state: Props) -> None:
    """Gives up where the host still uses the volume: at the deadline, or as the real provider when AWS calls the attachment busy."""
    what = f"attachment of {state['volumeId']} to {state['instanceId']}"
    try:
        client.wait(what, lambda: (_attachment(client, state) or {}).get("State", "detached"), "detached", failure_states=("busy",))
    except ApiError as refusal:
        if refusal.code not in ("UnexpectedState", "Timeout"):
            raise
        remedy = (
            "the host still uses the volume: unmount it there, or stop the host, and try again; stopInstanceBeforeDetaching does so "
            "by itself, forceDetach takes the volume away and loses what is not written"
        )
        raise client.api_error("ec2.detach_volume", refusal.code, f"{refusal.message}: {remedy}") from refusal


def _attachment(client: ApiClient, props: Props) -> dict[str, Any] | None:
    within = filters(volume_id=props["volumeId"], attachment__instance_id=props["instanceId"], attachment__device=props["deviceName"])
    volume = client.first("ec2.describe_volumes", "Volumes", Filters=within)
    attachments: list[dict[str, Any]] = as_list((volume or {}).get("Attachments"))
    return attachments[0] if attachments else None
