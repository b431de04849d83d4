"""The metadata service, asked over real sockets: tokens, keys, credentials."""

import datetime
import json
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass

import boto3
import pytest

from lab.cloud.api_gateway import loopback_listener
from lab.cloud.iam.policies import PolicyStore
from lab.cloud.inventory import Inventory, MotoClients
from lab.cloud.metadata import TOKEN_HEADER, TTL_HEADER, MetadataService
from tests.aws.cloud.support import REGION, LoopThread, Network, client, reset_moto


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    text: str
    headers: dict[str, str]


class Host:
    """An instance with a role, and requests from it."""

    def __init__(self, api: str, network: Network, loop: LoopThread) -> None:
        self.network = network
        self.iam = client("iam", api)
        self.role_id: str = self.iam.create_role(RoleName="web", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))["Role"]["RoleId"]
        self.iam.create_instance_profile(InstanceProfileName="web")
        self.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
        self.id = network.launch(
            "10.20.1.10",
            UserData="#cloud-config\nruncmd: [true]\n",
            IamInstanceProfile={"Name": "web"},
            MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "host", "Value": "web-1"}]}],
        )
        self.caller = self.id
        clients = MotoClients(api)
        self.inventory = Inventory(clients=clients, lookup=lambda address: self.caller if address == "127.0.0.1" else None)
        self.inventory.invalidate(REGION, "ec2")
        self.policies = PolicyStore(clients)
        service = MetadataService(self.inventory, clients, self.policies)
        listening = loopback_listener(0)
        self._url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        loop.run(service.start(listening))
        loop.add_cleanup(service.stop)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with urllib.request.urlopen(urllib.request.Request(self._url + path, method=method, headers=named), timeout=10) as answer:
                return Reply(status=answer.status, text=answer.read().decode(), headers=dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Reply(status=error.code, text=error.read().decode(), headers={})

    def token(self, seconds: str = "60") -> str:
        return self.ask("/latest/api/token", "PUT", **{TTL_HEADER: seconds}).text

    def get(self, path: str) -> Reply:
        return self.ask(path, **{TOKEN_HEADER: self.token()})


@pytest.fixture(scope="module")
def host(api_server: str) -> Generator[Host]:
    """One host for all tests here; a test that changes what it is puts it back."""
    reset_moto(api_server)
    loop = LoopThread()
    yield Host(api_server, Network(api_server), loop)
    loop.close()


@pytest.fixture(autouse=True)
def _as_it_was(host: Host) -> Generator[None]:
    yield
    host.caller = host.id
    host.inventory.invalidate(REGION, "ec2")


def test_without_a_token_or_with_a_strange_one_nothing_is_told(host: Host) -> None:
    assert host.ask("/latest/meta-data/").status == 401
    assert host.ask("/latest/meta-data/", **{TOKEN_HEADER: "made-up"}).status == 401


@pytest.mark.parametrize("seconds", ["", "0", "-1", "21601", "six"])
def test_a_token_has_a_lifetime_of_one_second_to_six_hours(host: Host, seconds: str) -> None:
    assert host.ask("/latest/api/token", "PUT", **({TTL_HEADER: seconds} if seconds else {})).status == 400


def test_a_token_tells_its_lifetime_and_is_not_given_through_a_proxy(host: Host) -> None:
    assert host.ask("/latest/api/token", "PUT", **{TTL_HEADER: "21600"}).headers[TTL_HEADER] == "21600"
    assert host.ask("/latest/api/token", "PUT", **{TTL_HEADER: "60", "X-Forwarded-For": "203.0.113.9"}).status == 403


def test_a_token_expires(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    token = host.token("30")
    assert host.ask("/latest/meta-data/instance-id", **{TOKEN_HEADER: token}).status == 200
    now = time.monotonic()
    monkeypatch.setattr("lab.cloud.metadata.time.monotonic", lambda: now + 31)
    assert host.ask("/latest/meta-data/instance-id", **{TOKEN_HEADER: token}).status == 401


def test_a_token_is_one_instances_own(host: Host) -> None:
    token = host.token()
    host.caller = host.network.launch("10.20.1.11")
    host.inventory.invalidate(REGION, "ec2")
    assert host.ask("/latest/meta-data/instance-id", **{TOKEN_HEADER: token}).status == 401


def test_where_tokens_are_optional_version_one_answers(host: Host) -> None:
    host.caller = host.network.launch("10.20.1.13", MetadataOptions={"HttpTokens": "optional"})
    host.inventory.invalidate(REGION, "ec2")
    assert host.ask("/latest/meta-data/instance-id").text == host.caller


def test_changed_options_count_from_the_next_request(host: Host) -> None:
    for tokens, status in (("optional", 200), ("required", 401)):
        host.network.ec2.modify_instance_metadata_options(InstanceId=host.id, HttpTokens=tokens)
        host.inventory.invalidate(REGION, "ec2")
        assert host.ask("/latest/meta-data/instance-id").status == status


def test_what_is_no_instance_is_told_nothing(host: Host) -> None:
    host.caller = "i-0123456789abcdef0"
    host.inventory.invalidate(REGION, "ec2")
    assert host.ask("/latest/api/token", "PUT", **{TTL_HEADER: "60"}).status == 404


def test_every_listed_key_has_a_value_as_cloud_init_walks_them(host: Host) -> None:
    seen: dict[str, str] = {}

    def walk(folder: str) -> None:
        for name in host.get(folder).text.splitlines():
            if name.endswith("/"):
                walk(folder + name)
            else:
                reply = host.get(folder + name)
                assert reply.status == 200, folder + name
                seen[folder + name] = reply.text

    walk("/2021-03-23/")
    base = "/2021-03-23/meta-data/"
    mac = "02:00:0a:14:01:0a"
    interface = f"{base}network/interfaces/macs/{mac}/"
    expected = {
        f"{base}instance-id": host.id,
        f"{base}local-ipv4": "10.20.1.10",
        f"{base}mac": mac,
        f"{base}placement/availability-zone": f"{REGION}a",
        f"{base}placement/region": REGION,
        f"{base}security-groups": "web",
        f"{base}tags/instance/host": "web-1",
        f"{interface}subnet-ipv4-cidr-block": "10.20.1.0/24",
        f"{interface}vpc-ipv4-cidr-blocks": "10.20.0.0/16",
        f"{interface}security-group-ids": host.network.group,
        f"{interface}device-number": "0",
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert seen[f"{base}public-ipv4"].startswith("198.18.7.")
    assert seen["/2021-03-23/user-data"] == "#cloud-config\nruncmd: [true]\n"
    document = json.loads(seen["/2021-03-23/dynamic/instance-identity/document"])
    assert (document["instanceId"], document["region"], document["privateIp"]) == (host.id, REGION, "10.20.1.10")


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/nonsense",
        "/1999-01-01/meta-data/",
        "/latest/nonsense",
        "/latest/meta-data/spot/instance-action",
        "/latest/meta-data/public-keys/",
        "/latest/dynamic/instance-identity/pkcs7",
        "/latest/meta-data/iam/security-credentials/another-role",
    ],
)
def test_unknown_keys_and_versions_are_not_found(host: Host, path: str) -> None:
    assert host.get(path).status == 404


def test_a_folder_is_listed_with_and_without_its_slash(host: Host) -> None:
    assert host.get("/latest/meta-data/placement").text == host.get("/latest/meta-data/placement/").text
    assert "latest" in host.get("/").text.splitlines()


def test_credentials_are_the_roles_in_a_session_named_as_the_instance_and_stay_until_they_near_their_end(
    host: Host, api_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/latest/meta-data/iam/security-credentials/"
    assert host.get(path).text == "web"
    held = json.loads(host.get(f"{path}web").text)
    assert (held["Code"], held["Type"]) == ("Success", "AWS-HMAC")
    session = boto3.client(
        "sts",
        endpoint_url=api_server,
        region_name=REGION,
        aws_access_key_id=held["AccessKeyId"],
        aws_secret_access_key=held["SecretAccessKey"],
        aws_session_token=held["Token"],
    )
    assert session.get_caller_identity()["UserId"] == f"{host.role_id}:{host.id}", "aws:userid, as on EC2"
    assert json.loads(host.get(f"{path}web").text) == held
    monkeypatch.setattr("lab.cloud.metadata.RENEWAL_MARGIN_SECONDS", 6 * 3600)
    assert json.loads(host.get(f"{path}web").text)["AccessKeyId"] != held["AccessKeyId"]


def test_credentials_have_an_end_and_are_renewed_a_quarter_of_an_hour_before(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/latest/meta-data/iam/security-credentials/web"
    held = json.loads(host.get(path).text)
    ends = datetime.datetime.fromisoformat(held["Expiration"])
    lifetime = (ends - datetime.datetime.fromisoformat(held["LastUpdated"])).total_seconds()
    assert 5.9 * 3600 < lifetime < 6.1 * 3600
    for before, same in ((20, True), (14, False)):
        moment = ends - datetime.timedelta(minutes=before)

        class Later(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None, moment: datetime.datetime = moment) -> "datetime.datetime":
                del tz
                return moment

        monkeypatch.setattr("lab.cloud.metadata.datetime.datetime", Later)
        assert (json.loads(host.get(path).text)["AccessKeyId"] == held["AccessKeyId"]) is same, f"{before} minutes before the end"


def test_a_role_that_ec2_may_not_take_gives_no_credentials(host: Host) -> None:
    host.iam.update_assume_role_policy(RoleName="web", PolicyDocument=trust("lambda.amazonaws.com"))
    host.policies.invalidate("iam", "UpdateAssumeRolePolicy")
    try:
        told = json.loads(host.get("/latest/meta-data/iam/security-credentials/web").text)
        assert told["Code"] == "AssumeRoleUnauthorizedAccess"
        assert "AccessKeyId" not in told
    finally:
        host.iam.update_assume_role_policy(RoleName="web", PolicyDocument=trust("ec2.amazonaws.com"))
        host.policies.invalidate("iam", "UpdateAssumeRolePolicy")


def test_a_service_that_is_turned_off_tells_nothing(host: Host) -> None:
    host.caller = host.network.launch("10.20.1.14", MetadataOptions={"HttpEndpoint": "disabled"})
    host.inventory.invalidate(REGION, "ec2")
    assert host.ask("/latest/api/token", "PUT", **{TTL_HEADER: "60"}).status == 403
    assert host.ask("/latest/meta-data/").status == 403


def test_without_user_data_profile_or_tags_their_keys_are_not_found(host: Host) -> None:
    host.caller = host.network.launch("10.20.1.12")
    host.inventory.invalidate(REGION, "ec2")
    for path in ("user-data", "meta-data/iam/", "meta-data/iam/info", "meta-data/tags/"):
        assert host.get(f"/latest/{path}").status == 404, path
    assert "user-data" not in host.get("/latest/").text.splitlines()


def test_a_change_is_seen_at_once(host: Host) -> None:
    host.network.ec2.create_tags(Resources=[host.id], Tags=[{"Key": "host", "Value": "web-9"}])
    host.inventory.invalidate(REGION, "ec2")
    assert host.get("/latest/meta-data/tags/instance/host").text == "web-9"
