"""RunInstances: what it rejects, and what it makes besides the instance."""

import base64
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses.instances import InstanceResponse

from lab.cloud.emulator.patching import ec2_error, original, replace
from lab.cloud.images import ROOT_GIGABYTES

USER_DATA_BYTES = 16384
"""The limit before base64 encoding: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""

_run = original(InstanceBackend, "run_instances")
_answer_run = original(InstanceResponse, "run_instances")
_prepare_nics = original(Instance, "prep_nics")


def install() -> None:
    """Patches RunInstances."""
    replace(InstanceBackend, "run_instances", _run_instances)
    replace(InstanceResponse, "run_instances", _run_instances_response)
    replace(Instance, "prep_nics", _prep_nics)
    replace(Instance, "setup_defaults", _add_root_volume)


def _run_instances(backend: Any, image_id: str, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any) -> Any:
    """Rejects what AWS rejects, without leaving an empty reservation behind, and gives every instance a root volume."""
    check_user_data(user_data)
    instance_type = kwargs.get("instance_type")
    image = backend.amis.get(image_id)
    if instance_type and instance_type not in INSTANCE_TYPES:
        raise ec2_error("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")
    if image is not None and instance_type:
        check_architecture(instance_type, image.architecture)
    _check_addresses(backend, kwargs.get("subnet_id"), count)
    known = set(backend.reservations)
    try:
        reservation = _run(backend, image_id, count, user_data, security_group_names, **kwargs)
    except BaseException:
        for left in set(backend.reservations) - known:
            del backend.reservations[left]
        raise
    for instance in reservation.instances:
        instance.launch_time = instance.launch_time.replace(microsecond=0)  # AWS shows whole seconds
        if instance.root_device_name not in instance.block_device_mapping:
            _add_root_volume(instance)
    return reservation


def _run_instances_response(response: Any) -> Any:
    """Applies DisableApiTermination, which moto ignores, and the default of DeleteOnTermination, which in moto is false.

    Volumes made at launch are deleted with the instance; only volumes attached later are kept
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/preserving-volumes-on-termination.html).
    """
    answer = _answer_run(response)
    asked = {mapping.get("DeviceName"): mapping.get("Ebs", {}) for mapping in response._get_param("BlockDeviceMappings", [])}
    for instance in answer.result.instances:
        instance.disable_api_termination = response._get_bool_param("DisableApiTermination", False)
        for device, mapping in instance.block_device_mapping.items():
            if "DeleteOnTermination" not in asked.get(device, {}):
                mapping.delete_on_termination = True
    return answer


def check_user_data(user_data: Any) -> None:
    """Raises AWS's error if the decoded user data is too long. `user_data` is moto's base64 string, or None."""
    if user_data is not None and len(base64.b64decode(str(user_data))) > USER_DATA_BYTES:
        raise ec2_error("InvalidParameterValue", f"User data is limited to {USER_DATA_BYTES} bytes")


def check_architecture(instance_type: str, architecture: str) -> None:
    """Raises AWS's error if an instance type cannot boot an image of this architecture."""
    supported = INSTANCE_TYPES[instance_type]["ProcessorInfo"]["SupportedArchitectures"]
    if architecture not in supported:
        raise ec2_error(
            "InvalidParameterValue",
            f"The architecture '{','.join(supported)}' of the specified instance type does not match the architecture '{architecture}' "
            "of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
        )


def _check_addresses(backend: Any, subnet_id: str | None, count: int) -> None:
    """Raises AWS's error if a subnet has fewer than `count` free addresses.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    if subnet_id and count > backend.get_subnet(subnet_id).available_ip_address_count:
        raise ec2_error(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of instances.",
        )


def _prep_nics(instance: Any, nic_spec: list[dict[str, Any]], *args: Any, **kwargs: Any) -> None:
    """Deletes an interface made at launch with its instance, unless the launch says otherwise; moto keeps it and its address."""
    kept = {int(nic["DeviceIndex"]) for nic in nic_spec if nic.get("NetworkInterfaceId") or nic.get("DeleteOnTermination") is False}
    _prepare_nics(instance, nic_spec, *args, **kwargs)
    for index, nic in instance.nics.items():
        if index not in kept:
            nic.delete_on_termination = True


def _add_root_volume(instance: Any) -> None:
    """Adds the root volume under the image's root device name; moto always uses /dev/sda1."""
    instance.add_block_device(
        ROOT_GIGABYTES,
        instance.root_device_name,
        snapshot_id=None,
        encrypted=False,
        delete_on_termination=True,
        kms_key_id=None,
        volume_type="gp3",
    )
