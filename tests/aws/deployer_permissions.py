"""What a life asked, made the lines that policies are made of (`ops.permissions.required`)."""

import re
from collections.abc import Iterable

from lab.cloud.iam.statements import AuthorizationRequest
from ops.permissions.required import ConditionKind, DeployerPermission
from stack.naming import PROJECT
from tests.aws.api import REGION
from tests.aws.iam_enforced_api import ACCOUNT

_BOUNDARY_ACTIONS = frozenset({"iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"})
"""What gives a role its rights."""
_RANDOM_SUFFIX = re.compile(r"-[0-9a-f]{7}(?=$|/|:)")
"""What the engine puts behind the names that it makes."""


def permissions_from(requests: Iterable[AuthorizationRequest], stack: str) -> set[DeployerPermission]:
    """The lines by which these asks are allowed."""
    return {
        DeployerPermission(action=ask.action, resource=_resource_pattern(ask, stack), condition=_condition_kind(ask, stack))
        for ask in requests
    }


def _resource_pattern(request: AuthorizationRequest, stack: str) -> str:
    service, resource = request.action.partition(":")[0], request.resource
    if resource == "*":
        return resource
    if service == "ec2":
        return resource.split(":")[5].partition("/")[0] + "/*"
    named = _RANDOM_SUFFIX.sub("-???????", resource)
    if service == "s3":
        bucket, slash, key = named.partition("/")
        named = bucket + (f"/{key.partition('/')[0]}/*" if slash else "")
    elif service == "route53":
        named = re.sub(r"(hostedzone|change)/.*", r"\1/*", named)
    elif service == "secretsmanager":
        own = f":secret:{PROJECT}/{stack}-"
        named = re.sub(rf"{re.escape(own)}.*", f":secret:{PROJECT}/{{stack}}-????????/*", named)
    elif service == "logs":
        named = re.sub(r":log-stream:$", ":*", named)
    for old, new in (("arn:aws:", "arn:{partition}:"), (REGION, "{region}"), (ACCOUNT, "{account}"), (f"{stack}-", "{stack}-")):
        named = named.replace(old, new)
    return named


def _condition_kind(request: AuthorizationRequest, stack: str) -> ConditionKind:
    facts = request.context.values
    wanted = {"project": PROJECT, "environment": stack}

    def bears(key: str) -> bool:
        return all(facts.get(f"{key}/{name}") == (value,) for name, value in wanted.items())

    if request.action == "iam:PassRole":
        return "ec2" if facts["iam:passedtoservice"] == ("ec2.amazonaws.com",) else "vpc-flow-logs"
    if request.action in _BOUNDARY_ACTIONS:
        return "bounded"
    if request.action == "route53:ChangeResourceRecordSets":
        return "records"
    if not request.action.startswith("ec2:"):
        return ""
    if request.action == "ec2:DisassociateAddress":
        return "not-others"
    if bears("aws:resourcetag"):
        return "own"
    if not bears("aws:requesttag"):
        return ""
    if request.action != "ec2:CreateTags":
        return "new"
    return "made" if "ec2:createaction" in facts else "untagged"
