"""The gateway authorizes: real clients with an instance's credentials, against policies that the API holds."""

import os
from typing import Any

import pytest

from lab.cloud.calls import HttpRequest, parse_call
from tests.aws.cloud.iam.gateway_harness import BUCKET, CALLER, TRUST, GatewayHarness, client_of, code, kind, status, trust
from tests.aws.cloud.support import ADMIN_KEY, REGION, client


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


def test_a_role_is_taken_only_by_whom_it_trusts(door: GatewayHarness) -> None:
    session = door.session()
    named = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:role/web"}, "Action": "sts:AssumeRole"}
    door.iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=trust(named))
    door.iam.create_role(RoleName="closed", AssumeRolePolicyDocument=trust(TRUST))
    sts = door.host("sts", session)
    for role, expected in (("trusting", "allowed"), ("closed", "AccessDenied"), ("missing", "AccessDenied")):
        assert code(sts.assume_role, RoleArn=f"arn:aws:iam::123456789012:role/{role}", RoleSessionName="ab") == expected


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
