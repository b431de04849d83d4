"""What hosts may do with their roles' credentials, by real calls from real hosts, and what the metadata service gives them."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from stack.naming import SECRETS_CHANGED_KEY, configuration_key
from tests.lab.aws_calls import REFUSED, AwsCall, run_calls
from tests.lab.harness import REGION, LabUnderTest

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

HOSTS = {"load_balancer": "lb-1", "web": "web-1", "database": "db-1"}
NOT_TRIED = {"SessionManager"}
"""Statements for a program that no host of the lab runs: AWS's agent comes from a bucket of AWS."""


class Site:
    """What the hosts' calls name, as the account's administrator sees it."""

    def __init__(self, lab: LabUnderTest) -> None:
        self.lab = lab
        self.iam: IAMClient = lab.administrator().client("iam", REGION)
        self.s3 = lab.s3()
        (self.bucket,) = [one["Name"] for one in self.s3.list_buckets()["Buckets"] if "Name" in one]
        self.address = self._address()
        self.instances = {host: str(row["instance_id"]) for host, row in lab.hosts().items()}
        listed = lab.secrets().list_secrets()["SecretList"]
        self.secrets = {one.get("Name", "").rpartition("/")[2]: one.get("ARN", "") for one in listed}
        self.roles = {tier: self._role(host) for tier, host in HOSTS.items()}

    def _address(self) -> str:
        found = self.lab.ec2().describe_addresses()["Addresses"]
        return next(one.get("AllocationId", "") for one in found if one.get("PublicIp", "") in self.lab.url)

    def _role(self, host: str) -> str:
        filters: Any = [{"Name": "instance-id", "Values": [self.instances[host]]}]
        (held,) = self.lab.ec2().describe_iam_instance_profile_associations(Filters=filters)["IamInstanceProfileAssociations"]
        name = held.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2]
        return self.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"][0]["RoleName"]

    def policy(self, tier: str) -> dict[str, Any]:
        (name,) = self.iam.list_role_policies(RoleName=self.roles[tier])["PolicyNames"]
        found: Any = self.iam.get_role_policy(RoleName=self.roles[tier], PolicyName=name)["PolicyDocument"]
        return json.loads(json.dumps(found))

    def record(self, host: str) -> str:
        """The key of a host's readiness record."""
        (key,) = [key for key in self.keys("hosts/") if key.endswith(f":{self.instances[host]}.json")]
        return key

    def keys(self, prefix: str) -> list[str]:
        return [one.get("Key", "") for one in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])]

    def write(self, key: str) -> AwsCall:
        """A call that needs the right to write an object and writes none."""
        return AwsCall(service="s3", operation="create_multipart_upload", arguments={"Bucket": self.bucket, "Key": key})

    def read(self, key: str) -> AwsCall:
        return AwsCall(service="s3", operation="get_object", arguments={"Bucket": self.bucket, "Key": key})

    def describe(self, purpose: str) -> AwsCall:
        return AwsCall(service="secretsmanager", operation="describe_secret", arguments={"SecretId": self.secrets[purpose]})

    def listing(self, prefix: str) -> AwsCall:
        return AwsCall(service="s3", operation="list_objects_v2", arguments={"Bucket": self.bucket, "Prefix": prefix})

    def secret(self, purpose: str) -> AwsCall:
        return AwsCall(service="secretsmanager", operation="get_secret_value", arguments={"SecretId": self.secrets[purpose]})

    def once(self, key: str) -> AwsCall:
        """A call that needs the right to make an object, which is there already."""
        return AwsCall(service="s3", operation="put_object", arguments={"Bucket": self.bucket, "Key": key, "IfNoneMatch": "*"})

    def move(self, host: str, *, by_interface: bool = False) -> AwsCall:
        arguments: dict[str, Any] = {"AllocationId": self.address, "AllowReassociation": True, "DryRun": True}
        if by_interface:
            arguments["NetworkInterfaceId"] = self.lab.instance(host).get("NetworkInterfaces", [])[0].get("NetworkInterfaceId", "")
        else:
            arguments["InstanceId"] = self.instances[host]
        return AwsCall(service="ec2", operation="associate_address", arguments=arguments)


def ec2(operation: str, **arguments: Any) -> AwsCall:
    return AwsCall(service="ec2", operation=operation, arguments=arguments)


