"""The front door: what clients send arrives, what changes is told, who may not is refused as on AWS."""

import hashlib
import io
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lab.cloud.api_gateway import MAX_UNKNOWN_BODY_BYTES, ApiGateway, AuthDecision, loopback_listener
from lab.cloud.aws_errors import AwsError
from lab.cloud.calls import Call
from lab.cloud.certificates import CertificateIssuer, ensure_ca
from lab.cloud.images import DEBIAN_PARAMETER
from lab.engine.engine import isolated_aws_environment
from stack.aws_client import AwsClient
from stack.aws_config import AwsConfig
from tests.aws.cloud.support import LoopThread, Network, client, proxy_client


class GatewayHarness:
    """A front with an HTTP and an HTTPS door on loopback, and what it told of changes."""

    def __init__(self, api: str, loop: LoopThread, folder: Path) -> None:
        self.log_file = folder / "calls.jsonl"
        self.changes: list[tuple[str, str, str]] = []
        self.front = ApiGateway(api, on_change=self.changed, log_file=self.log_file)
        self.certificate, key = ensure_ca(folder)
        loop.run(self.front.start())
        loop.add_cleanup(self.front.stop)
        plain, secured = loopback_listener(0), loopback_listener(0)
        self.url = f"http://127.0.0.1:{port_of(plain)}"
        self.tls_url = f"https://localhost:{port_of(secured)}"
        loop.run(self.front.add_listener(plain))
        loop.run(self.front.add_listener(secured, CertificateIssuer(self.certificate, key).server_context("amazonaws.com")))

    def changed(self, *, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
        del parameters
        self.changes.append((region, service, action))

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]


def port_of(listening: socket.socket) -> int:
    return listening.getsockname()[1]


@pytest.fixture
def door(api: str, loop: LoopThread, tmp_path: Path) -> GatewayHarness:
    return GatewayHarness(api, loop, tmp_path)


def test_calls_side_by_side_all_succeed(door: GatewayHarness) -> None:
    network = Network(door.url)  # moto alone fails here: half of such threads die of "dictionary changed size during iteration"

    def create(number: int) -> str:
        return network.ec2.create_security_group(GroupName=f"g{number}", Description="d", VpcId=network.vpc)["GroupId"]

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(create, range(48)))) == 48
    assert door.changes.count(("eu-west-1", "ec2", "CreateSecurityGroup")) == 49


def test_an_object_larger_than_a_body_may_be_travels_in_parts(
    door: GatewayHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.cloud.api_gateway.MAX_BODY_BYTES", 9_000_000)
    large = tmp_path / "app.tar.gz"
    large.write_bytes(os.urandom(20_000_000))
    access = AwsConfig(region="eu-west-1", access_key="a", secret_key="b", endpoints={"s3": door.url}, path_style=True)
    cloud = AwsClient(access)
    cloud.s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with pytest.raises(ClientError, match="413"):
        cloud.s3.put_object(Bucket="artifacts", Key="whole", Body=large.read_bytes())
    sha256 = hashlib.sha256(large.read_bytes()).hexdigest()
    assert not cloud.has_object("artifacts", "app/1.tar.gz", length=20_000_000, sha256=sha256)
    cloud.put_object("artifacts", "app/1.tar.gz", large, sha256=sha256)
    assert cloud.has_object("artifacts", "app/1.tar.gz", length=20_000_000, sha256=sha256)
    assert cloud.s3.get_object(Bucket="artifacts", Key="app/1.tar.gz")["Body"].read() == large.read_bytes()
    for content in (b"7 bytes", bytes(20_000_000)):
        monkeypatch.setattr("lab.cloud.api_gateway.MAX_BODY_BYTES", 30_000_000)
        cloud.s3.put_object(Bucket="artifacts", Key="app/1.tar.gz", Body=content)
        assert not cloud.has_object("artifacts", "app/1.tar.gz", length=20_000_000, sha256=sha256)


def test_only_what_changes_something_is_told(door: GatewayHarness) -> None:
    ec2 = client("ec2", door.url)
    ec2.describe_vpcs()
    with pytest.raises(ClientError):
        ec2.delete_vpc(VpcId="vpc-0123456789abcdef0")
    assert door.changes == []
    ec2.create_vpc(CidrBlock="10.20.0.0/16")
    assert door.changes == [("eu-west-1", "ec2", "CreateVpc")]


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
def test_objects_arrive_as_they_were_sent(door: GatewayHarness, secured: bool) -> None:
    """By HTTPS boto3 sends `Expect: 100-continue` and its body in chunks with a checksum after the last, by HTTP in one piece."""
    s3 = client("s3", door.tls_url, verify=door.certificate) if secured else client("s3", door.url)
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    content = hashlib.sha256(b"seed").digest() * 1_000_000
    s3.put_object(Bucket="artifacts", Key="app/a:b c.tar.gz", Body=io.BytesIO(content), ContentEncoding="gzip", Metadata={"host": "web-1"})
    assert s3.head_object(Bucket="artifacts", Key="app/a:b c.tar.gz")["ContentLength"] == len(content)
    stored = s3.get_object(Bucket="artifacts", Key="app/a:b c.tar.gz")
    assert (stored["Body"].read(), stored["ContentEncoding"], stored["Metadata"]) == (content, "gzip", {"host": "web-1"})
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="artifacts", Key="app/a:b c.tar.gz", Body=b"", IfNoneMatch="*")


