"""Volumes: what AttachVolume refuses, and what DetachVolume may leave out.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html
"""

from typing import Any

from moto.ec2.models.elastic_block_store import EBSBackend

from lab.cloud.emulator.patching import original, refusal, replace

_attach = original(EBSBackend, "attach_volume")
_detach = original(EBSBackend, "detach_volume")


def install() -> None:
    """A volume is on one instance at a time, in its own zone, under a free device name; moto checks none of it."""
    replace(EBSBackend, "attach_volume", _attach_volume)
    replace(EBSBackend, "detach_volume", _detach_volume)


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
        raise refusal("VolumeInUse", f"{volume_id} is already attached to an instance")
    if volume is not None and instance is not None:
        if volume.availability_zone != instance.availability_zone:
            raise refusal(
                "InvalidVolume.ZoneMismatch", f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'"
            )
        if instance.state in {"shutting-down", "terminated"}:
            raise refusal("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
        if device_path in instance.block_device_mapping:
            raise refusal(
                "InvalidParameterValue",
                f"Invalid value '{device_path}' for unixDevice. Attachment point {device_path} is already in use",
            )
    return _attach(backend, volume_id, instance_id, device_path, delete_on_termination)


def _detach_volume(backend: Any, volume_id: str, instance_id: str | None, device_path: str | None) -> Any:
    """The instance may be left out, as a volume is on one at a time; moto fails then."""
    volume = backend.get_volume(volume_id)
    if volume is None:
        raise refusal("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
    if volume.attachment is None:
        raise refusal("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
    return _detach(backend, volume_id, instance_id or volume.attachment.instance.id, device_path)
