"""A gateway that authorizes each call, once for each module, and without any right for each test."""

import socket
from collections.abc import Generator
from typing import Any

import pytest

from tests.aws.cloud.iam.gateway_harness import TRUST, GatewayHarness, trust
from tests.aws.cloud.support import REGION, LoopThread, reset_moto


@pytest.fixture(scope="module")
def opened(api_server: str) -> Generator[GatewayHarness]:
    reset_moto(api_server)
    loop = LoopThread()
    door = GatewayHarness(api_server, loop)
    door.role_id = door.iam.create_role(RoleName="web", AssumeRolePolicyDocument=trust(TRUST))["Role"]["RoleId"]
    door.s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
    door.s3.put_object(Bucket="artifacts", Key="app/x", Body=b"x")
    door.secrets.create_secret(Name="app-writer", SecretString="w")
    door.secrets.create_secret(Name="database-replication", SecretString="r")
    yield door
    loop.close()


@pytest.fixture
def door(opened: GatewayHarness, monkeypatch: pytest.MonkeyPatch) -> Generator[GatewayHarness]:
    """The door, with no right given; what a test leaves is taken away."""
    resolve = socket.getaddrinfo

    def to_the_door(host: Any, *arguments: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if str(host).endswith("amazonaws.com") else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", to_the_door)
    opened.sessions.ended = False
    yield opened
    for policy in opened.iam.list_role_policies(RoleName="web")["PolicyNames"]:
        opened.iam.delete_role_policy(RoleName="web", PolicyName=policy)
    opened.s3.delete_bucket_policy(Bucket="artifacts")
    opened.forget()
