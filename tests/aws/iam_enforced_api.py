"""An emulated API whose door judges a principal of ours: what the engine, the provider and the program ask, by which policies."""

import asyncio
import json
import tempfile
import threading
from collections.abc import Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import boto3

from lab.cloud.api_gateway import ApiGateway, AuthDecision, loopback_listener
from lab.cloud.calls import Call
from lab.cloud.iam.authorizer import IamAuthorizer
from lab.cloud.iam.policies import PolicyStore
from lab.cloud.iam.request_context import Principal
from lab.cloud.iam.role_sessions import RoleSessions
from lab.cloud.iam.statements import AuthorizationRequest
from lab.cloud.inventory import Inventory, MotoClients
from lab.standalone_moto import standalone_moto
from tests.aws.api import REGION, Api

T = TypeVar("T")

ACCOUNT = "123456789012"
Document = Mapping[str, Any]
ALLOW_ALL: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(frozen=True, kw_only=True)
class RecordedDecision:
    """One ask that was judged."""

    role_name: str
    """The name of the role that asked."""
    request: AuthorizationRequest
    allowed: bool


@dataclass
class IamEnforcedApi:
    """The API: `api` is an administrator's, `endpoint` the door that judges whoever comes with a role's session."""

    api: Api
    endpoint: str
    decisions: list[RecordedDecision] = field(default_factory=list[RecordedDecision])

    def record(self, request: AuthorizationRequest, principal: Principal, allowed: bool) -> None:
        """Keeps one ask."""
        self.decisions.append(RecordedDecision(role_name=principal.role_arn.rpartition("/")[2], request=request, allowed=allowed))

    def create_policy(self, name: str, document: Document) -> str:
        """Makes a managed policy; gives its ARN."""
        return self.api.iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"].get("Arn", "")

    def create_principal(self, name: str, policies: Sequence[Document]) -> tuple[str, ...]:
        """Makes a role with these managed policies, takes it, and gives the settings by which a stack uses it."""
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        iam = self.api.iam
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        for number, document in enumerate(policies, 1):
            iam.attach_role_policy(RoleName=name, PolicyArn=self.create_policy(f"{name}-{number}", document))
        session = boto3.Session(aws_access_key_id="admin", aws_secret_access_key="admin", region_name=REGION)
        sts = session.client("sts", endpoint_url=self.api.endpoint)
        held = sts.assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="test")["Credentials"]
        keys = {"accessKey": held["AccessKeyId"], "secretKey": held["SecretAccessKey"], "token": held["SessionToken"]}
        return tuple(f"aws:{name}={json.dumps(value)}" for name, value in keys.items())


class AssumedTlsAuthorizer(IamAuthorizer):
    """AWS's endpoints speak TLS to every client. This door is on loopback and does not; what is judged is as if it did."""

    async def __call__(self, call: Call) -> AuthDecision:
        return await super().__call__(replace(call, http=replace(call.http, secure=True)))


@contextmanager
def iam_enforced_api() -> Generator[IamEnforcedApi]:
    """Runs an empty API and its judging door."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    with tempfile.TemporaryDirectory() as folder, standalone_moto(Path(folder)) as bare:
        listening = loopback_listener(0)
        opened = IamEnforcedApi(api=Api(bare), endpoint=f"http://127.0.0.1:{listening.getsockname()[1]}")

        async def start() -> tuple[ApiGateway, aiohttp.ClientSession]:
            http, clients = aiohttp.ClientSession(bare), MotoClients(bare)
            policies = PolicyStore(clients)

            def changed(*, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
                del region, parameters
                policies.invalidate(service, action)

            judge = AssumedTlsAuthorizer(RoleSessions(http), policies, Inventory(clients=clients), listener=opened.record)
            front = ApiGateway(bare, authorizer=judge, on_change=changed)
            await front.start()
            await front.add_listener(listening)
            return front, http

        front, http = run(start())
        try:
            yield opened
        finally:
            run(front.stop())
            run(http.close())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
