"""How `webstack rotate` reaches AWS, or a lab's API: as the stack's engine does, by the `aws:` settings of its file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import sessions
from lab.engine.workspace import read_config
from lab.session import Session
from ops.failures import UserError
from stack.access import Access, access_problems
from stack.problems import ConfigurationError
from stack.sessions import client, session

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True, kw_only=True)
class Door:
    """Clients of the three services that it takes."""

    ec2: "EC2Client"
    s3: "S3Client"
    secrets: "SecretsManagerClient"


def of_aws(repository: Path, stack: str) -> Door:
    """By the `aws:` settings of a stack's file, and the environment. Raises UserError for settings that are none."""
    config = read_config(repository, stack)
    given = {key.removeprefix("aws:"): value for key, value in config.items() if key.startswith("aws:")}
    if problems := access_problems(given):
        raise UserError(str(ConfigurationError(problems, effect="nothing was changed")))
    reached = Access.read(_region(config, stack), given)
    chosen = session(reached)
    return _door(lambda service: client(chosen, reached, service))


def of_lab(repository: Path, stack: str, lab: Session) -> Door:
    """By a lab's own API. Raises DaemonError where it does not run, KeysError for all but root."""
    region = _region(read_config(repository, stack), stack)
    lab.require_running()
    caller = sessions.administrator(lab.names)
    return _door(lambda service: caller.client(service, region))


def _region(config: Any, stack: str) -> str:
    region = config.get("aws:region")
    if not isinstance(region, str):
        raise UserError(
            f"Pulumi.{stack}.yaml has no aws:region: a stack's secrets are in one region; `pulumi config set aws:region REGION`"
        )
    return region


def _door(make: Callable[[str], Any]) -> Door:
    return Door(ec2=make("ec2"), s3=make("s3"), secrets=make("secretsmanager"))
