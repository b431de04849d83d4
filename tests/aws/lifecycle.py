"""What the lives of stacks under the generated policies have in common: who lives them, in which account, by which policies."""

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.cloud.iam.statements import AuthorizationRequest
from ops.permissions import required
from ops.permissions.policies import Document, PolicyScope, pack_policies, statements
from ops.permissions.required import DeployerKind
from stack.aws_client import AwsClient
from stack.aws_config import AwsConfig
from tests.aws.api import REGION
from tests.aws.harness import Stack, open_stack
from tests.aws.iam_enforced_api import ACCOUNT, ALLOW_ALL, IamEnforcedApi, RecordedDecision, iam_enforced_api

RECORD_ONLY = os.environ.get("WEBSTACK_RECORD_RIGHTS") == "1"
"""Everything passes, and what is asked is written down."""
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/webstack-boundary"


def policy_scope(name: str) -> PolicyScope:
    """The account and region of a stack."""
    return PolicyScope(stack=name, region=REGION, account=ACCOUNT, boundary=BOUNDARY)


def policies(who: DeployerKind, where: PolicyScope) -> list[Document]:
    """What the generator gives a deployer or previewer."""
    return pack_policies(
        statements([*required.observed_permissions(who), *(one.permission for one in required.unobserved_permissions(who))], where)
    )


@dataclass
class LifecycleResult:
    """A life that has been lived."""

    decisions: list[RecordedDecision]
    preview_errors: Sequence[str] = ()
    """The errors of an `up` by who may only preview."""
    first_error: str = ""

    def requests(self, who: str) -> list[AuthorizationRequest]:
        """What a principal asked, each ask once."""
        found = {
            (one.request.action, one.request.resource, repr(sorted(_stable_context(one.request).items()))): one.request
            for one in self.decisions
            if one.role_name == who
        }
        return list(found.values())

    def denied(self) -> list[tuple[str, str, str]]:
        """What was refused: who asked, the action and the resource."""
        return [(one.role_name, one.request.action, one.request.resource) for one in self.decisions if not one.allowed]


def _stable_context(request: AuthorizationRequest) -> dict[str, tuple[str, ...]]:
    passing = ("aws:currenttime", "aws:epochtime", "aws:useragent")
    return {key: value for key, value in request.context.values.items() if key not in passing}


@dataclass
class LifecycleRun:
    """A stack in an API that judges, and the settings of an operation by either of its two principals."""

    api: IamEnforcedApi
    stack: Stack
    preview: tuple[str, ...]
    deploy: tuple[str, ...]

    def as_previewer(self) -> None:
        """All that follows is asked by who may preview."""
        self.stack.base_settings = self.preview

    def as_deployer(self) -> None:
        """All that follows is asked by who may deploy."""
        self.stack.base_settings = self.deploy

    def check_host_records(self) -> None:
        """Hosts write what they write, and the program's wait reads it by the deployer's rights."""
        bucket = self.api.api.bucket()
        for key in ("hosts/a.json", "database/primary.json"):
            self.api.api.s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
        cloud = AwsClient(_access(self.api, self.deploy))
        found = cloud.get_object(bucket, "hosts/a.json")
        assert found is not None
        assert (found.body, found.age < 60) == (b"{}", True)
        assert cloud.get_object(bucket, "hosts/missing.json") is None


@contextmanager
def lifecycle_run(name: str) -> Generator[LifecycleRun]:
    """A stack with nothing in it, whose previewer and deployer have the generated policies, or every right while they are recorded."""
    with (
        iam_enforced_api() as api,
        tempfile.TemporaryDirectory() as folder,
        open_stack(name, api.api, Path(folder), endpoint=api.endpoint) as one,
    ):
        api.create_policy("webstack-boundary", ALLOW_ALL)
        common = (*one.base_settings, f"environment.permissionsBoundary={BOUNDARY}")
        whose: dict[DeployerKind, str] = {"preview": "reviewer", "up": "deployer"}
        keys = {
            who: api.create_principal(called, [ALLOW_ALL] if RECORD_ONLY else policies(who, policy_scope(name)))
            for who, called in whose.items()
        }
        yield LifecycleRun(api=api, stack=one, preview=(*common, *keys["preview"]), deploy=(*common, *keys["up"]))


def _access(api: IamEnforcedApi, always: Sequence[str]) -> AwsConfig:
    given = {name: value.strip('"') for name, value in (one.removeprefix("aws:").split("=", 1) for one in always if one.startswith("aws:"))}
    keys = {name: given[name] for name in ("accessKey", "secretKey", "token")}
    return AwsConfig.from_provider_config(
        REGION, {**keys, "endpoints": [{"ec2": api.endpoint, "s3": api.endpoint}], "s3UsePathStyle": True}
    )
