"""Whoever runs `pulumi up` under the generated policy can do all of a stack's life, and the policy holds nothing that no life needs.

The lab's judge stands before the API. `WEBSTACK_RECORD_RIGHTS=1` lets everything pass once and writes what was asked into
`ops/permissions/observed.yaml`.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lab.cloud.iam.evaluation import ApplicablePolicies, deny_reason
from lab.cloud.iam.patterns import PolicyPattern
from lab.cloud.iam.request_context import Principal, RequestContext
from lab.cloud.iam.statements import AuthorizationRequest, parse_policy
from ops.permissions import required
from ops.permissions.policies import MAX_CHARACTERS, Document, PolicyScope, policy_size
from ops.permissions.required import DeployerKind, DeployerPermission
from tests.aws.deployer_permissions import permissions_from
from tests.aws.iam_enforced_api import ACCOUNT
from tests.aws.lifecycle import RECORD_ONLY, LifecycleResult, lifecycle_run, policies, policy_scope
from tests.program_files import copy_program

PLACE = policy_scope("dev")
SOMEBODY = Principal(
    account=ACCOUNT, role_arn=f"arn:aws:iam::{ACCOUNT}:role/deployer", session_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/test"
)
ALL_CHANGED = (
    "web.count=3",
    "web.instanceType=t3.medium",
    "database.instanceType=t3.medium",
    "database.volumeSize=20",
    "environment.tags={team: shop}",
    "loadBalancer.allowedCidrs=[10.0.0.0/8]",
    "loadBalancer.tls={mode: secret, secret: site/pem}",
    "network.flowLogDays=30",
)
LARGER = "database.volumeSize=20"
"""A volume never shrinks."""


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> LifecycleResult:
    """Preview, up, changes, replacement, drift, refresh, destroy; nothing of it may be refused but the previewer's `up`."""
    changed = copy_program(tmp_path_factory.mktemp("copy"))
    style = changed / "app/static/shop.css"
    style.write_text(style.read_text() + "/* the next release */\n")
    with lifecycle_run("dev") as lived:
        dev, api = lived.stack, lived.api
        lived.as_previewer()
        dev.plan()
        before = len(api.decisions)
        refused = [] if RECORD_ONLY else dev.failed_up_result().errors
        first = next((one.request.action for one in api.decisions[before:] if not one.allowed), "")
        if refused:
            del api.decisions[before:]
        lived.as_deployer()
        dev.up()
        dev.up(*ALL_CHANGED, repository=changed)
        roles = [role["RoleName"] for role in api.api.iam.list_roles()["Roles"] if role["RoleName"].startswith("dev-")]
        for role in roles:
            api.api.iam.delete_role_permissions_boundary(RoleName=role)
        dev.refresh()
        dev.up(LARGER)
        lived.as_previewer()
        dev.plan(LARGER)
        lived.as_deployer()
        lived.check_host_records()
        dev.engine.destroy()
        told = LifecycleResult(decisions=list(api.decisions), preview_errors=refused, first_error=first)
    if RECORD_ONLY:
        required.write_observed(
            {"up": permissions_from(told.requests("deployer"), "dev"), "preview": permissions_from(told.requests("reviewer"), "dev")}
        )
    return told


def allowed(asks: Sequence[AuthorizationRequest], documents: Sequence[Document]) -> list[bool]:
    """Which of them these policies allow."""
    identity = [statement for document in documents for statement in parse_policy(document)]
    return [deny_reason(ask, SOMEBODY, ApplicablePolicies(identity=identity)) is None for ask in asks]


def without(documents: Sequence[Document], number: int, part: str, value: str) -> list[Document]:
    """The policies without one action or resource of one statement."""
    changed = copy.deepcopy(list(documents))
    every = [statement for document in changed for statement in document["Statement"]]
    every[number][part].remove(value)
    return changed


def parts(documents: Sequence[Document], part: str) -> list[tuple[int, str]]:
    every = [statement for document in documents for statement in document["Statement"]]
    return [(number, value) for number, statement in enumerate(every) for value in statement[part]]


def test_a_life_under_the_generated_policy_is_refused_nothing(life: LifecycleResult) -> None:
    assert {one.role_name for one in life.decisions} == {"deployer", "reviewer"}
    assert life.denied() == []


def test_the_recorded_lines_are_what_the_life_asks(life: LifecycleResult) -> None:
    advice = "what a deployer asks has changed: run WEBSTACK_RECORD_RIGHTS=1 .venv/bin/python -m pytest tests/aws/test_deployer.py"
    assert permissions_from(life.requests("deployer"), "dev") == set(required.observed_permissions("up")), advice
    assert permissions_from(life.requests("reviewer"), "dev") == set(required.observed_permissions("preview")), advice


@pytest.mark.parametrize("who", ["up", "preview"])
@pytest.mark.parametrize("part", ["Action", "Resource"])
def test_without_any_one_action_or_resource_the_life_is_refused(life: LifecycleResult, who: DeployerKind, part: str) -> None:
    asks = life.requests("deployer" if who == "up" else "reviewer")
    documents = policies(who, PLACE)
    unseen = {
        PLACE.resource_arn(one.permission) if part == "Resource" else one.permission.action for one in required.unobserved_permissions(who)
    }
    assert all(allowed(asks, documents))
    idle = [
        value
        for number, value in parts(documents, part)
        if all(allowed(concerned(asks, part, value), without(documents, number, part, value)))
    ]
    assert [value for value in idle if value not in unseen] == []


