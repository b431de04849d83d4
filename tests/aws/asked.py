"""What a life asked, made the lines that policies are made of (`ops.rights.needs`)."""

import re
from collections.abc import Iterable

from lab.cloud.iam.statements import Ask
from ops.rights.needs import Line, Under
from stack.naming import PROJECT
from tests.aws.api import REGION
from tests.aws.judged import ACCOUNT

_BOUNDED = frozenset({"iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"})
"""What gives a role its rights."""
_DIGITS = re.compile(r"-[0-9a-f]{7}(?=$|/|:)")
"""What the engine puts behind the names that it makes."""


def lines(asks: Iterable[Ask], stack: str) -> set[Line]:
    """The lines by which these asks are allowed."""
    return {Line(action=ask.action, on=_on(ask, stack), under=_under(ask, stack)) for ask in asks}


def _on(ask: Ask, stack: str) -> str:
    service, resource = ask.action.partition(":")[0], ask.resource
    if resource == "*":
        return resource
    if service == "ec2":
        return resource.split(":")[5].partition("/")[0] + "/*"
    named = _DIGITS.sub("-???????", resource)
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


def _under(ask: Ask, stack: str) -> Under:
    facts = ask.facts.values
    wanted = {"project": PROJECT, "environment": stack}

    def bears(key: str) -> bool:
        return all(facts.get(f"{key}/{name}") == (value,) for name, value in wanted.items())

    if ask.action == "iam:PassRole":
        return "ec2" if facts["iam:passedtoservice"] == ("ec2.amazonaws.com",) else "vpc-flow-logs"
    if ask.action in _BOUNDED:
        return "bounded"
    if ask.action == "route53:ChangeResourceRecordSets":
        return "records"
    if not ask.action.startswith("ec2:"):
        return ""
    if ask.action == "ec2:DisassociateAddress":
        return "not-others"
    if bears("aws:resourcetag"):
        return "own"
    if not bears("aws:requesttag"):
        return ""
    if ask.action != "ec2:CreateTags":
        return "new"
    return "made" if "ec2:createaction" in facts else "untagged"
