"""The permissions boundary in docs/deploying.md allows what the hosts of its environment do, and nothing of another's."""

import json
from typing import Any

import pytest
from webstack_host.variables import Role

from lab.cloud.iam.evaluation import ApplicablePolicies, deny_reason
from lab.cloud.iam.permission import RESOURCE_TAG_KEYS, resource_tag_context
from lab.cloud.iam.request_context import Principal, RequestContext
from lab.cloud.iam.statements import AuthorizationRequest, parse_policy
from lab.paths import REPOSITORY
from stack.identity import policy_document
from stack.roles import ROLES, role_spec
from stack.roles.spec import PolicyInputs

ACCOUNT = "123456789012"
SOMEBODY = Principal(account=ACCOUNT, role_arn=f"arn:aws:iam::{ACCOUNT}:role/x", session_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y")


def written() -> dict[str, Any]:
    """The one policy that the document holds whole."""
    section = (REPOSITORY / "docs/deploying.md").read_text().partition("## 2.")[2].partition("\n## ")[0]
    return json.loads(section[section.index("    {\n") : section.rindex("    }\n") + 6])


def names(stack: str) -> dict[str, str]:
    return {
        "bucket": f"arn:aws:s3:::{stack}-artifacts-0a1b2c3",
        "secret": f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:webstack/{stack}-x7k2abcd/app-writer-AbCdEf",
        "address": f"arn:aws:ec2:eu-central-1:{ACCOUNT}:elastic-ip/eipalloc-1",
        "logs": f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:{stack}-flow-logs-0a1b2c3",
    }


def may(action: str, resource: str, stack: str) -> bool:
    """Whether a role may do it, to a thing with a stack's tags, if its own policy says so."""
    facts = RequestContext(values=resource_tag_context({"project": "webstack", "environment": stack}), supported_prefixes=RESOURCE_TAG_KEYS)
    return (
        deny_reason(
            AuthorizationRequest(action=action, resource=resource, context=facts),
            SOMEBODY,
            ApplicablePolicies(identity=parse_policy(written())),
        )
        is None
    )


def asked(role: Role, stack: str) -> list[tuple[str, str]]:
    """Each action and resource of a tier's policy, with the environment's names."""
    own = names(stack)
    document = policy_document(
        role_spec(role),
        PolicyInputs(
            bucket_arn=own["bucket"],
            role_id="AROA1",
            secret_arns=(own["secret"],),
            elastic_ip_arn=own["address"],
            configuration_keys=("x.yaml",),
        ),
    )
    found: list[tuple[str, str]] = []
    for statement in json.loads(document)["Statement"]:
        resources = [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
        found += [(action, one if one == "*" else one.replace("*", "x")) for action in statement["Action"] for one in resources]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_hosts_do_what_their_policies_say(role: Role) -> None:
    assert len(asked(role, "prod")) > 15
    assert [one for one in asked(role, "prod") if not may(*one, "prod")] == []


def test_flow_logs_are_written() -> None:
    group = names("prod")["logs"]
    for action in ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"):
        assert may(action, group, "prod")
        assert may(action, f"{group}:log-stream:eni-1", "prod")


@pytest.mark.parametrize("stack", ["dev", "prod2", "prod-eu"])
def test_nothing_of_another_environment_is_reached(stack: str) -> None:
    everywhere = {action for role in ROLES for action, resource in asked(role, stack) if resource == "*"}
    reached = {one for role in ROLES for one in asked(role, stack) if one[0] not in everywhere and may(*one, stack)}
    assert reached == set()
    assert not may("logs:PutLogEvents", names(stack)["logs"], stack)


@pytest.mark.parametrize(
    "action", ["iam:CreateRole", "iam:PassRole", "sts:AssumeRole", "s3:DeleteObject", "ec2:RunInstances", "kms:Decrypt"]
)
def test_nothing_else_is_done_by_a_host(action: str) -> None:
    assert not any(may(action, resource, "prod") for resource in ("*", *names("prod").values()))
