"""The door with its judge: real clients with an instance's credentials, against policies that the API holds."""

import datetime
import json
import os
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, cast

import aiohttp
import boto3
import pytest
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
from lab.cloud.iam.signatures import ClockSkewError, verify_signature
from lab.cloud.inventory import Inventory, MotoClients
from tests.aws.cloud.support import ADMIN_KEY, REGION, LoopThread, Network, client, reset_moto

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


def code(call: Callable[..., Any], **arguments: Any) -> str:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response.get("Error", {}).get("Code", "")
    return "allowed"


def test_what_a_role_may_passes_and_all_else_is_refused_in_each_dialect(door: GatewayHarness) -> None:
    arn = door.secrets.describe_secret(SecretId="app-writer")["ARN"]
    door.allow(
        {"Action": "s3:GetObject", "Resource": f"{BUCKET}/app/*"},
        {"Action": "s3:PutObject", "Resource": f"{BUCKET}/hosts/${{aws:userid}}.json"},
        {"Action": "secretsmanager:GetSecretValue", "Resource": arn},
        {"Action": "ec2:DescribeAddresses", "Resource": "*"},
    )
    held = door.session()
    s3, secrets, ec2 = door.host("s3", held), door.host("secretsmanager", held), door.host("ec2", held)
    own = door.host("sts", held).get_caller_identity()["UserId"]
    assert own == f"{door.role_id}:i-0123456789abcdef0"
    assert s3.get_object(Bucket="artifacts", Key="app/x")["Body"].read() == b"x"
    assert code(s3.put_object, Bucket="artifacts", Key=f"hosts/{own}.json", Body=b"{}") == "allowed"
    assert code(s3.put_object, Bucket="artifacts", Key=f"hosts/{own[:-1]}1.json", Body=b"{}") == "AccessDenied"
    assert code(s3.put_object, Bucket="artifacts", Key="app/x", Body=b"evil") == "AccessDenied"
    assert code(s3.head_object, Bucket="artifacts", Key="hosts/x") == "403"
    assert code(secrets.get_secret_value, SecretId="app-writer") == "allowed"
    assert code(secrets.get_secret_value, SecretId=arn) == "allowed"
    assert code(secrets.get_secret_value, SecretId="database-replication") == "AccessDeniedException"
    assert code(secrets.get_secret_value, SecretId="missing") == "AccessDeniedException"
    assert code(ec2.describe_addresses) == "allowed"
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"
    assert code(door.host("iam", held).list_roles) == "AccessDenied"


def test_s3_control_is_judged_by_the_rights_on_the_bucket_and_what_is_in_no_table_is_refused(door: GatewayHarness) -> None:
    control = door.host("s3control", door.session())
    bucket: dict[str, Any] = {"AccountId": "123456789012", "ResourceArn": BUCKET}
    tags = [{"Key": "Stack", "Value": "dev"}, {"Key": "Other", "Value": "x"}]
    assert code(control.list_tags_for_resource, **bucket) == "AccessDenied"
    door.allow({"Action": ["s3:ListTagsForResource", "s3:TagResource", "s3:UntagResource"], "Resource": BUCKET})
    assert code(control.tag_resource, **bucket, Tags=tags) == "allowed"
    assert control.list_tags_for_resource(**bucket)["Tags"] == tags
    assert code(control.untag_resource, **bucket, TagKeys=["Stack", "Other"]) == "allowed"
    assert code(control.tag_resource, **{**bucket, "ResourceArn": f"{BUCKET}-other"}, Tags=tags) == "AccessDenied"
    # However much a role may: what the tables do not hold is not let through.
    door.allow({"Action": "*", "Resource": "*"})
    assert code(control.get_public_access_block, AccountId="123456789012") == "AccessDenied"
    assert code(control.list_access_points, AccountId="123456789012") == "AccessDenied"
    assert code(control.create_access_point, AccountId="123456789012", Name="web", Bucket="artifacts") == "AccessDenied"


