"""Whoever runs `pulumi up` under the generated policy can do all of a stack's life, and the policy holds nothing that no life needs.

The lab's judge stands before the API. `WEBSTACK_RECORD_RIGHTS=1` lets everything pass once and writes what was asked into
`ops/rights/needed.yaml`.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lab.cloud.iam.evaluation import Policies, refusal
from lab.cloud.iam.facts import Facts, Principal
from lab.cloud.iam.patterns import Text
from lab.cloud.iam.statements import Ask, read
from ops.rights import needs
from ops.rights.needs import Line, Who
from ops.rights.policies import MOST_CHARACTERS, Document, Place, size
from tests.aws.asked import lines
from tests.aws.judged import ACCOUNT
from tests.aws.lives import RECORD, Life, begun, place_of, policies
from tests.program import copy_program

PLACE = place_of("dev")
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
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Preview, up, changes, replacement, drift, refresh, destroy; nothing of it may be refused but the previewer's `up`."""
    changed = copy_program(tmp_path_factory.mktemp("copy"))
    style = changed / "app/static/shop.css"
    style.write_text(style.read_text() + "/* the next release */\n")
    with begun("dev") as lived:
        dev, api = lived.stack, lived.api
        lived.as_previewer()
        dev.plan()
        before = len(api.heard)
        refused = [] if RECORD else dev.failing_up().errors
        first = next((one.ask.action for one in api.heard[before:] if not one.allowed), "")
        if refused:
            del api.heard[before:]
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
        lived.hosts_report()
        dev.engine.destroy()
        told = Life(heard=list(api.heard), refused_up=refused, first_refused=first)
    if RECORD:
        needs.write({"up": lines(told.asks("deployer"), "dev"), "preview": lines(told.asks("reviewer"), "dev")})
    return told


def allowed(asks: Sequence[Ask], documents: Sequence[Document]) -> list[bool]:
    """Which of them these policies allow."""
    identity = [statement for document in documents for statement in read(document)]
    return [refusal(ask, SOMEBODY, Policies(identity=identity)) is None for ask in asks]


def without(documents: Sequence[Document], number: int, part: str, value: str) -> list[Document]:
    """The policies without one action or resource of one statement."""
    changed = copy.deepcopy(list(documents))
    every = [statement for document in changed for statement in document["Statement"]]
    every[number][part].remove(value)
    return changed


def parts(documents: Sequence[Document], part: str) -> list[tuple[int, str]]:
    every = [statement for document in documents for statement in document["Statement"]]
    return [(number, value) for number, statement in enumerate(every) for value in statement[part]]


def test_a_life_under_the_generated_policy_is_refused_nothing(life: Life) -> None:
    assert {one.who for one in life.heard} == {"deployer", "reviewer"}
    assert life.refused() == []


def test_the_recorded_lines_are_what_the_life_asks(life: Life) -> None:
    advice = "what a deployer asks has changed: run WEBSTACK_RECORD_RIGHTS=1 .venv/bin/python -m pytest tests/aws/test_deployer.py"
    assert lines(life.asks("deployer"), "dev") == set(needs.needed("up")), advice
    assert lines(life.asks("reviewer"), "dev") == set(needs.needed("preview")), advice


@pytest.mark.parametrize("who", ["up", "preview"])
@pytest.mark.parametrize("part", ["Action", "Resource"])
def test_without_any_one_action_or_resource_the_life_is_refused(life: Life, who: Who, part: str) -> None:
    asks = life.asks("deployer" if who == "up" else "reviewer")
    documents = policies(who, PLACE)
    unseen = {PLACE.resource(one.line) if part == "Resource" else one.line.action for one in needs.unseen(who)}
    assert all(allowed(asks, documents))
    idle = [
        value
        for number, value in parts(documents, part)
        if all(allowed(concerned(asks, part, value), without(documents, number, part, value)))
    ]
    assert [value for value in idle if value not in unseen] == []


