"""A deployer of one stack neither changes what is another's nor makes its own pass for another's, by the lab's judge."""

from collections.abc import Mapping

import pytest

from lab.cloud.iam.evaluation import Policies, refusal
from lab.cloud.iam.facts import Facts, Principal
from lab.cloud.iam.needs import REQUEST_TAGS, RESOURCE_TAGS, request_tags, resource_tags
from lab.cloud.iam.statements import Ask, read
from ops.rights import needs
from ops.rights.policies import Place, split, statements

ACCOUNT = "123456789012"
PLACE = Place(stack="dev", region="eu-central-1", account=ACCOUNT, boundary=f"arn:aws:iam::{ACCOUNT}:policy/webstack-dev-boundary")
SOMEBODY = Principal(account=ACCOUNT, role_arn=f"arn:aws:iam::{ACCOUNT}:role/x", session_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y")
DEV = {"project": "webstack", "environment": "dev"}
PROD = {"project": "webstack", "environment": "prod"}
OTHERS = {"project": "shop", "environment": "dev"}
KINDS = sorted({line.on for line in needs.needed("up") if line.action == "ec2:CreateTags"})
DOCUMENTS = [
    one for policy in split(statements([*needs.needed("up"), *(one.line for one in needs.unseen("up"))], PLACE)) for one in read(policy)
]


def may(action: str, kind: str, *, has: Mapping[str, str], gets: Mapping[str, str] | None = None) -> bool:
    """Whether dev's deployer may do it to a thing with these tags, giving it those."""
    facts = Facts(values={**resource_tags(has), **request_tags(gets or {})}, beginnings=REQUEST_TAGS + RESOURCE_TAGS)
    resource = f"arn:aws:ec2:eu-central-1:{ACCOUNT}:{kind.replace('*', 'x-1')}"
    return refusal(Ask(action=action, resource=resource, facts=facts), SOMEBODY, Policies(identity=DOCUMENTS)) is None


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
        (line.action, line.on) for line in needs.needed("up") if line.action.startswith("ec2:") and line.under not in ("", "new", "made")
    }
    assert len(tagged) > 60
    assert [(action, kind) for action, kind in sorted(tagged) if may(action, kind, has=has, gets=DEV)] == []
