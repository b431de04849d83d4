"""ModifyInstanceAttribute and ModifyInstanceMetadataOptions: what may be changed, and when.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html
"""

import base64
from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses import instances as responses

from lab.cloud.emulator.launch import check_architecture, check_user_data
from lab.cloud.emulator.patching import ec2_error, original, replace

STOPPED_ONLY = frozenset({"instance_type", "user_data", "kernel", "ramdisk", "ebs_optimized"})

_parse_user_data = original(responses, "parse_user_data")
_modify = original(InstanceBackend, "modify_instance_attribute")


def install() -> None:
    """Rejects changes that the instance's state or type does not allow; moto always accepts them."""
    replace(responses, "parse_user_data", _user_data)
    replace(InstanceBackend, "modify_instance_attribute", _modify_instance_attribute)
    replace(InstanceBackend, "modify_instance_metadata_options", _modify_metadata_options)


def _modify_instance_attribute(backend: Any, instance_id: str, key: str, value: Any) -> Any:
    instance = backend.get_instance(instance_id)
    if key in STOPPED_ONLY and instance.state != "stopped":
        raise ec2_error("IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'stopped' state.")
    if key == "user_data":
        check_user_data(value)
    if key == "instance_type":
        if value not in INSTANCE_TYPES:
            raise ec2_error("InvalidInstanceAttributeValue", f"Invalid value '{value}' for InstanceType.")
        check_architecture(value, instance.architecture)
    return _modify(backend, instance_id, key, value)


def _user_data(value: Any) -> Any:
    """Returns the user data as moto expects it. ModifyInstanceAttribute has a blob, which moto has decoded and would decode again."""
    if isinstance(value, bytes):
        return Base64EncodedString(base64.b64encode(value).decode("ascii"))
    return _parse_user_data(value)


def _modify_metadata_options(backend: Any, instance_id: str, **changes: Any) -> Any:
    """Keeps options that a call does not name; moto resets them."""
    instance = backend.get_instance(instance_id)
    if instance.state in {"shutting-down", "terminated"}:
        raise ec2_error("IncorrectInstanceState", f"The instance '{instance_id}' is not in a state from which it can be modified.")
    options = instance.metadata_options
    names = {
        "http_tokens": "http_tokens",
        "hop_limit": "http_put_response_hop_limit",
        "http_endpoint": "http_endpoint",
        "http_protocol": "http_protocol_ipv6",
        "metadata_tags": "instance_metadata_tags",
    }
    for argument, attribute in names.items():
        if changes.get(argument) is not None:
            setattr(options, attribute, changes[argument])
    return options