def concerned(asks: Sequence[Ask], part: str, value: str) -> list[Ask]:
    """The asks that an action or a resource of a policy may decide."""
    return [ask for ask in asks if (ask.action == value if part == "Action" else Text(((value, True),)).matches_arn(ask.resource))]


def test_a_line_that_a_life_shows_is_not_listed_as_unseen() -> None:
    for who in ("up", "preview"):
        assert {one.line for one in needs.unseen(who)} & set(needs.needed(who)) == set()


def test_the_policy_of_one_stack_is_worth_nothing_for_another(life: Life) -> None:
    general = everywhere()
    asks = [ask for ask in life.asks("deployer") if lines([ask], "dev") - general]
    documents = policies("up", replace(PLACE, stack="prod"))
    assert [ask.action for ask, one in zip(asks, allowed(asks, documents), strict=True) if one] == []


def everywhere() -> set[Line]:
    """Lines that name nothing of a stack: AWS knows neither resource nor condition for them that would."""
    return {line for line in needs.needed("up") if "{stack}" not in line.on and line.under in ("", "not-others", "ec2", "vpc-flow-logs")}


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
    assert {line.on for line in everywhere() if line.action == "ec2:RunInstances"} == {"image/*", "network-interface/*", "volume/*"}


def test_a_role_without_the_boundary_gets_no_rights(life: Life) -> None:
    asks = [ask for ask in life.asks("deployer") if ask.action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")]
    bare = [_without(ask, "iam:permissionsboundary") for ask in asks]
    other = [_with(ask, "iam:permissionsboundary", f"arn:aws:iam::{ACCOUNT}:policy/other") for ask in asks]
    assert len(asks) >= 12
    assert not any(allowed([*bare, *other], policies("up", PLACE)))


def test_a_role_is_passed_to_its_own_service_alone(life: Life) -> None:
    asks = [ask for ask in life.asks("deployer") if ask.action == "iam:PassRole"]
    assert asks
    assert not any(allowed([_with(ask, "iam:passedtoservice", "lambda.amazonaws.com") for ask in asks], policies("up", PLACE)))


def test_no_record_of_another_zone_is_changed(life: Life) -> None:
    asks = [ask for ask in life.asks("deployer") if ask.action == "route53:ChangeResourceRecordSets"]
    key = "route53:changeresourcerecordsetsnormalizedrecordnames"
    assert asks
    others = [*(_with(ask, key, "shop.example.com") for ask in asks), *(_without(ask, key) for ask in asks)]
    assert not any(allowed(others, policies("up", PLACE)))


def test_who_previews_reads_no_secret_and_is_refused_at_the_first_change(life: Life) -> None:
    if RECORD:
        pytest.skip("everything passes while the rights are recorded")
    assert "is not authorized to perform" in "\n".join(life.refused_up)
    assert life.first_refused.partition(":")[2].startswith(("Create", "Allocate", "Put"))
    actions = {action for _, action in parts(policies("preview", PLACE), "Action")}
    assert [one for one in actions if not one.partition(":")[2].startswith(("Describe", "Get", "List"))] == []
    assert not actions & {"secretsmanager:GetSecretValue", "s3:GetObject"}


@pytest.mark.parametrize("place", [PLACE, replace(PLACE, stack="a" * 24, region="ap-southeast-2", partition="aws-us-gov", boundary=None)])
def test_each_policy_is_short_enough_for_iam(place: Place) -> None:
    for who in ("up", "preview"):
        documents = policies(who, place)
        assert [size(one) for one in documents if size(one) > MOST_CHARACTERS] == []
        sids: list[str] = [statement["Sid"] for one in documents for statement in one["Statement"]]
        assert len(sids) == len(set(sids))


def _with(ask: Ask, key: str, value: str) -> Ask:
    return replace(ask, facts=replace(ask.facts, values={**ask.facts.values, key: (value,)}))


def _without(ask: Ask, key: str) -> Ask:
    values: dict[str, Any] = {name: value for name, value in ask.facts.values.items() if name != key}
    return replace(ask, facts=Facts(values=values, worked_out=ask.facts.worked_out, beginnings=ask.facts.beginnings))