def concerned(asks: Sequence[AuthorizationRequest], part: str, value: str) -> list[AuthorizationRequest]:
    """The asks that an action or a resource of a policy may decide."""
    return [ask for ask in asks if (ask.action == value if part == "Action" else PolicyPattern(((value, True),)).matches_arn(ask.resource))]


def test_a_line_that_a_life_shows_is_not_listed_as_unseen() -> None:
    for who in ("up", "preview"):
        assert {one.permission for one in required.unobserved_permissions(who)} & set(required.observed_permissions(who)) == set()


def test_the_policy_of_one_stack_is_worth_nothing_for_another(life: LifecycleResult) -> None:
    general = everywhere()
    asks = [ask for ask in life.requests("deployer") if permissions_from([ask], "dev") - general]
    documents = policies("up", replace(PLACE, stack="prod"))
    assert [ask.action for ask, one in zip(asks, allowed(asks, documents), strict=True) if one] == []


def everywhere() -> set[DeployerPermission]:
    """Lines that name nothing of a stack: AWS knows neither resource nor condition for them that would."""
    return {
        line
        for line in required.observed_permissions("up")
        if "{stack}" not in line.resource and line.condition in ("", "not-others", "ec2", "vpc-flow-logs")
    }


def test_what_names_no_stack_are_reads_and_what_route_53_cannot_limit() -> None:
    changes = sorted(line.action for line in everywhere() if not line.action.partition(":")[2].startswith(("Describe", "Get", "List")))
    assert changes == [
        "ec2:DisassociateAddress",
        "ec2:RunInstances",
        "ec2:RunInstances",
        "ec2:RunInstances",
        "route53:ChangeTagsForResource",
        "route53:CreateHostedZone",
        "route53:DeleteHostedZone",
    ]
    assert {line.resource for line in everywhere() if line.action == "ec2:RunInstances"} == {"image/*", "network-interface/*", "volume/*"}


def test_a_role_without_the_boundary_gets_no_rights(life: LifecycleResult) -> None:
    asks = [
        ask for ask in life.requests("deployer") if ask.action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")
    ]
    bare = [_without(ask, "iam:permissionsboundary") for ask in asks]
    other = [_with(ask, "iam:permissionsboundary", f"arn:aws:iam::{ACCOUNT}:policy/other") for ask in asks]
    assert len(asks) >= 12
    assert not any(allowed([*bare, *other], policies("up", PLACE)))


def test_a_role_is_passed_to_its_own_service_alone(life: LifecycleResult) -> None:
    asks = [ask for ask in life.requests("deployer") if ask.action == "iam:PassRole"]
    assert asks
    assert not any(allowed([_with(ask, "iam:passedtoservice", "lambda.amazonaws.com") for ask in asks], policies("up", PLACE)))


def test_no_record_of_another_zone_is_changed(life: LifecycleResult) -> None:
    asks = [ask for ask in life.requests("deployer") if ask.action == "route53:ChangeResourceRecordSets"]
    key = "route53:changeresourcerecordsetsnormalizedrecordnames"
    assert asks
    others = [*(_with(ask, key, "shop.example.com") for ask in asks), *(_without(ask, key) for ask in asks)]
    assert not any(allowed(others, policies("up", PLACE)))


def test_who_previews_reads_no_secret_and_is_refused_at_the_first_change(life: LifecycleResult) -> None:
    if RECORD_ONLY:
        pytest.skip("everything passes while the rights are recorded")
    assert "is not authorized to perform" in "\n".join(life.preview_errors)
    assert life.first_error.partition(":")[2].startswith(("Create", "Allocate", "Put"))
    actions = {action for _, action in parts(policies("preview", PLACE), "Action")}
    assert [one for one in actions if not one.partition(":")[2].startswith(("Describe", "Get", "List"))] == []
    assert not actions & {"secretsmanager:GetSecretValue", "s3:GetObject"}


@pytest.mark.parametrize("place", [PLACE, replace(PLACE, stack="a" * 24, region="ap-southeast-2", partition="aws-us-gov", boundary=None)])
def test_each_policy_is_short_enough_for_iam(place: PolicyScope) -> None:
    for who in ("up", "preview"):
        documents = policies(who, place)
        assert [policy_size(one) for one in documents if policy_size(one) > MAX_CHARACTERS] == []
        sids: list[str] = [statement["Sid"] for one in documents for statement in one["Statement"]]
        assert len(sids) == len(set(sids))


def _with(ask: AuthorizationRequest, key: str, value: str) -> AuthorizationRequest:
    return replace(ask, context=replace(ask.context, values={**ask.context.values, key: (value,)}))


def _without(ask: AuthorizationRequest, key: str) -> AuthorizationRequest:
    values: dict[str, Any] = {name: value for name, value in ask.context.values.items() if name != key}
    return replace(
        ask,
        context=RequestContext(values=values, supported_keys=ask.context.supported_keys, supported_prefixes=ask.context.supported_prefixes),
    )