def test_whoever_has_no_key_cannot_have_large_bodies_kept_in_memory(door: GatewayHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def known(access_key_id: str) -> bool:
        return access_key_id == "AKIAKNOWN"

    monkeypatch.setattr(door.front, "_is_known_key", known)

    def put(key: str, size: int) -> int:
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260101/eu-west-1/s3/aws4_request"} if key else {}
        asked = urllib.request.Request(f"{door.url}/bucket/key", data=bytes(size), method="PUT", headers=headers)
        try:
            return urllib.request.urlopen(asked).status
        except urllib.error.HTTPError as error:
            return error.code

    assert put("", MAX_UNKNOWN_BODY_BYTES + 1) == put("AKIAOTHER", MAX_UNKNOWN_BODY_BYTES + 1) == 413
    assert put("", MAX_UNKNOWN_BODY_BYTES) != 413
    assert put("AKIAKNOWN", MAX_UNKNOWN_BODY_BYTES + 1) != 413


def test_what_is_none_of_awss_is_closed(door: GatewayHarness) -> None:
    for path in ("/_lab/regions", "/moto-api/reset", "/moto-api/data.json", "/%6doto-api/data.json", "/%5Flab/regions", "//_lab/regions"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{door.url}{path}")


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation"),
        ("s3", "list_buckets", {}, "AccessDenied"),
        ("iam", "list_roles", {}, "AccessDenied"),
        ("route53", "list_hosted_zones", {}, "AccessDenied"),
        ("secretsmanager", "get_secret_value", {"SecretId": "x"}, "AccessDeniedException"),
        ("cloudwatch", "list_metrics", {}, "AccessDeniedException"),
    ],
)
def test_a_judges_no_reaches_the_client_in_its_services_own_words(
    door: GatewayHarness, service: str, operation: str, arguments: dict[str, str], code: str
) -> None:
    judged: list[Call] = []

    async def refuse(call: Call) -> AuthDecision:
        judged.append(call)
        return AuthDecision(error=AwsError(message="User: arn:aws:sts::1:assumed-role/web/i-1 is not authorized to perform this & that"))

    door.front.authorizer = refuse
    with pytest.raises(ClientError, match="not authorized to perform this & that") as caught:
        getattr(client(service, door.url), operation)(**arguments)
    assert caught.value.response.get("Error", {}).get("Code") == code
    assert [call.service for call in judged] == [service]


