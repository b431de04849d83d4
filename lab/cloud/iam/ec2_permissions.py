"""What calls to EC2 need: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html

For an existing resource the context has its tags (`aws:ResourceTag`); for one that the call creates, the tags in the call
(`aws:RequestTag`). Tagging at creation also needs the action `ec2:CreateTags`, with the key `ec2:CreateAction`:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
"""

import re
from collections.abc import Callable, Mapping, Sequence

from lab.cloud.calls import Call
from lab.cloud.iam.ec2_resources import CREATED_RESOURCES, REFERENCED_RESOURCES, RESOURCE_TYPES
from lab.cloud.iam.permission import REQUEST_TAG_KEYS, RESOURCE_TAG_KEYS, RequiredPermission, UnknownCallError, request_tag_context

_PROFILE_PARAMETERS = ("IamInstanceProfile.Name", "IamInstanceProfile.Arn")
_UNSCOPED_ATTRIBUTE_CALLS = frozenset({"DescribeAddressesAttribute"})
"""Calls that describe an attribute and, like other Describe calls, cannot be limited to a resource by policies."""
_CREATED_AT_LAUNCH: Sequence[str] = ("instance", "network-interface", "volume")
_REFERENCED_AT_LAUNCH = {"ImageId": "image", "SubnetId": "subnet", "SecurityGroupId": "security-group", "KeyName": "key-pair"}
_ACCOUNTLESS_TYPES = frozenset({"image", "snapshot"})
"""Kinds of resources whose ARNs contain no account."""

MakeArn = Callable[[str], str]


def permissions_for(call: Call, arn: MakeArn) -> list[RequiredPermission]:
    """Returns what a call needs, except `iam:PassRole`. `arn` makes an ARN from its last part. Raises `UnknownCallError`."""
    if call.action.startswith("Describe") and (not call.action.endswith("Attribute") or call.action in _UNSCOPED_ATTRIBUTE_CALLS):
        return [RequiredPermission(action=f"ec2:{call.action}")]
    if call.action in {"CreateTags", "DeleteTags"}:
        facts = request_tag_context(_tags(call, "Tag"))
        found = [
            _permission_on_existing(call, resource_type(call, identifier), identifier, arn, facts)
            for identifier in _values(call, "ResourceId")
        ]
    elif call.action == "RunInstances":
        found = _launch_permissions(call, arn)
    else:
        row = REFERENCED_RESOURCES.get(call.action, {})
        found = [
            _permission_on_existing(call, kind or resource_type(call, identifier), identifier, arn)
            for parameter, kind in row.items()
            for identifier in _values(call, parameter)
        ]
        if row and not _values(call, next(iter(row))):  # the first parameter names the call's main resource
            raise UnknownCallError(call)
        found += _permissions_on_created(call, CREATED_RESOURCES.get(call.action, ()), arn)
    if not found:
        raise UnknownCallError(call)
    return found


def passed_profile(call: Call) -> str | None:
    """Returns the name of the instance profile that the call gives to an instance, if any."""
    if call.action not in {"RunInstances", "AssociateIamInstanceProfile"}:
        return None
    named = next((call.parameters[key] for key in _PROFILE_PARAMETERS if key in call.parameters), None)
    return named.rpartition("/")[2] if named else None


def passed_role(call: Call) -> str | None:
    """Returns the ARN of the role that the call passes to VPC flow logs, if any."""
    return call.parameters.get("DeliverLogsPermissionArn") if call.action == "CreateFlowLogs" else None


def resource_type(call: Call, identifier: str) -> str:
    """Returns a resource's kind from the prefix of its id. Raises `UnknownCallError`."""
    kind = RESOURCE_TYPES.get(identifier.partition("-")[0])
    if kind is None:
        raise UnknownCallError(call)
    return kind


def resource_permission(call: Call, kind: str, identifier: str, arn: MakeArn) -> RequiredPermission:
    """Returns the permission for the call's action on an existing resource."""
    return _permission_on_existing(call, kind, identifier, arn)


def _permission_on_existing(
    call: Call, kind: str, identifier: str, arn: MakeArn, context: Mapping[str, tuple[str, ...]] | None = None
) -> RequiredPermission:
    whole = arn(f"{kind}/{identifier}")
    if kind in _ACCOUNTLESS_TYPES:
        parts = whole.split(":")
        whole = ":".join([*parts[:4], "", *parts[5:]])
    return RequiredPermission(
        action=f"ec2:{call.action}",
        resource=whole,
        context=context or {},
        tags_of=identifier if kind in RESOURCE_TYPES.values() and kind not in _ACCOUNTLESS_TYPES else "",
        subnet_of=identifier if kind == "network-interface" else "",
        supported_prefixes=REQUEST_TAG_KEYS,
    )


def _permissions_on_created(call: Call, kinds: Sequence[str], arn: MakeArn) -> list[RequiredPermission]:
    """Returns the permissions for the call's action on what it creates, and for tagging it."""
    tags = _specified_tags(call)
    if set(tags) - set(kinds):
        raise UnknownCallError(call)
    found: list[RequiredPermission] = []
    for kind in kinds:
        if kind == "security-group-rule" and kind not in tags:
            continue
        facts = request_tag_context(tags.get(kind, {}))
        # A resource that does not exist yet has no tags.
        found.append(
            RequiredPermission(
                action=f"ec2:{call.action}",
                resource=arn(f"{kind}/*"),
                context=facts,
                supported_prefixes=REQUEST_TAG_KEYS + RESOURCE_TAG_KEYS,
            )
        )
        if kind in tags:
            found.append(
                RequiredPermission(
                    action="ec2:CreateTags",
                    resource=arn(f"{kind}/*"),
                    context={**facts, "ec2:createaction": (call.action,)},
                    supported_prefixes=REQUEST_TAG_KEYS + RESOURCE_TAG_KEYS,
                )
            )
    return found


def _launch_permissions(call: Call, arn: MakeArn) -> list[RequiredPermission]:
    if any(key.startswith("LaunchTemplate") for key in call.parameters):
        raise UnknownCallError(call)
    found = _permissions_on_created(call, _CREATED_AT_LAUNCH, arn)
    for key, value in call.parameters.items():
        parameter = re.sub(r"^NetworkInterface\.\d+\.|\.\d+$", "", key)
        if parameter in _REFERENCED_AT_LAUNCH:
            found.append(_permission_on_existing(call, _REFERENCED_AT_LAUNCH[parameter], value, arn))
    return found


def _values(call: Call, parameter: str) -> list[str]:
    """Returns a parameter's value or values (`InstanceId`, `InstanceId.1`)."""
    numbered = re.compile(rf"{parameter}(\.\d+)?")
    return [value for key, value in call.parameters.items() if numbered.fullmatch(key) and value]


def _tags(call: Call, prefix: str) -> dict[str, str]:
    """Returns the tags below a numbered parameter (`Tag.1.Key`, `Tag.1.Value`)."""
    numbered = re.compile(rf"{re.escape(prefix)}\.(\d+)\.Key")
    found = {match[1]: value for key, value in call.parameters.items() if (match := numbered.fullmatch(key))}
    return {key: call.parameters.get(f"{prefix}.{number}.Value", "") for number, key in found.items()}


def _specified_tags(call: Call) -> dict[str, dict[str, str]]:
    """Returns the tags in the call for each kind of resource that it creates."""
    found: dict[str, dict[str, str]] = {}
    for key, kind in call.parameters.items():
        if match := re.fullmatch(r"(TagSpecification\.\d+)\.ResourceType", key):
            found.setdefault(kind, {}).update(_tags(call, f"{match[1]}.Tag"))
    return found
