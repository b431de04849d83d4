"""A deployer of one stack neither changes what is another's nor makes its own pass for another's, by the lab's judge."""

from collections.abc import Mapping

import pytest

from lab.cloud.iam.evaluation import ApplicablePolicies, deny_reason
from lab.cloud.iam.permission import REQUEST_TAG_KEYS, RESOURCE_TAG_KEYS, request_tag_context, resource_tag_context
from lab.cloud.iam.request_context import Principal, RequestContext
from lab.cloud.iam.statements import AuthorizationRequest, parse_policy
from ops.permissions import required
from ops.permissions.policies import PolicyScope, pack_policies, statements

ACCOUNT = "123456789012"
PLACE = PolicyScope(stack="dev", region="eu-central-1", account=ACCOUNT, boundary=f"arn:aws:iam::{ACCOUNT}:policy/webstack-dev-boundary")
SOMEBODY = Principal(account=ACCOUNT, role_arn=f"arn:aws:iam::{ACCOUNT}:role/x", session_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y")
DEV = {"project": "webstack", "environment": "dev"}
PROD = {"project": "webstack", "environment": "prod"}
OTHERS = {"project": "shop", "environment": "dev"}
KINDS = sorted({line.resource for line in required.observed_permissions("up") if line.action == "ec2:CreateTags"})
DOCUMENTS = [
    one
    for policy in pack_policies(
        statements([*required.observed_permissions("up"), *(one.permission for one in required.unobserved_permissions("up"))], PLACE)
    )
    for one in parse_policy(policy)
]


def may(action: str, kind: str, *, has: Mapping[str, str], gets: Mapping[str, str] | None = None) -> bool:
    """Whether dev's deployer may do it to a thing with these tags, giving it those."""
    facts = RequestContext(
        values={**resource_tag_context(has), **request_tag_context(gets or {})}, supported_prefixes=REQUEST_TAG_KEYS + RESOURCE_TAG_KEYS
    )
    resource = f"arn:aws:ec2:eu-central-1:{ACCOUNT}:{kind.replace('*', 'x-1')}"
    return (
        deny_reason(AuthorizationRequest(action=action, resource=resource, context=facts), SOMEBODY, ApplicablePolicies(identity=DOCUMENTS))
        is None
    )


@pytest.mark.parametrize("has", [PROD, OTHERS, {"project": "shop"}, {"environment": "prod"}])
def test_another_stack_s_address_is_not_disassociated(has: Mapping[str, str]) -> None:
    assert not may("ec2:DisassociateAddress", "elastic-ip/*", has=has)


@pytest.mark.parametrize("has", [DEV, {}, {"Name": "x"}])
def test_the_stack_s_own_address_and_a_lost_association_are_disassociated(has: Mapping[str, str]) -> None:
    assert may("ec2:DisassociateAddress", "elastic-ip/*", has=has)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gets", [PROD, {"environment": "prod"}, {"project": "shop"}, {"environment": "prod", "team": "x"}])
def test_what_is_the_stack_s_own_is_not_made_another_stack_s(kind: str, gets: Mapping[str, str]) -> None:
    assert not may("ec2:CreateTags", kind, has=DEV, gets=gets)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gets", [{"team": "shop"}, DEV, {**DEV, "Name": "dev-db-1-data"}])
def test_the_stack_s_own_gets_its_tags(kind: str, gets: Mapping[str, str]) -> None:
    assert may("ec2:CreateTags", kind, has=DEV, gets=gets)


@pytest.mark.parametrize("has", [PROD, OTHERS])
def test_no_action_of_the_policy_changes_a_thing_with_another_stack_s_tags(has: Mapping[str, str]) -> None:
    tagged = {
        (line.action, line.resource)
        for line in required.observed_permissions("up")
        if line.action.startswith("ec2:") and line.condition not in ("", "new", "made")
    }
    assert len(tagged) > 60
    assert [(action, kind) for action, kind in sorted(tagged) if may(action, kind, has=has, gets=DEV)] == []
