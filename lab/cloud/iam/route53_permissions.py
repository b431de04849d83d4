"""What calls to Route 53 need: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonroute53.html"""

from collections.abc import Mapping
from dataclasses import replace

from lab.cloud.calls import Call
from lab.cloud.iam.bodies import element_texts, xml_body
from lab.cloud.iam.permission import RequiredPermission, UnknownCallError

_ZONE_ACTIONS = frozenset(
    {"ChangeResourceRecordSets", "DeleteHostedZone", "GetHostedZone", "ListResourceRecordSets", "UpdateHostedZoneComment"}
)
_TAG_ACTIONS = frozenset({"ChangeTagsForResource", "ListTagsForResource"})
_UNSCOPED_ACTIONS = frozenset(
    {"CreateHostedZone", "GetHostedZoneCount", "ListHostedZones", "ListHostedZonesByName", "ListHostedZonesByVPC"}
)
_VPC_ACTIONS = frozenset({"CreateHostedZone", "ListHostedZonesByVPC"})


def permissions_for(call: Call, partition: str) -> list[RequiredPermission]:
    """Returns what a call needs. Raises `UnknownCallError`."""
    action, parameters = f"route53:{call.action}", call.parameters
    zone = f"arn:{partition}:route53:::hostedzone"
    if call.action in _UNSCOPED_ACTIONS:
        # Route 53 describes a private zone's VPC on the caller's behalf: `ec2:DescribeVpcs` is a dependent action of both calls.
        return [
            RequiredPermission(action=action),
            *([RequiredPermission(action="ec2:DescribeVpcs")] if call.action in _VPC_ACTIONS else []),
        ]
    if call.action in _ZONE_ACTIONS and parameters.get("Id"):
        need = RequiredPermission(action=action, resource=f"{zone}/{parameters['Id']}")
        return [replace(need, context=_change_context(call)) if call.action == "ChangeResourceRecordSets" else need]
    if call.action in _TAG_ACTIONS and parameters.get("ResourceType") == "hostedzone" and parameters.get("ResourceId"):
        return [RequiredPermission(action=action, resource=f"{zone}/{parameters['ResourceId']}")]
    if call.action == "GetChange" and parameters.get("Id"):
        return [RequiredPermission(action=action, resource=f"arn:{partition}:route53:::change/{parameters['Id']}")]
    raise UnknownCallError(call)


def _change_context(call: Call) -> Mapping[str, tuple[str, ...]]:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html

    Names are normalized: lower case, without a final dot.
    """
    body = xml_body(call)
    # Only a record set's own name: an alias's target is a DNSName.
    names = {text.lower().removesuffix(".") for text in element_texts(body, "Name")}
    prefix = "route53:changeresourcerecordsets"
    return {
        f"{prefix}normalizedrecordnames": tuple(sorted(names)),
        f"{prefix}recordtypes": tuple(sorted(set(element_texts(body, "Type")))),
        f"{prefix}actions": tuple(sorted(set(element_texts(body, "Action")))),
    }
