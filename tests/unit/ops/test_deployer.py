"""`webstack deployer-policy`: policies and trust as IAM takes them, and mistakes that teach."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab.errors import LabError
from lab.provider.conformance import known
from ops import deployer
from ops.cli import app
from ops.rights import needs
from ops.rights.github import Repository, subjects
from ops.rights.policies import MOST_CHARACTERS, Place, RightsError, size, split
from ops.rights.state import State, state_statements

ACCOUNT = "123456789012"
PLACE = Place(stack="dev", region="eu-central-1", account=ACCOUNT)
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/0a1b"
STACK = {"aws:region": "eu-central-1", "webstack:environment": {"permissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/limit"}}


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.dev.yaml").write_text(json.dumps({"config": STACK}))
    monkeypatch.setattr(deployer, "REPOSITORY", tmp_path)
    return tmp_path


def run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["deployer-policy", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return json.loads(result.output)


def test_the_policies_are_the_stack_file_s_and_short_enough() -> None:
    found = run("--account", ACCOUNT, "--state", "s3://state/team", "--state-key", KEY)
    assert all(size(document) <= MOST_CHARACTERS for document in found.values())
    text = json.dumps(found)
    assert f"arn:aws:iam::{ACCOUNT}:policy/limit" in text
    assert "arn:aws:s3:::state/team/.pulumi/stacks/webstack/dev.json" in text
    assert "{stack}" not in text
    assert sum("kms:Encrypt" in statement["Action"] for document in found.values() for statement in document["Statement"]) == 1


def test_who_previews_only_reads() -> None:
    found = run("--account", ACCOUNT, "--preview", "--state", "s3://state", "--state-key", KEY)
    actions = {action for document in found.values() for statement in document["Statement"] for action in statement["Action"]}
    assert {action for action in actions if not action.partition(":")[2].startswith(("Describe", "Get", "List"))} == {"kms:Decrypt"}


def test_a_folder_gets_a_file_for_each(tmp_path: Path) -> None:
    folder = tmp_path / "rights"
    result = CliRunner().invoke(app, ["deployer-policy", "--account", ACCOUNT, "--github", "octo/shop", "--folder", str(folder)])
    assert sorted(str(path) for path in folder.iterdir()) == sorted(result.output.split())
    trust = json.loads((folder / "webstack-dev-up-trust.json").read_text())
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}
    assert set(statement["Condition"]["StringEquals"]) == {
        "token.actions.githubusercontent.com:aud",
        "token.actions.githubusercontent.com:sub",
    }


def test_the_account_is_the_one_that_the_stack_file_allows(clone: Path) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**STACK, "aws:allowedAccountIds": ["210987654321"]}}))
    assert "210987654321" in json.dumps(run())


def test_no_policy_is_made_for_an_account_in_which_the_provider_would_refuse_to_work(clone: Path) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**STACK, "aws:allowedAccountIds": ["210987654321", "310987654321"]}}))
    assert "310987654321" in json.dumps(run("--account", "310987654321"))
    with pytest.raises(LabError, match=r"allows 210987654321, 310987654321 alone \(aws:allowedAccountIds\)"):
        run("--account", ACCOUNT)
    with pytest.raises(LabError, match="twelve digits"):
        run()


@pytest.mark.parametrize("listed", ["210987654321", 210987654321, {"a": 1}, ["210987654321", "111"]])
def test_accounts_that_are_no_list_of_twelve_digits_are_a_mistake_and_no_policy(clone: Path, listed: object) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**STACK, "aws:allowedAccountIds": listed}}))
    with pytest.raises(LabError, match=r"no policy was made[^$]*aws:allowedAccountIds.*[^$]*remedy: write"):
        run("--account", ACCOUNT)


def test_the_subjects_of_both_forms() -> None:
    shop = Repository(name="octo/shop", ids="1/2")
    assert subjects(shop, "up") == ["repo:octo/shop:ref:refs/heads/main", "repo:octo@1/shop@2:ref:refs/heads/main"]
    assert subjects(Repository(name="octo/shop", environment="prod"), "up") == ["repo:octo/shop:environment:prod"]
    assert subjects(shop, "preview") == ["repo:octo/shop:pull_request", "repo:octo@1/shop@2:pull_request"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stack", "none", "--account", ACCOUNT], "there is no Pulumi.none.yaml"),
        (["--account", "12"], "twelve digits"),
        ([], "twelve digits"),
        (["--account", ACCOUNT, "--state-key", KEY], "give --state too"),
        (["--account", ACCOUNT, "--state", "https://x"], "write s3://BUCKET"),
        (["--account", ACCOUNT, "--state", "s3://state", "--state-key", "alias/x"], "not an alias"),
        (["--account", ACCOUNT, "--github", "shop"], "OWNER/REPOSITORY"),
        (["--account", ACCOUNT, "--github", "octo/*"], "OWNER/REPOSITORY"),
        (["--account", ACCOUNT, "--github", "octo/shop", "--github-ids", "1"], "gh api"),
        (["--account", ACCOUNT, "--github", "octo/shop", "--branch", "*"], "without wildcards"),
    ],
)
def test_a_mistake_is_named_with_its_rule(arguments: list[str], said: str) -> None:
    with pytest.raises(LabError, match=said.replace("(", r"\(")):
        run(*arguments)


def test_a_statement_too_long_is_cut_by_its_actions_and_one_action_too_long_is_an_error() -> None:
    statement = {"Sid": "A", "Effect": "Allow", "Action": [f"ec2:{number:0>60}" for number in range(200)], "Resource": ["*"]}
    documents = split([statement])
    assert [size(one) <= MOST_CHARACTERS for one in documents] == [True] * len(documents)
    assert sorted(action for one in documents for part in one["Statement"] for action in part["Action"]) == statement["Action"]
    with pytest.raises(RightsError, match="longer than 6144"):
        split([{**statement, "Action": ["ec2:x"], "Resource": ["*" * 7000]}])
    with pytest.raises(RightsError, match="a role takes 10"):
        split([{**statement, "Sid": str(number), "Action": ["ec2:" + "x" * 6000]} for number in range(11)])


READS = ("Describe", "Get", "List")


def reads() -> set[tuple[str, str]]:
    """Type or function, and an action that the real provider reads it by (lab/provider/conformance, where no type of the program lacks)."""
    told = known()
    types = {(token, action) for token, facts in told.types.items() for action in facts.asks.of}
    return types | {(token, action) for token, facts in told.functions.items() for action in facts.asks.of}


def test_a_deployer_may_read_whatever_the_real_provider_reads_of_the_programs_types() -> None:
    allowed = {line.action for line in (*needs.needed("up"), *(one.line for one in needs.unseen("up")))}
    assert len(reads()) > 60
    assert {(token, action) for token, action in reads() if action not in allowed} == set()


def test_no_read_is_listed_as_unseen_that_nothing_of_the_program_makes() -> None:
    listed = {one.line.action: one.source for who in ("up", "preview") for one in needs.unseen(who)}
    ours = {action for action, source in listed.items() if source.startswith("stack/")}
    assert {action for action in listed if action.partition(":")[2].startswith(READS)} - {action for _, action in reads()} - ours == set()


def test_every_unseen_line_has_a_source_and_state_has_two_rights_for_who_previews() -> None:
    assert all(len(one.source) > 20 for who in ("up", "preview") for one in needs.unseen(who))
    assert [one["Action"] for one in state_statements(State(bucket="s3://state"), "preview", PLACE)] == [
        ["s3:ListBucket"],
        ["s3:GetObject"],
    ]
