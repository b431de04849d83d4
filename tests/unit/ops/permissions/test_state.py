"""The rights for the engine's state hold for one stack: another's is neither read nor changed, by the lab's judge."""

import pytest

from lab.cloud.iam.evaluation import ApplicablePolicies, deny_reason
from lab.cloud.iam.request_context import Principal, RequestContext
from lab.cloud.iam.statements import AuthorizationRequest, parse_policy
from ops.permissions.policies import PolicyScope
from ops.permissions.required import DeployerKind
from ops.permissions.state import StateBackend, state_statements

ACCOUNT = "123456789012"
KEYS = {name: f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{name}" for name in ("dev", "prod")}
SOMEBODY = Principal(account=ACCOUNT, role_arn=f"arn:aws:iam::{ACCOUNT}:role/x", session_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y")
WRITES = ("s3:PutObject", "s3:DeleteObject")
OF_A_STACK = (
    "stacks/webstack/{}.json",
    "stacks/webstack/{}.json.bak",
    "stacks/webstack/{}.json.gz",
    "stacks/webstack/{}.json.zst.bak",
    "stacks/webstack/{}.pulumi-tags",
    "history/webstack/{0}/{0}-1.history.json",
    "history/webstack/{0}/{0}-1.checkpoint.json",
    "backups/webstack/{0}/{0}.1.json",
    "journal/webstack/{}/1.json",
    "locks/organization/webstack/{}/0a1b.json",
)


def may(who: DeployerKind, action: str, resource: str, *, state: str = "s3://state/team") -> bool:
    place = PolicyScope(stack="dev", region="eu-central-1", account=ACCOUNT)
    statements = state_statements(StateBackend(bucket=state, key=KEYS["dev"]), who, place)
    ask = AuthorizationRequest(action=action, resource=resource, context=RequestContext(values={}))
    return deny_reason(ask, SOMEBODY, ApplicablePolicies(identity=parse_policy({"Version": "2012-10-17", "Statement": statements}))) is None


def named(key: str, stack: str) -> str:
    return f"arn:aws:s3:::state/team/.pulumi/{key.format(stack)}"


@pytest.mark.parametrize("key", OF_A_STACK)
def test_a_deployer_reads_and_writes_its_own_stack_s_state(key: str) -> None:
    assert all(may("up", action, named(key, "dev")) for action in (*WRITES, "s3:GetObject"))


@pytest.mark.parametrize("other", ["prod", "dev2", "devx", "dev.json", "dev.x"])
@pytest.mark.parametrize("key", OF_A_STACK)
def test_neither_role_touches_another_stack_s_state(key: str, other: str) -> None:
    resource = named(key, other)
    assert not any(may(who, action, resource) for who in ("up", "preview") for action in (*WRITES, "s3:GetObject"))


@pytest.mark.parametrize(
    "key",
    [
        ".pulumi/stacks/other/dev.json",
        ".pulumi/locks/organization/other/dev/x.json",
        ".pulumi/stacks/dev.json",
        "team/.pulumi/stacks/webstack/dev.json",
        "elsewhere/.pulumi/stacks/webstack/dev.json",
    ],
)
def test_another_project_s_and_another_folder_s_state_is_not_touched(key: str) -> None:
    assert not any(
        may(who, action, f"arn:aws:s3:::state/{key}", state="s3://state")
        for who in ("up", "preview")
        for action in (*WRITES, "s3:GetObject")
    )


def test_who_previews_reads_the_stack_and_writes_nothing() -> None:
    for end in (".json", ".json.gz", ".json.zst", ".pulumi-tags"):
        assert may("preview", "s3:GetObject", named(f"stacks/webstack/{{}}{end}", "dev"))
    assert not any(may("preview", action, named(key, "dev")) for key in OF_A_STACK for action in WRITES)


@pytest.mark.parametrize("who", ["up", "preview"])
def test_the_layout_of_the_whole_bucket_is_read_and_never_written(who: DeployerKind) -> None:
    assert may(who, "s3:GetObject", named("meta.yaml", ""))
    assert not any(may(who, action, named("meta.yaml", "")) for action in WRITES)


@pytest.mark.parametrize("who", ["up", "preview"])
def test_the_key_is_the_environment_s_own(who: DeployerKind) -> None:
    assert may(who, "kms:Decrypt", KEYS["dev"])
    assert not may(who, "kms:Decrypt", KEYS["prod"])
