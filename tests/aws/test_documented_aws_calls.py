"""The documents' lines for the AWS CLI, as calls of the API: an administrator's before the first `up`, and looks at a stack."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jmespath
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.model import ListShape, Shape, StructureShape
from botocore.session import Session
from typer.testing import CliRunner

from lab.standalone_moto import standalone_moto
from ops.cli import app
from tests.aws.api import REGION, Api
from tests.aws.harness import Stack
from tests.documented_commands import Command, documented_commands

ALL = list(documented_commands())
LINES = {command.name: command for command in ALL if command.program == "aws"}


def call(command: Command, endpoint: str, **instead: str) -> Any:
    """Makes the call of a line as the AWS CLI makes it. `instead`: values in place of the line's, by the names of their options."""
    _, service, operation, *given = command.words
    client = client_of("s3" if service == "s3api" else service, endpoint)
    method = operation.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    assert isinstance(shape, StructureShape)
    members = {name.casefold(): name for name in shape.members}
    values = dict(zip(given[::2], given[1::2], strict=True))
    query = values.pop("--query", None)
    parameters: dict[str, Any] = {}
    for option, value in values.items():
        if option not in ("--output", "--region"):
            name = members[option.replace("-", "")]
            parameters[name] = converted(instead.get(option.removeprefix("--").replace("-", "_"), value), shape.members[name])
    answer = getattr(client, method)(**parameters)
    return jmespath.search(query, answer) if query else answer


def client_of(service: str, endpoint: str) -> BaseClient:
    return Session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="admin",
        aws_secret_access_key="admin",
        config=Config(s3={"addressing_style": "path"}),
    )


def converted(text: str, shape: Shape) -> Any:
    """A value as the CLI reads it: a file's text, a list's only item, or `Key=value,Key=value`."""
    if isinstance(shape, ListShape):
        return [converted(text, shape.member)]
    if isinstance(shape, StructureShape):
        parts = [part.split("=", 1) for part in text.split(",")]
        return {key: converted(value, shape.members[key]) for key, value in parts}
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[text]
    return Path(text.removeprefix("file://")).read_text() if text.startswith("file://") else text


@pytest.fixture
def account(tmp_path: Path) -> Iterator[str]:
    """An account with nothing in it."""
    with standalone_moto(tmp_path) as endpoint:
        yield endpoint


def test_an_administrator_prepares_an_account_with_the_files_that_the_documents_commands_write(
    account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ALL:
        if command.name == "webstack deployer-policy" and not command.mention:
            ids = {"OWNER/REPOSITORY": "octo/shop", "OWNER_ID/REPOSITORY_ID": "1/2"}
            key = "arn:aws:kms:eu-central-1:123456789012:key/0a1b"
            words = [ids.get(word, key if word.endswith("KEY-ID") else word) for word in command.words[1:]]
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, f"{command}: {result.output}"
    call(LINES["aws iam create-open-id-connect-provider"], account)
    policy = call(LINES["aws iam create-policy"], account)["Policy"]
    role = call(LINES["aws iam create-role"], account)["Role"]
    assert (policy["PolicyName"], role["RoleName"]) == ("webstack-prod-up-1", "webstack-prod-up")
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRoleWithWebIdentity"
    for name in ("create-bucket", "put-bucket-versioning", "put-public-access-block"):
        call(LINES[f"aws s3api {name}"], account)
    s3 = Api(account).s3
    assert s3.get_bucket_versioning(Bucket="my-state").get("Status") == "Enabled"
    assert all(s3.get_public_access_block(Bucket="my-state")["PublicAccessBlockConfiguration"].values())


def test_what_a_runbook_asks_the_api_finds_the_stacks_things(dev: Stack) -> None:
    hosts = call(LINES["aws ec2 describe-instances"], dev.api.endpoint)["Reservations"]
    assert len(hosts) == 5
    first = hosts[0]["Instances"][0]["InstanceId"]
    assert call(LINES["aws ec2 get-console-output"], dev.api.endpoint, instance_id=first)["InstanceId"] == first
    assert call(LINES["aws ssm get-parameter"], dev.api.endpoint)["Parameter"]["Value"].startswith("ami-")
    assert call(LINES["aws ec2 describe-volumes-modifications"], dev.api.endpoint)["VolumesModifications"] is not None
    volume = call(LINES["aws ec2 describe-volumes"], dev.api.endpoint, filters="Name=tag:Name,Values=dev-db-1-data")
    made = call(LINES["aws ec2 create-snapshot"], dev.api.endpoint, volume_id=volume)
    try:
        assert made["VolumeId"] == volume
        assert made["Description"] == "before MySQL's upgrade"
    finally:
        dev.api.ec2.delete_snapshot(SnapshotId=made["SnapshotId"])
