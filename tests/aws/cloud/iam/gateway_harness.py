"""An API gateway that authorizes, and clients with an instance's credentials."""

import datetime
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import aiohttp
import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.exceptions import ClientError
from multidict import CIMultiDict

from lab.cloud.api_gateway import ApiGateway, AuthDecision, loopback_listener
from lab.cloud.calls import Call, HttpRequest, parse_call
from lab.cloud.iam.authorizer import IamAuthorizer
from lab.cloud.iam.policies import PolicyStore
from lab.cloud.iam.role_sessions import RoleSession, RoleSessions
from lab.cloud.inventory import Inventory, MotoClients
from tests.aws.cloud.support import ADMIN_KEY, REGION, LoopThread, Network, client

TRUST = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
ONCE: Any = {"total_max_attempts": 1}
CALLER = "10.20.1.10"
"""The address of a host."""
BUCKET = "arn:aws:s3:::artifacts"


class TamperedSessions(RoleSessions):
    """Sessions of which a test may change what is known."""

    ended = False
    """Whether their time is over."""

    async def get(self, access_key_id: str) -> RoleSession | None:
        session = await super().get(access_key_id)
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
        return replace(session, expires=past) if session and self.ended else session


class GatewayHarness:
    """A front with a judge. Names of AWS lead to it while the test runs."""

    def __init__(self, api: str, loop: LoopThread) -> None:
        self.api = api
        self.loop = loop
        self.role_id = ""
        self.iam = client("iam", api)
        self.s3 = client("s3", api)
        self.secrets = client("secretsmanager", api)
        self.sts = client("sts", api)
        self.network = Network(api)
        self.clients = MotoClients(api)
        self.policies = PolicyStore(self.clients)
        self.inventory = Inventory(clients=self.clients)
        self.sessions, self.judge, front = loop.run(self._open())
        listening = loopback_listener(0)
        self.port: int = listening.getsockname()[1]
        loop.run(front.add_listener(listening))
        loop.add_cleanup(front.stop)
        loop.add_cleanup(self._http.close)

    async def _open(self) -> tuple[TamperedSessions, IamAuthorizer, ApiGateway]:
        self._http = aiohttp.ClientSession(self.api)
        sessions = TamperedSessions(self._http)
        judge = IamAuthorizer(sessions, self.policies, self.inventory, administrator=ADMIN_KEY)
        front = ApiGateway(self.api, on_change=self._changed, authorizer=judge)
        await front.start()
        return sessions, judge, front

    def _changed(self, *, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
        del region, parameters
        self.policies.invalidate(service, action)

    def forget(self) -> None:
        """The tests change policies behind the door."""
        for service, action in (("iam", "x"), ("s3", "PutBucketPolicy"), ("secretsmanager", "x"), ("ec2", "CreateRoute")):
            self.policies.invalidate(service, action)

    def session(self, role: str = "web", name: str = "i-0123456789abcdef0") -> dict[str, Any]:
        return self.sts.assume_role(RoleArn=f"arn:aws:iam::123456789012:role/{role}", RoleSessionName=name)["Credentials"]

    def host(self, service: str, credentials: dict[str, Any]) -> Any:
        """A client as on a host, but for the scheme."""
        region = "" if service == "iam" else f"{REGION}."
        named = "s3-control" if service == "s3control" else service
        make = cast("Any", boto3.client)  # its stubs want the service's name as a literal
        return make(
            service,
            endpoint_url=f"http://{named}.{region}amazonaws.com:{self.port}",
            region_name=REGION,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=Config(signature_version="s3v4" if service == "s3" else None, retries=ONCE, s3={"addressing_style": "path"}),
        )

    def allow(self, *statements: dict[str, Any], role: str = "web") -> None:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
        self.iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps(document))
        self.forget()

    def verdict(self, call: Call) -> AuthDecision:
        return self.loop.run(self.judge(call))


def trust(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def code(call: Callable[..., Any], **arguments: Any) -> str:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response.get("Error", {}).get("Code", "")
    return "allowed"


def sent(any_client: Any, operation: str, **arguments: Any) -> HttpRequest:
    """The message by which a client makes a call, as the door sees it."""
    caught: list[HttpRequest] = []

    def catch(request: Any, **_: Any) -> None:
        headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
        host = request.url.split("/")[2]
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        caught.append(HttpRequest(method=request.method, host=host, headers=CIMultiDict(headers), body=body))

    any_client.meta.events.register("before-send", catch)
    getattr(any_client, operation)(**arguments)
    return caught[0]


def kind(verdict: AuthDecision) -> str:
    assert verdict.error is not None
    return verdict.error.kind


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def signed(when: datetime.datetime) -> Call:
    """DescribeVpcs, signed by the administrator at a time."""
    signer: Any = SigV4Auth(BotocoreCredentials(ADMIN_KEY.access_key_id, ADMIN_KEY.secret), "ec2", REGION)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "host": "127.0.0.1:14600"}
    body = b"Action=DescribeVpcs&Version=2016-11-15"
    request = AWSRequest("POST", "http://127.0.0.1:14600/", data=body, headers=headers)
    stamp = when.strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    signer._inject_signature_to_request(request, signature)
    message = HttpRequest(method="POST", host="127.0.0.1:14600", headers=CIMultiDict(request.headers.items()), body=body)
    return parse_call(message, "127.0.0.1")


def client_of(door: GatewayHarness, credentials: dict[str, Any]) -> Any:
    """A client on this machine, whose endpoint is the door's own address."""
    make = cast("Any", boto3.client)
    return make(
        "ec2",
        endpoint_url=f"http://127.0.0.1:{door.port}",
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=Config(retries=ONCE),
    )
