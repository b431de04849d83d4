"""What calls to Route 53 need: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonroute53.html"""

from collections.abc import Mapping
from dataclasses import replace

from lab.cloud.calls import Call
from lab.cloud.iam.bodies import texts, xml_body
from lab.cloud.iam.needs import Need, UnknownCallError

_OF_ZONES = frozenset(
    {"ChangeResourceRecordSets", "DeleteHostedZone", "GetHostedZone", "ListResourceRecordSets", "UpdateHostedZoneComment"}
)
_OF_TAGS = frozenset({"ChangeTagsForResource", "ListTagsForResource"})
_ON_EVERYTHING = frozenset({"CreateHostedZone", "GetHostedZoneCount", "ListHostedZones", "ListHostedZonesByName", "ListHostedZonesByVPC"})
_WITH_VPC = frozenset({"CreateHostedZone", "ListHostedZonesByVPC"})


def needs(call: Call, partition: str) -> list[Need]:
    """What a call needs. Raises `UnknownCallError`."""
    action, parameters = f"route53:{call.action}", call.parameters
    zone = f"arn:{partition}:route53:::hostedzone"
    if call.action in _ON_EVERYTHING:
        # A private zone's VPC is looked at on the caller's behalf: `ec2:DescribeVpcs` is a dependent action of both.
        return [Need(action=action), *([Need(action="ec2:DescribeVpcs")] if call.action in _WITH_VPC else [])]
    if call.action in _OF_ZONES and parameters.get("Id"):
        need = Need(action=action, resource=f"{zone}/{parameters['Id']}")
        return [replace(need, facts=_changes(call)) if call.action == "ChangeResourceRecordSets" else need]
    if call.action in _OF_TAGS and parameters.get("ResourceType") == "hostedzone" and parameters.get("ResourceId"):
        return [Need(action=action, resource=f"{zone}/{parameters['ResourceId']}")]
    if call.action == "GetChange" and parameters.get("Id"):
        return [Need(action=action, resource=f"arn:{partition}:route53:::change/{parameters['Id']}")]
    raise UnknownCallError(call)


def _changes(call: Call) -> Mapping[str, tuple[str, ...]]:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html

    Names are normalized: small letters and no dot at the end.
    """
    body = xml_body(call)
    # Only a record set's own name: an alias' target is a DNSName.
    names = {text.lower().removesuffix(".") for text in texts(body, "Name")}
    prefix = "route53:changeresourcerecordsets"
    return {
        f"{prefix}normalizedrecordnames": tuple(sorted(names)),
        f"{prefix}recordtypes": tuple(sorted(set(texts(body, "Type")))),
        f"{prefix}actions": tuple(sorted(set(texts(body, "Action")))),
    }
