"""Whoever runs `pulumi up` under the generated policy can do all of a stack's life, and the policy holds nothing that no life needs.

The lab's judge stands before the API. `WEBSTACK_RECORD_RIGHTS=1` lets everything pass once and writes what was asked into
`ops/rights/needed.yaml`.
"""

import copy
import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lab.cloud.iam.evaluation import Policies, refusal
from lab.cloud.iam.facts import Facts, Principal
from lab.cloud.iam.patterns import Text
from lab.cloud.iam.statements import Ask, read
from ops.rights import needs
from ops.rights.needs import Line, Who
from ops.rights.policies import MOST_CHARACTERS, Document, Place, size, split, statements
from stack.access import Access
from stack.cloud import Cloud
from tests.aws.api import REGION
from tests.aws.asked import lines
from tests.aws.harness import Stack, stack
from tests.aws.judged import ACCOUNT, ANYTHING, Heard, JudgedApi, judged_api
from tests.program import copy_program

RECORD = os.environ.get("WEBSTACK_RECORD_RIGHTS") == "1"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/webstack-boundary"
PLACE = Place(stack="dev", region=REGION, account=ACCOUNT, boundary=BOUNDARY)
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


def policies(who: Who, place: Place = PLACE) -> list[Document]:
    """What the generator gives a deployer or previewer."""
    return split(statements([*needs.needed(who), *(one.line for one in needs.unseen(who))], place))


@dataclass
class Life:
    """A life that has been lived."""

    heard: list[Heard]
    refused_up: Sequence[str]
    """The errors of an `up` by who may only preview."""
    first_refused: str

    def asks(self, who: str) -> list[Ask]:
        """What a principal asked, each ask once."""
        found = {(one.ask.action, one.ask.resource, repr(sorted(_told(one.ask).items()))): one.ask for one in self.heard if one.who == who}
        return list(found.values())


def _told(ask: Ask) -> dict[str, tuple[str, ...]]:
    passing = ("aws:currenttime", "aws:epochtime", "aws:useragent")
    return {key: value for key, value in ask.facts.values.items() if key not in passing}


@contextmanager
def opened(api: JudgedApi, name: str) -> Generator[Stack]:
    with tempfile.TemporaryDirectory() as folder, stack(name, api.api, Path(folder), endpoint=api.endpoint) as one:
        one.always = (*one.always, f"environment.permissionsBoundary={BOUNDARY}")
        yield one


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Preview, up, changes, replacement, drift, refresh, destroy; nothing of it may be refused but the previewer's `up`."""
    changed = copy_program(tmp_path_factory.mktemp("copy"))
    style = changed / "app/static/shop.css"
    style.write_text(style.read_text() + "/* the next release */\n")
    with judged_api() as api, opened(api, "dev") as dev:
        api.policy("webstack-boundary", ANYTHING)
        common = dev.always
        preview = (*common, *api.principal("reviewer", [ANYTHING] if RECORD else policies("preview")))
        deploy = (*common, *api.principal("deployer", [ANYTHING] if RECORD else policies("up")))
        dev.always = preview
        dev.plan()
        before = len(api.heard)
        refused = [] if RECORD else dev.failing_up().errors
        first = next((one.ask.action for one in api.heard[before:] if not one.allowed), "")
        if refused:
            del api.heard[before:]
        dev.always = deploy
        dev.up()
        dev.up(*ALL_CHANGED, repository=changed)
        roles = [role["RoleName"] for role in api.api.iam.list_roles()["Roles"] if role["RoleName"].startswith("dev-")]
        for role in roles:
            api.api.iam.delete_role_permissions_boundary(RoleName=role)
        dev.refresh()
        dev.up(LARGER)
        dev.always = preview
        dev.plan(LARGER)
        dev.always = deploy
        bucket = api.api.bucket()
        for key in ("hosts/a.json", "database/primary.json"):  # as hosts write them
            api.api.s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
        cloud = Cloud(_access(api, deploy))
        assert cloud.read(bucket, "hosts/a.json") == b"{}"
        assert cloud.read(bucket, "hosts/missing.json") is None
        dev.engine.destroy()
        lived = Life(heard=list(api.heard), refused_up=refused, first_refused=first)
    if RECORD:
        programs = {one.line for one in needs.unseen("up")}
        needs.write({"up": lines(lived.asks("deployer"), "dev") - programs, "preview": lines(lived.asks("reviewer"), "dev")})
    return lived


