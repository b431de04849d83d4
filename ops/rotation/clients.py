"""How `webstack rotate` reaches AWS, or a lab's API: as the stack's engine does, by the `aws:` settings of its file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import aws_clients
from lab.engine.workspace import read_config
from lab.lab_handle import LabHandle
from ops.errors import UserError
from stack.aws_config import AwsConfig, aws_config_problems
from stack.aws_sessions import make_client, make_session
from stack.problems import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True, kw_only=True)
class AwsClients:
    """Clients of the three services that a rotation uses."""

    ec2: "EC2Client"
    s3: "S3Client"
    secrets: "SecretsManagerClient"


def clients_for_aws(repository: Path, stack: str) -> AwsClients:
    """Clients by the `aws:` settings of a stack's file and the environment. Raises UserError for invalid settings."""
    config = read_config(repository, stack)
    given = {key.removeprefix("aws:"): value for key, value in config.items() if key.startswith("aws:")}
    if problems := aws_config_problems(given):
        raise UserError(str(ConfigurationError(problems, effect="nothing was changed")))
    reached = AwsConfig.from_provider_config(_region(config, stack), given)
    chosen = make_session(reached)
    return _make_clients(lambda service: make_client(chosen, reached, service))


def clients_for_lab(repository: Path, stack: str, lab: LabHandle) -> AwsClients:
    """Clients of a lab's API. Raises LabError where it is not running, AdminKeysError for all but root."""
    region = _region(read_config(repository, stack), stack)
    lab.require_running()
    caller = aws_clients.admin_clients(lab.names)
    return _make_clients(lambda service: caller.client(service, region))


def _region(config: Any, stack: str) -> str:
    region = config.get("aws:region")
    if not isinstance(region, str):
        raise UserError(
            f"Pulumi.{stack}.yaml has no aws:region, and secrets are in a region; set it with `pulumi config set aws:region REGION`"
        )
    return region


def _make_clients(make_client: Callable[[str], Any]) -> AwsClients:
    return AwsClients(ec2=make_client("ec2"), s3=make_client("s3"), secrets=make_client("secretsmanager"))
