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

from lab.cloud.calls import Call
from lab.cloud.front import Front, Verdict, loopback_listener
from lab.cloud.iam.facts import Principal
from lab.cloud.iam.judge import IamJudge
from lab.cloud.iam.policies import PolicyStore
from lab.cloud.iam.sessions import Sessions
from lab.cloud.iam.statements import Ask
from lab.cloud.inventory import Clients, Inventory
from lab.empty_api import empty_api
from tests.aws.api import REGION, Api

T = TypeVar("T")

ACCOUNT = "123456789012"
Document = Mapping[str, Any]
ANYTHING: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One ask that was judged."""

    who: str
    """The name of the role that asked."""
    ask: Ask
    allowed: bool


@dataclass
class JudgedApi:
    """The API: `api` is an administrator's, `endpoint` the door that judges whoever comes with a role's session."""

    api: Api
    endpoint: str
    heard: list[Heard] = field(default_factory=list[Heard])

    def listen(self, ask: Ask, principal: Principal, allowed: bool) -> None:
        """Keeps one ask."""
        self.heard.append(Heard(who=principal.role_arn.rpartition("/")[2], ask=ask, allowed=allowed))

    def policy(self, name: str, document: Document) -> str:
        """Makes a managed policy; gives its ARN."""
        return self.api.iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"].get("Arn", "")

    def principal(self, name: str, policies: Sequence[Document]) -> tuple[str, ...]:
        """Makes a role with these managed policies, takes it, and gives the settings by which a stack uses it."""
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        iam = self.api.iam
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        for number, document in enumerate(policies, 1):
            iam.attach_role_policy(RoleName=name, PolicyArn=self.policy(f"{name}-{number}", document))
        session = boto3.Session(aws_access_key_id="admin", aws_secret_access_key="admin", region_name=REGION)
        sts = session.client("sts", endpoint_url=self.api.endpoint)
        held = sts.assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="test")["Credentials"]
        keys = {"accessKey": held["AccessKeyId"], "secretKey": held["SecretAccessKey"], "token": held["SessionToken"]}
        return tuple(f"aws:{name}={json.dumps(value)}" for name, value in keys.items())


class ByTls(IamJudge):
    """AWS's endpoints speak TLS to every client. This door is on loopback and does not; what is judged is as if it did."""

    async def __call__(self, call: Call) -> Verdict:
        return await super().__call__(replace(call, message=replace(call.message, secure=True)))


@contextmanager
def judged_api() -> Generator[JudgedApi]:
    """Runs an empty API and its judging door."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    with tempfile.TemporaryDirectory() as folder, empty_api(Path(folder)) as bare:
        listening = loopback_listener(0)
        opened = JudgedApi(api=Api(bare), endpoint=f"http://127.0.0.1:{listening.getsockname()[1]}")

        async def start() -> tuple[Front, aiohttp.ClientSession]:
            http, clients = aiohttp.ClientSession(bare), Clients(bare)
            policies = PolicyStore(clients)

            def changed(*, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
                del region, parameters
                policies.changed(service, action)

            judge = ByTls(Sessions(http), policies, Inventory(clients=clients), listener=opened.listen)
            front = Front(bare, judge=judge, on_change=changed)
            await front.start()
            await front.open_door(listening)
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