def _access(api: JudgedApi, always: Sequence[str]) -> Access:
    given = {name: value.strip('"') for name, value in (one.removeprefix("aws:").split("=", 1) for one in always if one.startswith("aws:"))}
    keys = {name: given[name] for name in ("accessKey", "secretKey", "token")}
    return Access.read(REGION, {**keys, "endpoints": [{"ec2": api.endpoint, "s3": api.endpoint}], "s3UsePathStyle": True})


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
    assert [(one.who, one.ask.action, one.ask.resource) for one in life.heard if not one.allowed] == []


def test_the_recorded_lines_are_what_the_life_asks(life: Life) -> None:
    programs = {one.line for one in needs.unseen("up")}
    advice = "what a deployer asks has changed: run WEBSTACK_RECORD_RIGHTS=1 .venv/bin/python -m pytest tests/aws/test_deployer.py"
    assert lines(life.asks("deployer"), "dev") - programs == set(needs.needed("up")), advice
    assert lines(life.asks("reviewer"), "dev") == set(needs.needed("preview")), advice


@pytest.mark.parametrize("who", ["up", "preview"])
@pytest.mark.parametrize("part", ["Action", "Resource"])
def test_without_any_one_action_or_resource_the_life_is_refused(life: Life, who: Who, part: str) -> None:
    asks = life.asks("deployer" if who == "up" else "reviewer")
    documents = policies(who)
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
    asks = [ask for ask in life.asks("deployer") if lines([ask], "dev") - everywhere() and not _bare(ask)]
    documents = policies("up", replace(PLACE, stack="prod"))
    assert [ask.action for ask, one in zip(asks, allowed(asks, documents), strict=True) if one] == []


def _bare(ask: Ask) -> bool:
    """Whether the real provider asks it without the tags by which it could be limited."""
    bare = {(one.line.action, one.line.on) for one in needs.unseen("up") if not one.line.under}
    return any((line.action, line.on) in bare for line in lines([ask], "dev"))


def everywhere() -> set[Line]:
    """Lines that name nothing of a stack: AWS knows neither resource nor condition for them that would."""
    return {line for line in needs.needed("up") if "{stack}" not in line.on and line.under in ("", "ec2", "vpc-flow-logs")}


def test_what_names_no_stack_are_reads_and_what_route_53_cannot_limit() -> None:
    changes = sorted(line.action for line in everywhere() if not line.action.partition(":")[2].startswith(("Describe", "Get", "List")))
    assert changes == [
        "ec2:DisassociateAddress",
        "ec2:RunInstances",
        "ec2:RunInstances",
        "route53:ChangeTagsForResource",
        "route53:CreateHostedZone",
        "route53:DeleteHostedZone",
    ]
    assert {line.on for line in everywhere() if line.action == "ec2:RunInstances"} == {"image/*", "network-interface/*"}


def test_a_role_without_the_boundary_gets_no_rights(life: Life) -> None:
    asks = [ask for ask in life.asks("deployer") if ask.action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")]
    bare = [_without(ask, "iam:permissionsboundary") for ask in asks]
    other = [_with(ask, "iam:permissionsboundary", f"arn:aws:iam::{ACCOUNT}:policy/other") for ask in asks]
    assert len(asks) >= 12
    assert not any(allowed([*bare, *other], policies("up")))


def test_a_role_is_passed_to_its_own_service_alone(life: Life) -> None:
    asks = [ask for ask in life.asks("deployer") if ask.action == "iam:PassRole"]
    assert asks
    assert not any(allowed([_with(ask, "iam:passedtoservice", "lambda.amazonaws.com") for ask in asks], policies("up")))


def test_no_record_of_another_zone_is_changed(life: Life) -> None:
    asks = [ask for ask in life.asks("deployer") if ask.action == "route53:ChangeResourceRecordSets"]
    key = "route53:changeresourcerecordsetsnormalizedrecordnames"
    assert asks
    assert not any(allowed([*(_with(ask, key, "shop.example.com") for ask in asks), *(_without(ask, key) for ask in asks)], policies("up")))


def test_who_previews_reads_no_secret_and_is_refused_at_the_first_change(life: Life) -> None:
    if RECORD:
        pytest.skip("everything passes while the rights are recorded")
    assert "is not authorized to perform" in "\n".join(life.refused_up)
    assert life.first_refused.partition(":")[2].startswith(("Create", "Allocate", "Put"))
    actions = {action for _, action in parts(policies("preview"), "Action")}
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
