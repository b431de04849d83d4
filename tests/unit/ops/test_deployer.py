"""`webstack deployer-policy`: policies and trust as IAM takes them, and mistakes that teach."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab.errors import LabError
from lab.provider.registry import REGISTRY
from ops import deployer
from ops.cli import app
from ops.permissions import required
from ops.permissions.github import ISSUER, Repository, subjects, trust_policy
from ops.permissions.policies import MAX_CHARACTERS, PolicyError, PolicyScope, pack_policies, policy_size
from ops.permissions.state import StateBackend, state_statements

ACCOUNT = "123456789012"
WIDE = "".join(chr(0xFF10 + int(digit)) for digit in ACCOUNT)
"""Its digits as full-width characters, which `\\d` takes too."""
PLACE = PolicyScope(stack="dev", region="eu-central-1", account=ACCOUNT)
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/0a1b"
NO_BRANCHES = ("*", "v?", "", "a b", "a..b", "/a", "a/", "a.lock", "a~1", "a:b", "a^", "-a", "a\n", "a@{1}", ".a")
NO_ENVIRONMENTS = ("*", "prod?", "", " ", "prod\n", "x" * 256)
BARE = {"aws:region": "eu-central-1"}
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
    return json.loads(result.stdout)


def test_the_policies_are_the_stack_file_s_and_short_enough() -> None:
    found = run("--account", ACCOUNT, "--state", "s3://state/team", "--state-key", KEY)
    assert all(policy_size(document) <= MAX_CHARACTERS for document in found.values())
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
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**BARE, "aws:allowedAccountIds": ["210987654321"]}}))
    assert "210987654321" in json.dumps(run())


def test_no_policy_is_made_for_an_account_in_which_the_provider_would_refuse_to_work(clone: Path) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**BARE, "aws:allowedAccountIds": ["210987654321", "310987654321"]}}))
    assert "310987654321" in json.dumps(run("--account", "310987654321"))
    with pytest.raises(LabError, match=r"allows 210987654321, 310987654321 alone \(aws:allowedAccountIds\)"):
        run("--account", ACCOUNT)
    with pytest.raises(LabError, match="twelve digits"):
        run()


@pytest.mark.parametrize("key", ["aws:allowedAccountIds", "aws:forbiddenAccountIds"])
@pytest.mark.parametrize("listed", ["210987654321", 210987654321, {"a": 1}, ["210987654321", "111"], "[1"])
def test_accounts_that_are_no_list_of_twelve_digits_are_a_mistake_and_no_policy(clone: Path, key: str, listed: object) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**BARE, key: listed}}))
    with pytest.raises(LabError, match=rf"no policy was made[^$]*{key}.*[^$]*remedy: write"):
        run("--account", ACCOUNT)


def test_a_region_that_is_none_is_a_mistake_and_no_policy(clone: Path) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**STACK, "aws:region": "eu-centrl-1"}}))
    with pytest.raises(LabError, match=r"did you mean eu-central-1\?"):
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
        (["--account", ACCOUNT, "--github", "octo/ré"], "OWNER/REPOSITORY"),
        (["--account", ACCOUNT, "--github", ""], "OWNER/REPOSITORY"),
        (["--account", ACCOUNT, "--github", "octo/shop", "--github-ids", f"{WIDE}/2"], "gh api"),
        *((["--account", ACCOUNT, "--github", "octo/shop", "--branch", name], "without wildcards") for name in NO_BRANCHES),
        *((["--account", ACCOUNT, "--github", "octo/shop", "--environment", name], "without wildcards") for name in NO_ENVIRONMENTS),
        (["--account", WIDE], "twelve digits"),
        (["--account", ACCOUNT, "--preview", "--github", "octo/shop", "--environment", "prod"], "--preview with --environment"),
        (["--account", ACCOUNT, "--preview", "--github", "octo/shop", "--branch", "main"], "--preview with --branch"),
        (["--account", ACCOUNT, "--github", "octo/shop", "--environment", "prod", "--branch", "main"], "--branch with --environment"),
        (["--account", ACCOUNT, "--github-ids", "1/2"], "--github-ids 1/2: .*give --github"),
        (["--account", ACCOUNT, "--environment", "prod"], "--environment prod: .*give --github"),
        (["--account", ACCOUNT, "--branch", "main"], "--branch main: .*give --github"),
        (["--account", ACCOUNT, "--state", ""], "write s3://BUCKET"),
        (["--account", ACCOUNT, "--state", "s3://state/é"], "write s3://BUCKET"),
        (["--account", ACCOUNT, "--state", "s3://state", "--state-key", KEY.replace(ACCOUNT, WIDE)], "not an alias"),
        (["--stack", "DEV_x*", "--account", ACCOUNT], "a stack's name has 1 to 100 letters"),
        (["--stack", "../dev", "--account", ACCOUNT], "a stack's name has 1 to 100 letters"),
        (["--stack", "", "--account", ACCOUNT], "a stack's name has 1 to 100 letters"),
        (["--account", "210987654321"], "permissionsBoundary = arn:aws:iam::123456789012:policy/limit: .*of the account"),
        (["--account", ACCOUNT, "--folder", "/proc/x"], "--folder '/proc/x': the policies cannot be written"),
        (["--account", ACCOUNT, "--folder", __file__], "--folder .*: the policies cannot be written"),
    ],
)
def test_a_mistake_is_named_with_its_rule(arguments: list[str], said: str) -> None:
    with pytest.raises(LabError, match=said.replace("(", r"\(")):
        run(*arguments)


def test_a_folder_that_holds_a_folder_of_a_policy_s_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "rights" / "webstack-dev-up-1.json").mkdir(parents=True)
    with pytest.raises(LabError, match=r"--folder .*webstack-dev-up-1\.json"):
        run("--account", ACCOUNT, "--folder", str(tmp_path / "rights"))


def test_a_stack_s_name_with_a_wildcard_is_refused_though_its_file_is_there(clone: Path) -> None:
    (clone / "Pulumi.DEV_x*.yaml").write_text(json.dumps({"config": STACK}))
    with pytest.raises(LabError, match="a stack's name has"):
        run("--stack", "DEV_x*", "--account", ACCOUNT)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is a folder"),
        ("config:\n  aws:region: Zürich\n".encode("latin-1"), "Pulumi.dev.yaml is not YAML"),
        (b"config: 5", "`config` is 5"),
        (b"config: [1]", "`config` is "),
        (b"config: {5: x, aws:region: eu-central-1}", "'5' is no configuration key"),
        (b"just text", "an object with the key `config`"),
        (b"[1]", "an object with the key `config`"),
        (b"config: {", "Pulumi.dev.yaml is not YAML"),
        (b"config: {aws:region: 'eu-*'}", "aws:region = 'eu-\\*'"),
        (b"", "no aws:region"),
    ],
)
def test_a_stack_file_that_is_none_is_named_with_its_rule(clone: Path, content: bytes | None, said: str) -> None:
    path = clone / "Pulumi.dev.yaml"
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(LabError, match=said):
        run("--account", ACCOUNT)


@pytest.mark.parametrize("listed", [["999999999999"], [999999999999], '["999999999999"]'])
def test_a_list_is_as_binding_as_json(clone: Path, listed: object) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**BARE, "aws:allowedAccountIds": listed}}))
    with pytest.raises(LabError, match="allows 999999999999 alone"):
        run("--account", ACCOUNT)
    assert "999999999999" in json.dumps(run())


@pytest.mark.parametrize("listed", [["210987654321", "123456789012"], [123456789012], '["123456789012"]'])
def test_no_policy_is_made_for_an_account_that_the_stack_file_forbids(clone: Path, listed: object) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**BARE, "aws:forbiddenAccountIds": listed}}))
    with pytest.raises(LabError, match=r"forbids it \(aws:forbiddenAccountIds\)"):
        run("--account", ACCOUNT)
    assert "310987654321" in json.dumps(run("--account", "310987654321"))


def test_without_a_boundary_one_line_says_what_whoever_deploys_could_do(clone: Path) -> None:
    bounded = CliRunner().invoke(app, ["deployer-policy", "--account", ACCOUNT])
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": BARE}))
    free = CliRunner().invoke(app, ["deployer-policy", "--account", ACCOUNT])
    previewing = CliRunner().invoke(app, ["deployer-policy", "--account", ACCOUNT, "--preview"])
    assert (bounded.stderr, previewing.stderr) == ("", "")
    (line,) = free.stderr.splitlines()
    assert "permissionsBoundary" in line
    assert "administrator" in line
    assert json.loads(free.stdout)


@pytest.mark.parametrize("boundary", ["arn:aws:iam::aws:policy/PowerUserAccess", f"arn:aws:iam::{ACCOUNT}:policy/team/limit"])
def test_a_boundary_is_of_the_account_or_of_aws(clone: Path, boundary: str) -> None:
    (clone / "Pulumi.dev.yaml").write_text(json.dumps({"config": {**BARE, "webstack:environment": {"permissionsBoundary": boundary}}}))
    assert boundary in json.dumps(run("--account", ACCOUNT))
    (clone / "Pulumi.dev.yaml").write_text(
        json.dumps({"config": {"aws:region": "cn-north-1", "webstack:environment": {"permissionsBoundary": boundary}}})
    )
    with pytest.raises(LabError, match="of AWS"):
        run("--account", ACCOUNT)


@pytest.mark.parametrize("branch", ["release/v1+x", "müller", "a#1", "feature/(x)", "v1.2", "a@b"])
def test_a_branch_may_have_any_name_that_git_takes(branch: str) -> None:
    assert subjects(Repository(name="octo/shop", branch=branch), "up") == [f"repo:octo/shop:ref:refs/heads/{branch}"]


@pytest.mark.parametrize(("environment", "told"), [("prod eu", "prod eu"), ("Prod:V1", "Prod%3AV1"), ("prod/eu+1", "prod/eu+1")])
def test_an_environment_may_have_any_name_that_github_takes(environment: str, told: str) -> None:
    assert subjects(Repository(name="octo_corp/shop", environment=environment), "up") == [f"repo:octo_corp/shop:environment:{told}"]


def test_no_policy_variable_comes_in_by_a_name() -> None:
    found = trust_policy(Repository(name="octo/shop", environment="${aws:username}"), "up", PLACE)
    (said,) = found["Statement"][0]["Condition"]["StringEquals"][f"{ISSUER}:sub"]
    assert said == "repo:octo/shop:environment:${$}{aws%3Ausername}"


def test_a_statement_too_long_is_cut_by_its_actions_and_one_action_too_long_is_an_error() -> None:
    statement = {"Sid": "A", "Effect": "Allow", "Action": [f"ec2:{number:0>60}" for number in range(200)], "Resource": ["*"]}
    documents = pack_policies([statement])
    assert [policy_size(one) <= MAX_CHARACTERS for one in documents] == [True] * len(documents)
    assert sorted(action for one in documents for part in one["Statement"] for action in part["Action"]) == statement["Action"]
    with pytest.raises(PolicyError, match="longer than 6144"):
        pack_policies([{**statement, "Action": ["ec2:x"], "Resource": ["*" * 7000]}])
    with pytest.raises(PolicyError, match="a role takes 10"):
        pack_policies([{**statement, "Sid": str(number), "Action": ["ec2:" + "x" * 6000]} for number in range(11)])


READS = ("Describe", "Get", "List")


def reads() -> set[tuple[str, str]]:
    """Type or function, and an action that the real provider reads it by (its service's spec.yaml, which no type of the program lacks)."""
    types = {(token, action) for token, found in REGISTRY.resources.items() for action in found.spec.iam_actions.of}
    return types | {(token, action) for token, found in REGISTRY.functions.items() for action in found.spec.iam_actions.of}


def test_a_deployer_may_read_whatever_the_real_provider_reads_of_the_programs_types() -> None:
    allowed = {
        line.action for line in (*required.observed_permissions("up"), *(one.permission for one in required.unobserved_permissions("up")))
    }
    assert len(reads()) > 60
    assert {(token, action) for token, action in reads() if action not in allowed} == set()


def test_no_read_is_listed_as_unseen_that_nothing_of_the_program_makes() -> None:
    listed = {one.permission.action: one.source for who in ("up", "preview") for one in required.unobserved_permissions(who)}
    ours = {action for action, source in listed.items() if source.startswith("stack/")}
    assert {action for action in listed if action.partition(":")[2].startswith(READS)} - {action for _, action in reads()} - ours == set()


def test_every_unseen_line_has_a_source_and_state_has_two_rights_for_who_previews() -> None:
    assert all(len(one.source) > 20 for who in ("up", "preview") for one in required.unobserved_permissions(who))
    assert [one["Action"] for one in state_statements(StateBackend(bucket="s3://state"), "preview", PLACE)] == [
        ["s3:ListBucket"],
        ["s3:GetObject"],
    ]
