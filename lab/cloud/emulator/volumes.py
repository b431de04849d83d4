"""Volumes: what AttachVolume rejects, how long DetachVolume takes, and what happens to volumes when their instance is terminated.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/preserving-volumes-on-termination.html
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.elastic_block_store import EBSBackend, VolumeAttachment
from moto.ec2.models.instances import Instance
from moto.ec2.responses.instances import InstanceResponse

from lab.cloud.emulator.instance_state import backends
from lab.cloud.emulator.patching import ec2_error, original, replace

_attach = original(EBSBackend, "attach_volume")
_detach = original(EBSBackend, "detach_volume")
_modify_mappings = original(InstanceResponse, "_block_device_mapping_handler")

_DETACHING = frozenset({"detaching", "busy"})
"""The states of an attachment during a detach. AWS's page on DetachVolume: a volume stays `busy` while it is mounted."""


def install(*, machines: bool) -> None:
    """Attaches a volume only to one instance at a time, in its own zone, under a free device name; moto checks none of this.

    With `machines`, a volume stays `detaching` until it is reported that the instance's machine no longer has it.
    """

    def detach(backend: Any, volume_id: str, instance_id: str | None, device_path: str | None) -> Any:
        attachment = _require_detachable(backend, volume_id)
        instance = attachment.instance
        if machines and instance.state != "stopped" and instance_id in {None, instance.id} and device_path in {None, attachment.device}:
            if attachment.status not in _DETACHING:
                attachment.status = instance.block_device_mapping[attachment.device].status = "detaching"
            return attachment
        return _detach(backend, volume_id, instance_id or instance.id, device_path)

    replace(EBSBackend, "attach_volume", _attach_volume)
    replace(EBSBackend, "detach_volume", detach)
    replace(Instance, "teardown_defaults", _release_volumes)
    VolumeAttachment.delete_on_termination = property(_delete_on_termination)  # type: ignore[attr-defined]
    describe = original(InstanceResponse, "describe_instance_attribute")

    def describe_attribute(response: Any) -> Any:
        return _describe_mappings(response) if response._get_param("Attribute") == "blockDeviceMapping" else describe(response)

    replace(InstanceResponse, "describe_instance_attribute", describe_attribute)
    replace(InstanceResponse, "_block_device_mapping_handler", _modify_block_device_mappings)


def volume_detached(instance_id: str, volume_id: str) -> str:
    """Records that the machine does not, or no longer, have the volume. Returns the volume's state. Raises KeyError if it is unknown."""
    volume = _find(volume_id)
    attachment = volume.attachment
    if attachment is not None and attachment.instance.id == instance_id and attachment.status in _DETACHING:
        _detach(volume.ec2_backend, volume_id, instance_id, attachment.device)
    return str(volume.status)


def volume_busy(instance_id: str, volume_id: str) -> str:
    """Records that the machine has kept a `detaching` volume for long. Returns the volume's state. Raises KeyError if it is unknown."""
    volume = _find(volume_id)
    attachment = volume.attachment
    if attachment is not None and attachment.instance.id == instance_id and attachment.status == "detaching":
        attachment.status = "busy"
    return str(volume.status)


def _attach_volume(
    backend: Any,
    volume_id: str,
    instance_id: str,
    device_path: str,
    delete_on_termination: bool = False,
) -> Any:
    volume = backend.get_volume(volume_id)
    instance = backend.get_instance_by_id(instance_id)
    if volume is not None and volume.attachment is not None:
        raise ec2_error("VolumeInUse", f"{volume_id} is already attached to an instance")
    if volume is not None and instance is not None:
        if volume.availability_zone != instance.availability_zone:
            raise ec2_error(
                "InvalidVolume.ZoneMismatch", f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'"
            )
        if instance.state not in {"running", "stopped"}:
            raise ec2_error("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
        if device_path in instance.block_device_mapping:
            raise ec2_error(
                "InvalidParameterValue",
                f"Invalid value '{device_path}' for unixDevice. Attachment point {device_path} is already in use",
            )
    return _attach(backend, volume_id, instance_id, device_path, delete_on_termination)


def _require_detachable(backend: Any, volume_id: str) -> Any:
    """Returns the volume's attachment. The call may omit the instance, since a volume is on one at a time; moto fails without it."""
    volume = backend.volumes.get(volume_id)
    if volume is None:
        raise ec2_error("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
    if volume.attachment is None:
        raise ec2_error("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
    instance = volume.attachment.instance
    if volume.attachment.device == instance.root_device_name and instance.state != "stopped":
        raise ec2_error("IncorrectState", f"Unable to detach root volume '{volume_id}' from instance '{instance.id}'")
    if instance.state in {"shutting-down", "terminated"}:
        raise ec2_error(
            "IncorrectInstanceState",
            f"Unable to detach volume '{volume_id}' from instance '{instance.id}'. "
            "The instance is not in a state in which volumes can be detached.",
        )
    return volume.attachment


def _release_volumes(instance: Any) -> None:
    """Releases the volumes of a terminated instance at once: its machine no longer exists."""
    for device, mapping in list(instance.block_device_mapping.items()):
        _detach(instance.ec2_backend, mapping.volume_id, instance.id, device)
        if mapping.delete_on_termination:
            instance.ec2_backend.delete_volume(mapping.volume_id)


def _delete_on_termination(attachment: Any) -> bool:
    """Returns what DescribeInstances shows, for DescribeVolumes, where moto leaves it out."""
    mapping = attachment.instance.block_device_mapping.get(attachment.device)
    return mapping is not None and bool(mapping.delete_on_termination)


def _describe_mappings(response: Any) -> Any:
    """Answers DescribeInstanceAttribute for `blockDeviceMapping` in a form that boto3 can read; moto's has no content for it."""
    instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
    return ActionResult({"InstanceId": instance.id, "BlockDeviceMappings": instance.block_device_mappings})


def _modify_block_device_mappings(response: Any) -> Any:
    """Rejects a device that the instance does not have; moto crashes."""
    for mapping in response._get_param("BlockDeviceMappings", []):
        device = mapping.get("DeviceName")
        if device not in response.ec2_backend.get_instance(response._get_param("InstanceId")).block_device_mapping:
            raise ec2_error("InvalidInstanceAttributeValue", f"No device is currently mapped at {device}")
    return _modify_mappings(response)


def _find(volume_id: str) -> Any:
    for backend in backends():
        if volume_id in backend.volumes:
            return backend.volumes[volume_id]
    raise KeyError(volume_id)
