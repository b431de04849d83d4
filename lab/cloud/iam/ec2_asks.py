"""What calls to EC2 need: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html

A resource that a call is about brings its own tags (`aws:ResourceTag`); one that it makes brings the tags that the call puts on it
(`aws:RequestTag`), and putting them on is an action of its own, `ec2:CreateTags` with the key `ec2:CreateAction`:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
"""

import re
from collections.abc import Callable, Mapping, Sequence

from lab.cloud.calls import Call
from lab.cloud.iam.ec2_resources import KINDS, MAKES, NAMED
from lab.cloud.iam.needs import REQUEST_TAGS, RESOURCE_TAGS, Need, UnknownCallError, request_tags

_PROFILES = ("IamInstanceProfile.Name", "IamInstanceProfile.Arn")
_ATTRIBUTES_OF_ALL = frozenset({"DescribeAddressesAttribute"})
"""Of the calls that describe an attribute those that policies cannot limit to a resource, as they cannot any other Describe call."""
_LAUNCHED: Sequence[str] = ("instance", "network-interface", "volume")
_LAUNCHED_WITH = {"ImageId": "image", "SubnetId": "subnet", "SecurityGroupId": "security-group", "KeyName": "key-pair"}
_OF_NOBODY = frozenset({"image", "snapshot"})
"""Kinds whose ARNs name no account."""

MakeArn = Callable[[str], str]


def needs(call: Call, arn: MakeArn) -> list[Need]:
    """What a call needs, beside a role that it passes on. `arn` makes an ARN of its end. Raises `UnknownCallError`."""
    if call.action.startswith("Describe") and (not call.action.endswith("Attribute") or call.action in _ATTRIBUTES_OF_ALL):
        return [Need(action=f"ec2:{call.action}")]
    if call.action in {"CreateTags", "DeleteTags"}:
        facts = request_tags(_tags(call, "Tag"))
        found = [_existing(call, kind_of(call, identifier), identifier, arn, facts) for identifier in _values(call, "ResourceId")]
    elif call.action == "RunInstances":
        found = _launch(call, arn)
    else:
        row = NAMED.get(call.action, {})
        found = [
            _existing(call, kind or kind_of(call, identifier), identifier, arn)
            for parameter, kind in row.items()
            for identifier in _values(call, parameter)
        ]
        if row and not _values(call, next(iter(row))):  # the first names what the call is about
            raise UnknownCallError(call)
        found += _made(call, MAKES.get(call.action, ()), arn)
    if not found:
        raise UnknownCallError(call)
    return found


def passed_profile(call: Call) -> str | None:
    """The name of an instance profile that the call gives to an instance."""
    if call.action not in {"RunInstances", "AssociateIamInstanceProfile"}:
        return None
    named = next((call.parameters[key] for key in _PROFILES if key in call.parameters), None)
    return named.rpartition("/")[2] if named else None


def passed_role(call: Call) -> str | None:
    """The ARN of a role that the call hands to VPC flow logs."""
    return call.parameters.get("DeliverLogsPermissionArn") if call.action == "CreateFlowLogs" else None


def kind_of(call: Call, identifier: str) -> str:
    """A resource's kind, by the beginning of its id. Raises `UnknownCallError`."""
    kind = KINDS.get(identifier.partition("-")[0])
    if kind is None:
        raise UnknownCallError(call)
    return kind


def on_resource(call: Call, kind: str, identifier: str, arn: MakeArn) -> Need:
    """The call's action on a resource that exists."""
    return _existing(call, kind, identifier, arn)


def _existing(call: Call, kind: str, identifier: str, arn: MakeArn, facts: Mapping[str, tuple[str, ...]] | None = None) -> Need:
    whole = arn(f"{kind}/{identifier}")
    if kind in _OF_NOBODY:
        parts = whole.split(":")
        whole = ":".join([*parts[:4], "", *parts[5:]])
    return Need(
        action=f"ec2:{call.action}",
        resource=whole,
        facts=facts or {},
        tags_of=identifier if kind in KINDS.values() and kind not in _OF_NOBODY else "",
        subnet_of=identifier if kind == "network-interface" else "",
        worked_out=REQUEST_TAGS,
    )


def _made(call: Call, kinds: Sequence[str], arn: MakeArn) -> list[Need]:
    """The call's action on what it makes, and the tags that it puts on that."""
    tags = _specified_tags(call)
    if set(tags) - set(kinds):
        raise UnknownCallError(call)
    found: list[Need] = []
    for kind in kinds:
        if kind == "security-group-rule" and kind not in tags:
            continue
        facts = request_tags(tags.get(kind, {}))
        # What is about to be made has no tags yet.
        found.append(Need(action=f"ec2:{call.action}", resource=arn(f"{kind}/*"), facts=facts, worked_out=REQUEST_TAGS + RESOURCE_TAGS))
        if kind in tags:
            found.append(
                Need(
                    action="ec2:CreateTags",
                    resource=arn(f"{kind}/*"),
                    facts={**facts, "ec2:createaction": (call.action,)},
                    worked_out=REQUEST_TAGS + RESOURCE_TAGS,
                )
            )
    return found


def _launch(call: Call, arn: MakeArn) -> list[Need]:
    if any(key.startswith("LaunchTemplate") for key in call.parameters):
        raise UnknownCallError(call)
    found = _made(call, _LAUNCHED, arn)
    for key, value in call.parameters.items():
        parameter = re.sub(r"^NetworkInterface\.\d+\.|\.\d+$", "", key)
        if parameter in _LAUNCHED_WITH:
            found.append(_existing(call, _LAUNCHED_WITH[parameter], value, arn))
    return found


def _values(call: Call, parameter: str) -> list[str]:
    """A parameter's value or values (`InstanceId`, `InstanceId.1`)."""
    numbered = re.compile(rf"{parameter}(\.\d+)?")
    return [value for key, value in call.parameters.items() if numbered.fullmatch(key) and value]


def _tags(call: Call, prefix: str) -> dict[str, str]:
    """The tags below a numbered parameter (`Tag.1.Key`, `Tag.1.Value`)."""
    numbered = re.compile(rf"{re.escape(prefix)}\.(\d+)\.Key")
    found = {match[1]: value for key, value in call.parameters.items() if (match := numbered.fullmatch(key))}
    return {key: call.parameters.get(f"{prefix}.{number}.Value", "") for number, key in found.items()}


def _specified_tags(call: Call) -> dict[str, dict[str, str]]:
    """The tags of each kind of resource that the call makes."""
    found: dict[str, dict[str, str]] = {}
    for key, kind in call.parameters.items():
        if match := re.fullmatch(r"(TagSpecification\.\d+)\.ResourceType", key):
            found.setdefault(kind, {}).update(_tags(call, f"{match[1]}.Tag"))
    return found
