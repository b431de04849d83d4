"""Instances as EC2 has them: looked up, waited for, changed by one attribute a call."""

from __future__ import annotations

from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.rules.model import nested


def describe(cloud: Cloud, identifier: str) -> dict[str, Any] | None:
    """The instance as EC2 describes it, None where it does not know it (any more)."""
    reservation = cloud.first("ec2.describe_instances", "Reservations", InstanceIds=[identifier])
    return reservation["Instances"][0] if reservation else None


def wait_for(cloud: Cloud, identifier: str, wanted: str, *, bad: tuple[str, ...] = ()) -> None:
    """Until the machine itself is in the state; an instance that EC2 has forgotten is terminated."""

    def state() -> str:
        instance = describe(cloud, identifier)
        return str(instance["State"]["Name"]) if instance else "terminated"

    cloud.wait(f"instance {identifier}", state, wanted, bad=bad)


def stop(cloud: Cloud, identifier: str) -> None:
    """Stops it and waits until it is stopped. Raises Refusal where it has been terminated.

    Without a look at its state first: `stopInstance` in ec2_instance.go, `stopVolumeAttachmentInstance` in ebs_volume_attachment.go.
    """
    cloud.call("ec2.stop_instances", InstanceIds=[identifier])
    wait_for(cloud, identifier, "stopped", bad=("terminated",))


def modify(cloud: Cloud, identifier: str, **attribute: Any) -> None:
    """EC2 takes one attribute a call."""
    cloud.call("ec2.modify_instance_attribute", InstanceId=identifier, **attribute)


def attribute(cloud: Cloud, identifier: str, name: str, key: str) -> Any:
    """An attribute that DescribeInstances does not show."""
    answer = cloud.call("ec2.describe_instance_attribute", InstanceId=identifier, Attribute=name)
    return nested(answer.get(key)).get("Value")


def type_info(cloud: Cloud, instance_type: str) -> dict[str, Any]:
    """What EC2 says of an instance type; nothing where it does not know it."""
    return cloud.first("ec2.describe_instance_types", "InstanceTypes", InstanceTypes=[instance_type]) or {}