@pytest.fixture(scope="module")
def site(lab: LabUnderTest) -> Iterator[Site]:
    found = Site(lab)
    yield found
    for upload in found.s3.list_multipart_uploads(Bucket=found.bucket).get("Uploads", []):
        found.s3.abort_multipart_upload(Bucket=found.bucket, Key=upload.get("Key", ""), UploadId=upload.get("UploadId", ""))


def needed(site: Site, tier: str) -> dict[str, AwsCall]:
    """For each statement of a tier's policy a call that only it allows."""
    record = site.record(HOSTS[tier])
    common = {
        "RoleBundle": site.read(site.keys(f"roles/{tier}/")[0]),
        "OwnReadiness": site.write("hosts/{self}.json"),
        "TierReadiness": site.read(record),
        "TierListing": site.listing(record.partition(":")[0] + ":"),
    }
    if tier != "web":
        common["Configuration"] = site.read(configuration_key(HOSTS[tier]))
    changed = {"SecretsChanged": site.read(SECRETS_CHANGED_KEY)}
    certificates = {
        "DatabaseCertificates": site.read(site.keys("database/certificates/")[0]),
        "DatabaseListing": site.listing("database/certificates/"),
    }
    own = {
        "load_balancer": {
            "FindAddress": ec2("describe_addresses"),
            "Secrets": site.secret("web-tls"),
            "HoldAddress": site.move("lb-1"),
            "HoldAddressByLoadBalancer": site.move("lb-1"),
            "HoldAddressInSubnet": site.move("lb-1", by_interface=True),
        },
        "web": {
            "AppBundle": site.read(site.keys("app/")[0]),
            "Secrets": site.secret("app-writer"),
            "Rotation": site.describe("app-writer"),
            **changed,
            **certificates,
        },
        "database": {
            "WhoIsPrimaryAndWhetherAlone": site.read("database/primary.json"),
            "WhoIsPrimaryOnce": site.once("database/primary.json"),
            "WhetherAlone": site.write("database/replication.json"),
            "OwnCertificate": site.write("database/certificates/{self}.pem"),
            "Secrets": site.secret("database-replication"),
            "Rotation": site.describe("database-replication"),
            **changed,
            **certificates,
        },
    }
    return {**common, **own[tier]}


@pytest.fixture
def copies(site: Site) -> Iterator[list[str]]:
    """Names of roles to be taken away after a test."""
    made: list[str] = []
    yield made
    for name in made:
        for policy in site.iam.list_role_policies(RoleName=name)["PolicyNames"]:
            site.iam.delete_role_policy(RoleName=name, PolicyName=policy)
        site.iam.delete_role(RoleName=name)


def copy(site: Site, tier: str, copies: list[str], *, without: str = "") -> str:
    """The ARN of a role like the tier's, without one statement, which the tier's hosts may take."""
    arn = site.iam.get_role(RoleName=site.roles[tier])["Role"]["Arn"]
    trust = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    name = f"copy-{tier}-{without or 'whole'}"[:64]
    made = site.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    copies.append(name)
    document = site.policy(tier)
    document["Statement"] = [one for one in document["Statement"] if one["Sid"] != without]
    site.iam.put_role_policy(RoleName=name, PolicyName="copy", PolicyDocument=json.dumps(document))
    return made["Role"]["Arn"]


@pytest.mark.parametrize("tier", HOSTS)
def test_each_statement_of_a_policy_is_needed_by_a_call_of_its_hosts(lab: LabUnderTest, site: Site, copies: list[str], tier: str) -> None:
    calls = needed(site, tier)
    sids = [one["Sid"] for one in site.policy(tier)["Statement"] if one["Sid"] not in NOT_TRIED]
    assert sorted(calls) == sorted(sids)
    rounds = [("", list(calls.values())), (copy(site, tier, copies), list(calls.values()))]
    rounds += [(copy(site, tier, copies, without=sid), [calls[sid]]) for sid in sids]
    own, whole, *lacking = run_calls(lab, HOSTS[tier], *rounds)
    assert REFUSED.isdisjoint(own), dict(zip(calls, own, strict=True))
    assert whole == own
    endings = {sid: ending for sid, (ending,) in zip(sids, lacking, strict=True)}
    assert [sid for sid, ending in endings.items() if ending not in REFUSED] == [], endings