def test_a_trial_that_would_succeed_says_so_and_does_nothing(door: GatewayHarness) -> None:
    instance = door.network.launch()
    ec2 = door.host("ec2", door.session())
    assert code(ec2.stop_instances, InstanceIds=[instance], DryRun=True) == "UnauthorizedOperation"
    door.allow({"Action": "ec2:StopInstances", "Resource": "*"})
    assert code(ec2.stop_instances, InstanceIds=[instance], DryRun=True) == "DryRunOperation"
    assert door.network.state(instance) == "running"


def test_who_may_not_list_is_not_told_that_a_key_is_missing(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:GetObject", "Resource": f"{BUCKET}/*"})
    s3 = door.host("s3", door.session())
    assert code(s3.get_object, Bucket="artifacts", Key="app/missing") == "AccessDenied"
    listing = {"Action": "s3:ListBucket", "Resource": BUCKET, "Condition": {"StringLikeIfExists": {"s3:prefix": "app/*"}}}
    door.allow({"Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}, listing)
    assert code(s3.get_object, Bucket="artifacts", Key="app/missing") == "NoSuchKey"
    assert code(s3.list_objects_v2, Bucket="artifacts", Prefix="app/") == "allowed"
    assert code(s3.list_objects_v2, Bucket="artifacts", Prefix="hosts/") == "AccessDenied"


def test_a_bucket_that_asks_for_tls_refuses_without_it(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:*", "Resource": "*"})
    s3 = door.host("s3", door.session())
    assert code(s3.get_object, Bucket="artifacts", Key="app/x") == "allowed"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [BUCKET, f"{BUCKET}/*"]}
    tls_only = {**statement, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    door.s3.put_bucket_policy(Bucket="artifacts", Policy=trust(tls_only))
    door.forget()
    assert code(s3.get_object, Bucket="artifacts", Key="app/x") == "AccessDenied"


def test_managed_policies_boundaries_and_tags_of_the_role_count(door: GatewayHarness) -> None:
    document = trust({"Effect": "Allow", "Action": "s3:*", "Resource": f"{BUCKET}/${{aws:PrincipalTag/part}}/*"})
    arn = door.iam.create_policy(PolicyName="reads", PolicyDocument=document)["Policy"]["Arn"]
    boundary = trust({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    limit = door.iam.create_policy(PolicyName="limit", PolicyDocument=boundary)["Policy"]["Arn"]
    tags = [{"Key": "part", "Value": "app"}]
    door.iam.create_role(RoleName="limited", AssumeRolePolicyDocument=trust(TRUST), PermissionsBoundary=limit, Tags=tags)
    door.iam.attach_role_policy(RoleName="limited", PolicyArn=arn)
    s3 = door.host("s3", door.session("limited"))
    assert code(s3.get_object, Bucket="artifacts", Key="app/x") == "allowed"
    assert code(s3.put_object, Bucket="artifacts", Key="app/x", Body=b"") == "AccessDenied", "the boundary allows reading alone"
    assert code(s3.get_object, Bucket="artifacts", Key="other/x") == "AccessDenied"


def test_a_change_of_iam_counts_from_the_next_call(door: GatewayHarness) -> None:
    ec2 = door.host("ec2", door.session())
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"
    administrator = client("iam", f"http://127.0.0.1:{door.port}")
    document = trust({"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"})
    administrator.put_role_policy(RoleName="web", PolicyName="p", PolicyDocument=document)
    assert code(ec2.describe_vpcs) == "allowed"
    administrator.delete_role_policy(RoleName="web", PolicyName="p")
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"


def test_a_secrets_own_policy_counts(door: GatewayHarness) -> None:
    secrets = door.host("secretsmanager", door.session())
    role = "arn:aws:iam::123456789012:role/web"
    statement = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    door.secrets.put_resource_policy(SecretId="app-writer", ResourcePolicy=trust(statement))
    door.forget()
    assert code(secrets.get_secret_value, SecretId="app-writer") == "allowed"
    door.secrets.delete_resource_policy(SecretId="app-writer")
    door.forget()
    assert code(secrets.get_secret_value, SecretId="app-writer") == "AccessDeniedException"


def test_a_role_is_taken_only_by_whom_it_trusts(door: GatewayHarness) -> None:
    session = door.session()
    named = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:role/web"}, "Action": "sts:AssumeRole"}
    door.iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=trust(named))
    door.iam.create_role(RoleName="closed", AssumeRolePolicyDocument=trust(TRUST))
    sts = door.host("sts", session)
    for role, expected in (("trusting", "allowed"), ("closed", "AccessDenied"), ("missing", "AccessDenied")):
        assert code(sts.assume_role, RoleArn=f"arn:aws:iam::123456789012:role/{role}", RoleSessionName="ab") == expected


@pytest.mark.parametrize(
    ("service", "operation", "expected"),
    [
        ("s3", "list_buckets", "ExpiredToken"),
        ("ec2", "describe_vpcs", "RequestExpired"),
        ("sts", "get_caller_identity", "ExpiredToken"),
        ("secretsmanager", "list_secrets", "ExpiredTokenException"),
    ],
)
def test_credentials_end(door: GatewayHarness, service: str, operation: str, expected: str) -> None:
    door.allow({"Action": "*", "Resource": "*"})
    call = getattr(door.host(service, door.session()), operation)
    assert code(call) == "allowed"
    door.sessions.ended = True
    assert code(call) == expected


@pytest.mark.parametrize(
    ("service", "operation", "expected"),
    [
        ("s3", "list_buckets", "SignatureDoesNotMatch"),
        ("ec2", "describe_vpcs", "SignatureDoesNotMatch"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("secretsmanager", "list_secrets", "InvalidSignatureException"),
    ],
)
@pytest.mark.parametrize("wrong", ["SecretAccessKey", "SessionToken"])
def test_a_key_is_nothing_without_its_secret_and_token(
    door: GatewayHarness, service: str, operation: str, expected: str, wrong: str
) -> None:
    door.allow({"Action": "*", "Resource": "*"})
    credentials = {**door.session(), wrong: "another"}
    assert code(getattr(door.host(service, credentials), operation)) == expected


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


def test_a_signature_covers_the_request_and_its_time(door: GatewayHarness) -> None:
    door.allow({"Action": "*", "Resource": "*"})
    message = sent(door.host("secretsmanager", door.session()), "get_secret_value", SecretId="app-writer")
    assert door.verdict(parse_call(message, CALLER)) == AuthDecision()
    other = replace(message, body=message.body.replace(b"app-writer", b"database-replication"))
    assert kind(door.verdict(parse_call(other, CALLER))) == "bad signature"
    earlier = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=16)
    old = CIMultiDict(message.headers)
    old["X-Amz-Date"] = earlier.strftime("%Y%m%dT%H%M%SZ")
    assert kind(door.verdict(parse_call(replace(message, headers=old), CALLER))) == "bad time"


def kind(verdict: AuthDecision) -> str:
    assert verdict.error is not None
    return verdict.error.kind


def test_a_presigned_url_carries_its_signers_rights(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:GetObject", "Resource": f"{BUCKET}/app/*"})
    s3 = door.host("s3", door.session())
    for key, expected in (("app/x", 200), ("hosts/x", 403)):
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "artifacts", "Key": key}, ExpiresIn=60)
        assert status(url) == expected
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "artifacts", "Key": "app/x"}, ExpiresIn=60)
    assert status(url.replace("app/x", "app/y")) == 403
    assert status(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")) == 403


def test_a_presigned_url_ends(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:GetObject", "Resource": f"{BUCKET}/app/*"})
    s3 = door.host("s3", door.session())
    signed: str = s3.generate_presigned_url("get_object", Params={"Bucket": "artifacts", "Key": "app/x"}, ExpiresIn=60)
    url = urllib.parse.urlsplit(signed)
    message = HttpRequest(host=url.netloc, path=url.path, query=url.query)
    call = parse_call(message, CALLER)
    key = call.access_key_id
    session = door.loop.run(door.sessions.get(key))
    assert session is not None
    signed_at = datetime.datetime.strptime(message.query_params["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)

    def at(seconds: float) -> str:
        try:
            now = signed_at + datetime.timedelta(seconds=seconds)
            verify_signature(message, secret=session.secret, token=session.token, s3=True, now=now)
        except ClockSkewError:
            return "ended"
        return "good"

    assert [at(seconds) for seconds in (0, 60, 61, 3600)] == ["good", "good", "ended", "ended"]
    assert at(-16 * 60) == "ended", "signed further in the future than clocks may differ"


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_host_with_another_key_or_none_is_nobody(door: GatewayHarness) -> None:
    scope = "Credential=lab/20261124/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=" + "0" * 64
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"AWS4-HMAC-SHA256 {scope}"}
    message = HttpRequest(method="POST", host="ec2.eu-west-1.amazonaws.com", headers=form, body=b"Action=DescribeVpcs")
    for caller in (CALLER, "127.0.0.1"):
        assert kind(door.verdict(parse_call(message, caller))) == "unknown key"
    unsigned = HttpRequest(host="s3.eu-west-1.amazonaws.com", path="/artifacts/app/x")
    missing = HttpRequest(host="s3.eu-west-1.amazonaws.com", path="/no-such-bucket/x")
    made = HttpRequest(method="PUT", host="s3.eu-west-1.amazonaws.com", path="/new-bucket")
    for caller in (CALLER, "127.0.0.1"):
        assert kind(door.verdict(parse_call(unsigned, caller))) == "denied"
        assert kind(door.verdict(parse_call(missing, caller))) == "no bucket", "S3 says so to anybody"
        assert kind(door.verdict(parse_call(made, caller))) == "denied"


@pytest.mark.parametrize("path", ["/%252foto-api/reset", "/favicon.ico", "/arn%3Aaws%3As3%3A%3A%3Ax/y", "/%00/x", "/no%20bucket/x"])
def test_nobody_asks_for_what_is_no_bucket_and_is_told_so(door: GatewayHarness, path: str) -> None:
    unsigned = HttpRequest(host="s3.eu-west-1.amazonaws.com", path=path)
    assert kind(door.verdict(parse_call(unsigned, CALLER))) == "no bucket"


def test_the_rights_of_a_role_that_is_gone_are_gone(door: GatewayHarness) -> None:
    door.iam.create_role(RoleName="short", AssumeRolePolicyDocument=trust(TRUST))
    door.allow({"Action": "ec2:DescribeVpcs", "Resource": "*"}, role="short")
    ec2 = door.host("ec2", door.session("short"))
    assert code(ec2.describe_vpcs) == "allowed"
    door.iam.delete_role_policy(RoleName="short", PolicyName="p")
    door.iam.delete_role(RoleName="short")
    door.forget()
    assert code(ec2.describe_vpcs) == "AuthFailure"


def test_a_role_made_again_under_its_name_is_another_one(door: GatewayHarness) -> None:
    def make() -> None:
        door.iam.create_role(RoleName="again", AssumeRolePolicyDocument=trust(TRUST))
        door.allow({"Action": "ec2:DescribeVpcs", "Resource": "*"}, role="again")

    make()
    before = door.host("ec2", door.session("again"))
    assert code(before.describe_vpcs) == "allowed"
    door.iam.delete_role_policy(RoleName="again", PolicyName="p")
    door.iam.delete_role(RoleName="again")
    make()
    assert code(before.describe_vpcs) == "AuthFailure", "the sessions of the first one are no sessions of the second"
    assert code(door.host("ec2", door.session("again")).describe_vpcs) == "allowed"


def test_a_session_is_judged_on_this_machine_too(door: GatewayHarness) -> None:
    held = door.session(name="somebody")
    ec2 = client_of(door, held)
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"
    door.allow({"Action": "ec2:DescribeVpcs", "Resource": "*"})
    assert code(ec2.describe_vpcs) == "allowed"


def test_the_administrator_may_do_everything_wherever_from_by_its_keys_alone(door: GatewayHarness) -> None:
    url = f"http://127.0.0.1:{door.port}"
    objects, by_name = client("s3", url), client("ec2", f"http://ec2.{REGION}.amazonaws.com:{door.port}")
    objects.put_object(Bucket="artifacts", Key="a b/ü", Body=os.urandom(100_000))
    assert objects.list_objects_v2(Bucket="artifacts", Prefix="a b/")["KeyCount"] == 1
    assert code(by_name.describe_vpcs) == code(client("sts", url).get_caller_identity) == "allowed"
    assert code(client("route53", url).list_hosted_zones) == code(client("iam", url).list_roles) == "allowed"
    assert code(client("cloudwatch", url).describe_alarms) == code(client("ssm", url).describe_parameters) == "allowed"
    s3 = door.host("s3", {"AccessKeyId": ADMIN_KEY.access_key_id, "SecretAccessKey": ADMIN_KEY.secret, "SessionToken": None})
    presigned = s3.generate_presigned_url("get_object", Params={"Bucket": "artifacts", "Key": "app/x"})
    assert status(presigned) == 200
    assert status(presigned.replace("app/x", "app/y")) == 403


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"SecretAccessKey": "of-somebody-else"}, "SignatureDoesNotMatch"),
        ({"AccessKeyId": "AKIAOFNOBODY"}, "AuthFailure"),
        ({"SessionToken": "of-a-session"}, "SignatureDoesNotMatch"),
    ],
    ids=["secret", "key", "token"],
)
def test_on_this_machine_nobody_is_the_administrator_without_both_keys(door: GatewayHarness, keys: dict[str, str], wanted: str) -> None:
    given: dict[str, Any] = {"AccessKeyId": ADMIN_KEY.access_key_id, "SecretAccessKey": ADMIN_KEY.secret, "SessionToken": None}
    assert code(client_of(door, given).describe_vpcs) == "allowed"
    assert code(client_of(door, given | keys).describe_vpcs) == wanted


def test_a_call_of_the_administrators_is_good_for_minutes_and_for_what_was_signed(door: GatewayHarness) -> None:
    now = datetime.datetime.now(datetime.UTC)
    call = signed(now)
    assert door.verdict(call) == AuthDecision()
    other = replace(call, http=replace(call.http, body=b"Action=TerminateInstances&Version=2016-11-15"))
    assert kind(door.verdict(other)) == "bad signature"
    assert kind(door.verdict(signed(now - datetime.timedelta(minutes=16)))) == "bad time"


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


def test_tags_of_a_resource_and_of_the_request_count_as_they_are_now(door: GatewayHarness) -> None:
    own = {"StringEquals": {"aws:ResourceTag/project": "webstack"}}
    new = {"StringEquals": {"aws:RequestTag/project": "webstack"}}
    door.allow(
        {"Action": ["ec2:DeleteVolume", "ec2:DeleteTags"], "Resource": "*", "Condition": own},
        {"Action": "ec2:CreateVolume", "Resource": "*", "Condition": new},
        {"Action": "ec2:CreateTags", "Resource": "*", "Condition": {**new, "StringEqualsIfExists": {"ec2:CreateAction": "CreateVolume"}}},
    )
    ec2 = client_of(door, door.session(name="somebody"))
    administrator = client("ec2", f"http://127.0.0.1:{door.port}")
    zone = f"{REGION}a"

    def tagged(project: str) -> list[dict[str, Any]]:
        return [{"ResourceType": "volume", "Tags": [{"Key": "project", "Value": project}]}]

    assert code(ec2.create_volume, AvailabilityZone=zone, Size=1) == "UnauthorizedOperation"
    assert code(ec2.create_volume, AvailabilityZone=zone, Size=1, TagSpecifications=tagged("other")) == "UnauthorizedOperation"
    made = ec2.create_volume(AvailabilityZone=zone, Size=1, TagSpecifications=tagged("webstack"))["VolumeId"]
    bare = administrator.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    assert code(ec2.delete_volume, VolumeId=bare) == "UnauthorizedOperation"
    assert code(ec2.delete_tags, Resources=[made], Tags=[{"Key": "project"}]) == "allowed"
    assert code(ec2.delete_volume, VolumeId=made) == "UnauthorizedOperation", "its tag is gone"
    administrator.create_tags(Resources=[made], Tags=[{"Key": "project", "Value": "webstack"}])
    assert code(ec2.delete_volume, VolumeId=made) == "allowed"
    administrator.delete_volume(VolumeId=bare)


def test_an_address_goes_to_what_bears_the_tags_and_is_in_the_subnet(door: GatewayHarness) -> None:
    administrator, network = client("ec2", f"http://127.0.0.1:{door.port}"), door.network
    address = administrator.allocate_address(Domain="vpc")["AllocationId"]
    here = network.launch("10.20.1.88")
    described = administrator.describe_instances(InstanceIds=[here])["Reservations"][0].get("Instances", [])[0]
    interface = described.get("NetworkInterfaces", [])[0].get("NetworkInterfaceId", "")
    subnet = administrator.describe_subnets(SubnetIds=[described.get("SubnetId", "")])["Subnets"][0].get("SubnetArn", "")
    prefix, action = f"arn:aws:ec2:{REGION}:123456789012", "ec2:AssociateAddress"

    def permit(subnet_arn: str) -> None:
        door.allow(
            {"Action": action, "Resource": f"{prefix}:elastic-ip/{address}"},
            {"Action": action, "Resource": f"{prefix}:instance/*", "Condition": {"StringEquals": {"aws:ResourceTag/role": "balancer"}}},
            {
                "Action": action,
                "Resource": f"{prefix}:network-interface/*",
                "Condition": {"ArnEqualsIfExists": {"ec2:Subnet": [subnet_arn]}},
            },
        )

    permit(subnet)
    ec2 = client_of(door, door.session(name="somebody"))
    assert code(ec2.associate_address, AllocationId=address, InstanceId=here) == "UnauthorizedOperation", "it has no such tag"
    administrator.create_tags(Resources=[here], Tags=[{"Key": "role", "Value": "balancer"}])
    assert code(ec2.associate_address, AllocationId=address, InstanceId=here) == "allowed"
    assert code(ec2.associate_address, AllocationId=address, NetworkInterfaceId=interface) == "allowed"
    permit(subnet.rpartition("/")[0] + "/subnet-0")
    assert code(ec2.associate_address, AllocationId=address, NetworkInterfaceId=interface) == "UnauthorizedOperation"


def test_an_object_is_made_and_not_overwritten_where_a_policy_wants_the_condition(door: GatewayHarness) -> None:
    once = {"Null": {"s3:if-none-match": "false"}}
    door.allow({"Action": "s3:PutObject", "Resource": f"{BUCKET}/claim", "Condition": once})
    s3 = door.host("s3", door.session())
    assert code(s3.put_object, Bucket="artifacts", Key="claim", Body=b"theirs") == "AccessDenied"
    assert code(s3.put_object, Bucket="artifacts", Key="claim", Body=b"ours", IfNoneMatch="*") == "allowed"
    assert code(s3.put_object, Bucket="artifacts", Key="claim", Body=b"theirs", IfNoneMatch="*") == "PreconditionFailed"
    assert code(s3.put_object, Bucket="artifacts", Key="claim", Body=b"theirs", IfMatch='"etag"') == "AccessDenied"
    assert code(s3.create_multipart_upload, Bucket="artifacts", Key="claim") == "AccessDenied", "whose end would carry no condition"


def test_the_boundary_of_a_role_counts_for_who_changes_it(door: GatewayHarness) -> None:
    limit = door.iam.create_policy(PolicyName="limits", PolicyDocument=trust({"Effect": "Allow", "Action": "*", "Resource": "*"}))
    arn = limit["Policy"]["Arn"]
    bounded = {"StringEquals": {"iam:PermissionsBoundary": arn}}
    actions = ["iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"]
    door.allow({"Action": actions, "Resource": "*", "Condition": bounded})
    iam = door.host("iam", door.session())
    policy = {"PolicyName": "p", "PolicyDocument": trust({"Effect": "Allow", "Action": "*", "Resource": "*"})}
    assert code(iam.create_role, RoleName="free", AssumeRolePolicyDocument=trust(TRUST)) == "AccessDenied"
    assert code(iam.create_role, RoleName="bound", AssumeRolePolicyDocument=trust(TRUST), PermissionsBoundary=arn) == "allowed"
    assert code(iam.put_role_policy, RoleName="bound", **policy) == "allowed"
    door.iam.delete_role_permissions_boundary(RoleName="bound")
    door.forget()
    assert code(iam.put_role_policy, RoleName="bound", **policy) == "AccessDenied", "a role without the boundary gets no rights"
    assert code(iam.put_role_permissions_boundary, RoleName="bound", PermissionsBoundary=arn) == "allowed"
    assert code(iam.put_role_policy, RoleName="bound", **policy) == "allowed"


def test_a_later_daemon_knows_the_sessions_of_an_earlier_one_and_nobody_elses_keys(door: GatewayHarness) -> None:
    key = door.session()["AccessKeyId"]

    async def later() -> list[str]:
        async with aiohttp.ClientSession(door.api) as http:
            sessions = RoleSessions(http)
            found = [await sessions.get(one) for one in (key, "ASIAUNKNOWN0000000AB", "ASIA/../regions", "lab")]
            return [session.instance_id if session else "" for session in found]

    assert door.loop.run(later()) == ["i-0123456789abcdef0", "", "", ""]


def test_an_s3_gateway_limits_what_passes_it(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:*", "Resource": "*"})
    network = door.network
    table = network.ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    network.ec2.associate_route_table(RouteTableId=table, SubnetId=network.subnet)
    reads = trust({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"})
    wanted = {"VpcId": network.vpc, "ServiceName": f"com.amazonaws.{REGION}.s3", "RouteTableIds": [table]}
    made = network.ec2.create_vpc_endpoint(**wanted, PolicyDocument=reads)["VpcEndpoint"]
    instance = network.launch("10.20.1.77")
    door.inventory.lookup = lambda address: instance if address == "127.0.0.1" else None
    door.inventory.invalidate(REGION, "ec2")
    door.forget()
    try:
        s3 = door.host("s3", door.session())
        assert code(s3.get_object, Bucket="artifacts", Key="app/x") == "allowed"
        assert code(s3.put_object, Bucket="artifacts", Key="app/x", Body=b"x") == "AccessDenied"
        for known, expected in ((made["VpcEndpointId"], "allowed"), ("vpce-0123456789abcdef0", "AccessDenied")):
            statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}
            elsewhere = {**statement, "Condition": {"StringNotEquals": {"aws:SourceVpce": known}}}
            door.s3.put_bucket_policy(Bucket="artifacts", Policy=trust(elsewhere))
            door.forget()
            assert code(s3.get_object, Bucket="artifacts", Key="app/x") == expected
    finally:
        door.inventory.lookup = None
        door.inventory.invalidate(REGION, "ec2")


def test_a_gateway_s_new_policy_counts_from_the_next_call(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:*", "Resource": "*"})
    network, administrator = door.network, client("ec2", f"http://127.0.0.1:{door.port}")
    table = network.ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    subnet = network.ec2.create_subnet(VpcId=network.vpc, CidrBlock="10.20.77.0/24")["Subnet"]["SubnetId"]
    network.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)

    def policy(action: str) -> str:
        return trust({"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"})

    wanted = {"VpcId": network.vpc, "ServiceName": f"com.amazonaws.{REGION}.s3", "RouteTableIds": [table]}
    gateway = administrator.create_vpc_endpoint(**wanted, PolicyDocument=policy("s3:GetObject"))["VpcEndpoint"]["VpcEndpointId"]
    before = door.loop.run(door.policies.gateway_endpoint(REGION, subnet))
    assert before is not None
    administrator.modify_vpc_endpoint(VpcEndpointId=gateway, PolicyDocument=policy("s3:PutObject"))
    after = door.loop.run(door.policies.gateway_endpoint(REGION, subnet))
    assert after is not None
    assert (before.statements[0].actions, after.statements[0].actions) == (("s3:GetObject",), ("s3:PutObject",))


def test_policies_are_read_once_however_often_they_are_judged_by(door: GatewayHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    door.allow({"Action": "ec2:DescribeVpcs", "Resource": "*"})
    call = parse_call(sent(door.host("ec2", door.session()), "describe_vpcs"), CALLER)
    assert door.verdict(call) == AuthDecision()

    def read_again(*_: object) -> None:
        raise AssertionError("the policies are known")

    monkeypatch.setattr(door.policies, "_role", read_again)
    for _ in range(20):
        assert door.verdict(call) == AuthDecision()
