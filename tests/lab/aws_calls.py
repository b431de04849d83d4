"""Calls to AWS's API from a host, with its role's credentials or those of a role that it takes, and how each ended."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.lab.harness import LabUnderTest

REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})

_HOST_SCRIPT = """
import json, sys
import boto3
from botocore.exceptions import ClientError

given = json.loads(sys.argv[1])
region = json.load(open("/etc/webstack/host.json"))["region"]
own = boto3.session.Session(region_name=region)

def session(role):
    if not role:
        return own
    held = own.client("sts").assume_role(RoleArn=role, RoleSessionName="probe")["Credentials"]
    keys = {"aws_access_key_id": held["AccessKeyId"], "aws_secret_access_key": held["SecretAccessKey"]}
    return boto3.session.Session(region_name=region, aws_session_token=held["SessionToken"], **keys)

def ending(used, identity, service, operation, arguments):
    filled = {key: value.replace("{self}", identity) if isinstance(value, str) else value for key, value in arguments.items()}
    try:
        getattr(used.client(service), operation)(**filled)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"

for role, calls in given:
    used = session(role)
    identity = used.client("sts").get_caller_identity()["UserId"]
    print(json.dumps([ending(used, identity, *call) for call in calls]))
"""


@dataclass(frozen=True, kw_only=True)
class AwsCall:
    """A call by boto3's names; `{self}` in an argument stands for the caller's `aws:userid`."""

    service: str
    operation: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


def run_calls(lab: LabUnderTest, host: str, *rounds: tuple[str, list[AwsCall]]) -> list[list[str]]:
    """How each call of each round ended on a host: `done`, or AWS's error code. A round's role is an ARN, or empty for the host's own."""
    given = [(role, [(one.service, one.operation, one.arguments) for one in calls]) for role, calls in rounds]
    return [json.loads(line) for line in lab.run_on(host, "python3", "-c", _HOST_SCRIPT, json.dumps(given)).splitlines()]