@pytest.mark.parametrize("tier", HOSTS)
def test_what_would_do_harm_is_refused(lab: LabUnderTest, site: Site, tier: str) -> None:
    host = HOSTS[tier]
    others = [site.record(other) for other in HOSTS.values() if other != host]
    instance = site.instances[host]
    everywhere = [
        *(site.write(key) for key in (site.keys("app/")[0], site.keys("roles/web/")[0], *others)),
        *(site.read(key) for key in others),
        *(site.read(configuration_key(other)) for other in HOSTS.values() if other not in (host, HOSTS["web"])),
        site.write(configuration_key(host)),
        AwsCall(service="s3", operation="delete_object", arguments={"Bucket": site.bucket, "Key": "database/primary.json"}),
        AwsCall(service="s3", operation="list_buckets"),
        AwsCall(service="s3", operation="get_bucket_policy", arguments={"Bucket": site.bucket}),
        AwsCall(service="secretsmanager", operation="list_secrets"),
        AwsCall(service="iam", operation="list_roles"),
        AwsCall(service="route53", operation="list_hosted_zones"),
        ec2("describe_instances"),
        ec2("terminate_instances", InstanceIds=[instance], DryRun=True),
        ec2("create_tags", Resources=[instance], Tags=[{"Key": "a", "Value": "b"}]),
    ]
    own = {
        "load_balancer": [
            *(site.secret("app-writer"), site.read("database/primary.json"), site.listing("")),
            *(site.move(other, by_interface=by_interface) for other in ("web-1", "db-1") for by_interface in (False, True)),
        ],
        "web": [site.secret("database-replication"), site.secret("database-clone"), site.write("database/primary.json"), site.move(host)],
        "database": [
            site.write("database/primary.json"),
            site.secret("web-tls"),
            site.secret("app-session-key"),
            site.read(site.keys("app/")[0]),
            site.move(host),
            site.listing("hosts/"),
        ],
    }
    calls = [*everywhere, *own[tier]]
    (endings,) = run_calls(lab, host, ("", calls))
    passed = [(call, ending) for call, ending in zip(calls, endings, strict=True) if ending not in REFUSED]
    assert passed == []


def test_no_host_is_somebody_else(lab: LabUnderTest) -> None:
    """The administrator's key is good on this machine alone; without a signature a host is nobody."""
    script = """
import boto3, urllib.request, urllib.error, json
from botocore.exceptions import ClientError
host = json.load(open("/etc/webstack/host.json"))
try:
    boto3.client("ec2", region_name=host["region"], aws_access_key_id="lab", aws_secret_access_key="lab").describe_instances()
except ClientError as error:
    print(error.response["Error"]["Code"])
try:
    urllib.request.urlopen(f"https://s3.{host['region']}.amazonaws.com/{host['bucket']}/database/primary.json")
except urllib.error.HTTPError as error:
    print(error.code)
"""
    assert lab.run_on("web-1", "python3", "-c", script).split() == ["AuthFailure", "403"]


def test_the_metadata_service_is_version_two_alone(lab: LabUnderTest, site: Site) -> None:
    script = """
import json, socket, urllib.request, urllib.error
base = "http://169.254.169.254/latest/"
def ask(path, method="GET", **headers):
    request = urllib.request.Request(base + path, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        return urllib.request.urlopen(request, timeout=5).read().decode()
    except urllib.error.HTTPError as error:
        return error.code
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
raw.settimeout(5)
def hops():
    '''Of the packets with content that came from the service; the last of what has come.'''
    raw.setblocking(False)
    seen = set()
    while True:
        try:
            packet = raw.recv(65535)
        except BlockingIOError:
            return seen
        header = (packet[0] & 15) * 4
        content = len(packet) - header - (packet[header + 12] >> 4) * 4
        if packet[12:16] == bytes([169, 254, 169, 254]) and content:
            seen.add(packet[8])
without = ask("meta-data/instance-id")
hops()
token = ask("api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")
put = hops()
seen = {path: ask(path, X_aws_ec2_metadata_token=token) for path in
        ("meta-data/instance-id", "meta-data/iam/security-credentials/", "dynamic/instance-identity/document", "meta-data/nonsense")}
print(json.dumps([without, sorted(put), seen]))
"""
    without, hops, seen = json.loads(lab.run_on("lb-1", "python3", "-c", script))
    assert without == 401
    assert hops == [1], "the token's answer reaches no container behind the host"
    document = json.loads(seen.pop("dynamic/instance-identity/document"))
    assert seen == {
        "meta-data/instance-id": site.instances["lb-1"],
        "meta-data/iam/security-credentials/": site.roles["load_balancer"],
        "meta-data/nonsense": 404,
    }
    assert (document["instanceId"], document["region"]) == (site.instances["lb-1"], REGION)