def test_the_call_log_tells_who_did_what_and_nothing_secret(door: GatewayHarness) -> None:
    secrets = client("secretsmanager", door.url)
    secrets.create_secret(Name="webstack/dev/app-writer", SecretString="hunter2-hunter2")
    secrets.get_secret_value(SecretId="webstack/dev/app-writer")
    entries = door.log()
    assert [(entry["caller"], entry["service"], entry["action"], entry["status"]) for entry in entries] == [
        ("127.0.0.1", "secretsmanager", "CreateSecret", 200),
        ("127.0.0.1", "secretsmanager", "GetSecretValue", 200),
    ]
    text = door.log_file.read_text()
    for secret in ("hunter2", "AKIATEST", "secret-of-the-test"):
        assert secret not in text


def test_without_an_api_server_the_door_says_so(loop: LoopThread) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        front = ApiGateway(f"http://127.0.0.1:{port_of(unused)}")
        listening = loopback_listener(0)
        loop.run(front.start())
        loop.add_cleanup(front.stop)
        loop.run(front.add_listener(listening))
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://127.0.0.1:{port_of(listening)}/")


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "action"),
    [
        ("ec2", "describe_addresses_attribute", {"AllocationIds": [], "Attribute": "domain-name"}, "DescribeAddressesAttribute"),
        ("iam", "list_instance_profile_tags", {"InstanceProfileName": "profile"}, "ListInstanceProfileTags"),
        ("logs", "describe_log_groups", {}, "DescribeLogGroups"),
        ("route53", "list_hosted_zones", {}, "ListHostedZones"),
        ("s3", "get_bucket_request_payment", {"Bucket": "artifacts"}, "GetBucketRequestPayment"),
        ("secretsmanager", "list_secrets", {}, "ListSecrets"),
        ("ssm", "get_parameter", {"Name": DEBIAN_PARAMETER}, "GetParameter"),
        ("sts", "get_caller_identity", {}, "GetCallerIdentity"),
    ],
)
def test_a_read_of_the_real_provider_passes_with_its_name(
    door: GatewayHarness, service: str, operation: str, arguments: dict[str, object], action: str
) -> None:
    with isolated_aws_environment(door.url):
        client("iam", door.url).create_instance_profile(InstanceProfileName="profile")
        client("s3", door.url).create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        made: Any = boto3.Session(region_name="eu-west-1")
        getattr(made.client(service), operation)(**arguments)
    entry = door.log()[-1]
    assert (entry["service"], entry["action"], entry["status"]) == (service, action, 200)
    assert ("s3", "CreateBucket") in {change[1:] for change in door.changes}


def test_s3_control_is_reached_under_the_accounts_name_by_the_proxy(door: GatewayHarness) -> None:
    """As AWS's provider asks for the tags of a bucket: http://123456789012.127.0.0.1, which no resolver knows."""
    client("s3", door.url).create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    control, bucket = proxy_client("s3control", door.url), {"AccountId": "123456789012", "ResourceArn": "arn:aws:s3:::artifacts"}
    control.tag_resource(**bucket, Tags=[{"Key": "Stack", "Value": "dev"}])
    assert control.list_tags_for_resource(**bucket)["Tags"] == [{"Key": "Stack", "Value": "dev"}]
    assert [(entry["service"], entry["action"]) for entry in door.log()[1:]] == [("s3", "TagResource"), ("s3", "ListTagsForResource")]
    assert [action for _, _, action in door.changes] == ["CreateBucket", "TagResource"]


def test_a_proxied_call_has_no_way_past_the_door(door: GatewayHarness) -> None:
    """What is not AWS's path stays closed however it is written, and what is for another host goes to the lab or nowhere."""
    for url in (f"{door.url}/_lab/regions", "http://lab.invalid/moto-api/reset", "http://lab.invalid/no/such/thing"):
        request = urllib.request.Request(url)
        request.set_proxy(door.url.removeprefix("http://"), "http")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(request)


MALFORMED = {
    "no target": b"GET http:/// HTTP/1.1\r\nHost: s3\r\n\r\n",
    "no http": b"what is this\r\n\r\n",
    "a line without an end": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_who_speaks_no_http_is_told_so_and_fills_no_log(door: GatewayHarness, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", int(door.url.rpartition(":")[2])), timeout=30) as caller:
        caller.sendall(sent)
        status = int(caller.makefile("rb").readline().split()[1])
    assert 400 <= status < 500, status
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
