"""What calls to EC2 need: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html"""

import re
from collections.abc import Callable, Mapping, Sequence

from lab.cloud.calls import Call
from lab.cloud.iam.needs import Need, UnknownCallError

_NAMED: Mapping[str, Mapping[str, str]] = {
    "AssociateAddress": {"AllocationId": "elastic-ip", "InstanceId": "instance", "NetworkInterfaceId": "network-interface"},
    "AssociateIamInstanceProfile": {"InstanceId": "instance"},
    "AttachVolume": {"VolumeId": "volume", "InstanceId": "instance"},
    "AuthorizeSecurityGroupEgress": {"GroupId": "security-group"},
    "AuthorizeSecurityGroupIngress": {"GroupId": "security-group"},
    "CreateRoute": {"RouteTableId": "route-table"},
    "DeleteRoute": {"RouteTableId": "route-table"},
    "DeleteSnapshot": {"SnapshotId": "snapshot"},
    "DeleteVolume": {"VolumeId": "volume"},
    "DetachVolume": {"VolumeId": "volume", "InstanceId": "instance"},
    "ModifyInstanceAttribute": {"InstanceId": "instance"},
    "ModifyInstanceMetadataOptions": {"InstanceId": "instance"},
    "RebootInstances": {"InstanceId": "instance"},
    "ReleaseAddress": {"AllocationId": "elastic-ip"},
    "ReplaceRoute": {"RouteTableId": "route-table"},
    "RevokeSecurityGroupEgress": {"GroupId": "security-group"},
    "RevokeSecurityGroupIngress": {"GroupId": "security-group"},
    "StartInstances": {"InstanceId": "instance"},
    "StopInstances": {"InstanceId": "instance"},
    "TerminateInstances": {"InstanceId": "instance"},
}
"""By call: the parameters that name resources, and of which kind. Where a call names several, each must be allowed."""
_TAGGED: Mapping[str, str] = {
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "i": "instance",
    "sg": "security-group",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
}
"""Kinds by the prefix of their ids, for tags."""
_LAUNCHED: Sequence[str] = ("instance/*", "network-interface/*", "volume/*")
_PROFILES = ("IamInstanceProfile.Name", "IamInstanceProfile.Arn")


def needs(call: Call, arn: Callable[[str], str]) -> list[Need]:
    """What a call needs, beside a role that it passes on. `arn` makes an ARN of its end. Raises `UnknownCallError`."""
    action = f"ec2:{call.action}"
    if call.action.startswith("Describe") and not call.action.endswith("Attribute"):
        return [Need(action=action)]
    if call.action in {"CreateTags", "DeleteTags"}:
        found = [_tagged(call, identifier) for identifier in _values(call, "ResourceId")]
    elif call.action == "RunInstances":
        found = _launch(call)
    else:
        row = _NAMED.get(call.action, {})
        found = [f"{kind}/{identifier}" for parameter, kind in row.items() for identifier in _values(call, parameter)]
        if set(row) and not _values(call, next(iter(row))):  # the first names what the call is about
            raise UnknownCallError(call)
    if not found:
        raise UnknownCallError(call)
    return [Need(action=action, resource=arn(end)) for end in found]


def passed_profile(call: Call) -> str | None:
    """The name of an instance profile that the call gives to an instance."""
    if call.action not in {"RunInstances", "AssociateIamInstanceProfile"}:
        return None
    named = next((call.parameters[key] for key in _PROFILES if key in call.parameters), None)
    return named.rpartition("/")[2] if named else None


def _values(call: Call, parameter: str) -> list[str]:
    """A parameter's value or values (`InstanceId`, `InstanceId.1`)."""
    numbered = re.compile(rf"{parameter}(\.\d+)?")
    return [value for key, value in call.parameters.items() if numbered.fullmatch(key) and value]


def _tagged(call: Call, identifier: str) -> str:
    kind = _TAGGED.get(identifier.partition("-")[0])
    if kind is None:
        raise UnknownCallError(call)
    return f"{kind}/{identifier}"


def _launch(call: Call) -> list[str]:
    if any(key.startswith(("LaunchTemplate", "TagSpecification")) for key in call.parameters):
        raise UnknownCallError(call)
    named = {"ImageId": "image", "SubnetId": "subnet", "SecurityGroupId": "security-group", "KeyName": "key-pair"}
    ends = list(_LAUNCHED)
    for key, value in call.parameters.items():
        parameter = re.sub(r"^NetworkInterface\.\d+\.|\.\d+$", "", key)
        if parameter in named:
            ends.append(f"{named[parameter]}/{value}")
    return ends
