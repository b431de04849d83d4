"""The real engine keeps its state on S3 under the rights that `webstack deployer-policy --state` gives.

Its requests are judged by the lab; the program is empty, so nothing but the state is asked for.
"""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from pulumi import automation as auto

from lab.engine import pulumi_cli
from ops.permissions.required import DeployerKind
from ops.permissions.state import StateBackend, state_statements
from stack.naming import PROJECT
from tests.aws.api import REGION
from tests.aws.iam_enforced_api import ALLOW_ALL, Document, IamEnforcedApi, iam_enforced_api
from tests.aws.lifecycle import policy_scope

BUCKET = "my-state"
ROLES: dict[str, tuple[str, DeployerKind]] = {
    "dev-deployer": ("dev", "up"),
    "dev-previewer": ("dev", "preview"),
    "prod-deployer": ("prod", "up"),
}


class Room:
    """An API with the bucket, and an engine for each role."""

    def __init__(self, api: IamEnforcedApi, folder: Path) -> None:
        self.api = api
        self.folder = folder
        self.keys: dict[str, dict[str, str]] = {}

    def role(self, name: str, documents: list[Document]) -> None:
        """Makes a role with these policies."""
        told = dict(one.removeprefix("aws:").split("=", 1) for one in self.api.create_principal(name, documents))
        names = {"accessKey": "AWS_ACCESS_KEY_ID", "secretKey": "AWS_SECRET_ACCESS_KEY", "token": "AWS_SESSION_TOKEN"}
        self.keys[name] = {variable: told[key].strip('"') for key, variable in names.items()}

    def stack(self, role: str, name: str) -> auto.Stack:
        """A stack, made if it is missing, as a role sees it."""
        host = self.api.endpoint.removeprefix("http://")
        (work := self.folder / role).mkdir(exist_ok=True)
        return auto.create_or_select_stack(
            stack_name=name,
            project_name=PROJECT,
            program=lambda: None,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(work),
                pulumi_home=str(self.folder / "home"),
                pulumi_command=auto.PulumiCommand(root=str(pulumi_cli.ensure())),
                env_vars={
                    **self.keys[role],
                    "PULUMI_BACKEND_URL": f"s3://{BUCKET}/team?endpoint=http://{host}&region={REGION}&use_path_style=true",
                    "PULUMI_CONFIG_PASSPHRASE": "test",
                    "AWS_REGION": REGION,
                    "AWS_EC2_METADATA_DISABLED": "true",
                    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                },
            ),
        )

    def refused(self, *roles: str) -> list[tuple[str, str]]:
        """What these roles were refused so far: action, resource."""
        return [(one.request.action, one.request.resource) for one in self.api.decisions if one.role_name in roles and not one.allowed]


@pytest.fixture(scope="module")
def room() -> Generator[Room]:
    """The administrator's first login writes the bucket's `meta.yaml`."""
    with iam_enforced_api() as api, tempfile.TemporaryDirectory() as folder:
        api.api.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        one = Room(api, Path(folder))
        one.role("administrator", [ALLOW_ALL])
        for role, (stack, who) in ROLES.items():
            statements = state_statements(StateBackend(bucket=f"s3://{BUCKET}/team"), who, policy_scope(stack))
            one.role(role, [{"Version": "2012-10-17", "Statement": statements}])
        one.stack("administrator", "other")
        yield one


def test_a_life_of_the_state_is_refused_nothing(room: Room) -> None:
    dev = room.stack("dev-deployer", "dev")
    dev.up()
    dev.up()
    room.stack("dev-previewer", "dev").preview()
    dev.refresh()
    dev.cancel()
    dev.history()
    dev.destroy()
    dev.workspace.remove_stack("dev")
    assert room.refused("dev-deployer", "dev-previewer") == []
    written = {
        one.request.resource for one in room.api.decisions if one.role_name == "dev-deployer" and one.request.action == "s3:PutObject"
    }
    assert {name.partition("/.pulumi/")[2].partition("/")[0] for name in written} == {"stacks", "history", "backups", "locks"}


def test_another_environment_s_state_is_neither_read_nor_replaced(room: Room) -> None:
    room.stack("administrator", "dev").up()
    key = f"team/.pulumi/stacks/{PROJECT}/dev.json"
    before = room.api.api.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with pytest.raises(auto.CommandError, match=r"Forbidden|AccessDenied"):
        room.stack("prod-deployer", "dev").up()
    assert ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/{key}") in room.refused("prod-deployer")
    assert room.api.api.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == before


def test_who_previews_takes_no_lock_and_so_changes_nothing(room: Room) -> None:
    room.stack("administrator", "dev")
    with pytest.raises(auto.CommandError, match=r"Forbidden|AccessDenied"):
        room.stack("dev-previewer", "dev").up()
    assert [action for action, name in room.refused("dev-previewer") if "/locks/" in name][:1] == ["s3:PutObject"]
