"""Instances as EC2 has them: looked up, waited for, changed by one attribute a call."""

from __future__ import annotations

from typing import Any

from lab.provider.api_client import ApiClient
from lab.provider.rules.model import as_dict


def describe(client: ApiClient, identifier: str) -> dict[str, Any] | None:
    """The instance as EC2 describes it, None where it does not know it (any more)."""
    reservation = client.first("ec2.describe_instances", "Reservations", InstanceIds=[identifier])
    return reservation["Instances"][0] if reservation else None


def wait_for(client: ApiClient, identifier: str, target: str, *, failure_states: tuple[str, ...] = ()) -> None:
    """Until the machine itself is in the state; an instance that EC2 has forgotten is terminated."""

    def state() -> str:
        instance = describe(client, identifier)
        return str(instance["State"]["Name"]) if instance else "terminated"

    client.wait(f"instance {identifier}", state, target, failure_states=failure_states)


def stop(client: ApiClient, identifier: str) -> None:
    """Stops it and waits until it is stopped. Raises Refusal where it has been terminated.

    Without a look at its state first: `stopInstance` in ec2_instance.go, `stopVolumeAttachmentInstance` in ebs_volume_attachment.go.
    """
    client.call("ec2.stop_instances", InstanceIds=[identifier])
    wait_for(client, identifier, "stopped", failure_states=("terminated",))


def modify(client: ApiClient, identifier: str, **attribute: Any) -> None:
    """EC2 takes one attribute a call."""
    client.call("ec2.modify_instance_attribute", InstanceId=identifier, **attribute)


def attribute(client: ApiClient, identifier: str, name: str, key: str) -> Any:
    """An attribute that DescribeInstances does not show."""
    answer = client.call("ec2.describe_instance_attribute", InstanceId=identifier, Attribute=name)
    return as_dict(answer.get(key)).get("Value")


def type_info(client: ApiClient, instance_type: str) -> dict[str, Any]:
    """What EC2 says of an instance type; nothing where it does not know it."""
    return client.first("ec2.describe_instance_types", "InstanceTypes", InstanceTypes=[instance_type]) or {}
