"""What calls need, by the tables of AWS's service authorization reference."""

import asyncio
import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from lab.cloud.calls import HttpRequest, parse_call
from lab.cloud.iam.ambiguity import is_unambiguous
from lab.cloud.iam.permission import RequiredPermission, UnknownCallError
from lab.cloud.iam.required_permissions import ArnScope, permissions_for

PLACE = ArnScope(partition="aws", region="eu-west-1", account="123456789012")
EC2 = "arn:aws:ec2:eu-west-1:123456789012"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:webstack/dev/app-writer-AbCdEf"
ROLE = "arn:aws:iam::123456789012:role/web"
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


class FakeResourceLookup:
    """An API with one secret and one instance profile."""

    async def secret_arn(self, region: str, secret_id: str) -> str | None:
        assert region == "eu-west-1"
        return SECRET if secret_id in ("webstack/dev/app-writer", SECRET) else None

    async def profile_role_arn(self, name: str) -> str | None:
        return ROLE if name == "web" else None

    async def associated_ids(self, region: str, association: str) -> list[str]:
        return {"rtbassoc-1": ["rtb-1", "subnet-1"], "eipassoc-1": ["eipalloc-1", "eni-1"]}.get(association, [])


def signed(service: str) -> dict[str, str]:
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential=ASIA1/20261124/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    }


def asked(service: str, message: HttpRequest) -> list[tuple[str, str]]:
    return [(need.action, need.resource) for need in found(service, message)]


def found(service: str, message: HttpRequest) -> list[RequiredPermission]:
    call = parse_call(replace(message, headers={**signed(service), **message.headers}), "10.20.1.10")
    return asyncio.run(permissions_for(call, PLACE, FakeResourceLookup()))


def s3(method: str, path: str, query: str = "", **headers: str) -> HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(method=method, host="s3.eu-west-1.amazonaws.com", path=path, query=query, headers=named)


def ec2(action: str, **parameters: str) -> HttpRequest:
    body = urlencode({"Action": action, "Version": "2016-11-15", **{key.replace("_", "."): value for key, value in parameters.items()}})
    return HttpRequest(method="POST", host="ec2.eu-west-1.amazonaws.com", headers=FORM, body=body.encode())


def of_json(service: str, target: str, **parameters: object) -> HttpRequest:
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    return HttpRequest(method="POST", host=f"{service}.eu-west-1.amazonaws.com", headers=headers, body=json.dumps(parameters).encode())


def iam(action: str, **parameters: str) -> HttpRequest:
    body = urlencode({"Action": action, "Version": "2010-05-08", **{key.replace("_", "."): value for key, value in parameters.items()}})
    return HttpRequest(method="POST", host="iam.amazonaws.com", headers=FORM, body=body.encode())


CHANGES = b"""<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes><Change>
<Action>UPSERT</Action><ResourceRecordSet><Name>Web.Dev.webstack.internal.</Name><Type>A</Type></ResourceRecordSet></Change></Changes>
</ChangeBatch></ChangeResourceRecordSetsRequest>"""
DELETIONS = b"""<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>app/a:b</Key><VersionId>1</VersionId></Object>
<Object><Key>app/a:b</Key></Object></Delete>"""
B, K = "arn:aws:s3:::artifacts", "arn:aws:s3:::artifacts/app/a:b"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (s3("GET", "/artifacts/app/a%3Ab"), [("s3:GetObject", K)]),
        (s3("HEAD", "/artifacts/app/a%3Ab"), [("s3:GetObject", K)]),
        (s3("GET", "/artifacts/app/a%3Ab", "versionId=1"), [("s3:GetObjectVersion", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab"), [("s3:PutObject", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab", "partNumber=1&uploadId=u"), [("s3:PutObject", K)]),
        (s3("POST", "/artifacts/app/a%3Ab", "uploads"), [("s3:PutObject", K)]),
        (s3("DELETE", "/artifacts/app/a%3Ab"), [("s3:DeleteObject", K)]),
        (s3("DELETE", "/artifacts/app/a%3Ab", "versionId=1"), [("s3:DeleteObjectVersion", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab", "tagging"), [("s3:PutObjectTagging", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab", x_amz_tagging="a=b"), [("s3:PutObject", K), ("s3:PutObjectTagging", K)]),
        (s3("PUT", "/artifacts/app/a%3Ab", x_amz_acl="private"), [("s3:PutObject", K), ("s3:PutObjectAcl", K)]),
        (
            s3("PUT", "/artifacts/app/a%3Ab", x_amz_copy_source="/other/x%20y"),
            [("s3:PutObject", K), ("s3:GetObject", "arn:aws:s3:::other/x y")],
        ),
        (
            s3("PUT", "/artifacts/app/a%3Ab", x_amz_copy_source="other/x?versionId=3"),
            [("s3:PutObject", K), ("s3:GetObjectVersion", "arn:aws:s3:::other/x")],
        ),
        (s3("GET", "/artifacts", "list-type=2&prefix=database%2F"), [("s3:ListBucket", B)]),
        (s3("HEAD", "/artifacts"), [("s3:ListBucket", B)]),
        (s3("GET", "/artifacts", "versions"), [("s3:ListBucketVersions", B)]),
        (s3("GET", "/artifacts", "encryption"), [("s3:GetEncryptionConfiguration", B)]),
        (s3("PUT", "/artifacts", "policy"), [("s3:PutBucketPolicy", B)]),
        (s3("DELETE", "/artifacts"), [("s3:DeleteBucket", B)]),
        (s3("GET", "/"), [("s3:ListAllMyBuckets", "*")]),
        (replace(s3("POST", "/artifacts", "delete"), body=DELETIONS), [("s3:DeleteObjectVersion", K), ("s3:DeleteObject", K)]),
        (s3("DELETE", "/artifacts", "lifecycle"), [("s3:PutLifecycleConfiguration", B)]),
        (s3("DELETE", "/artifacts", "publicAccessBlock"), [("s3:PutBucketPublicAccessBlock", B)]),
    ],
)
def test_s3(message: HttpRequest, expected: list[tuple[str, str]]) -> None:
    assert asked("s3", message) == expected


def test_a_listing_tells_its_prefix_and_an_object_whose_policy_counts() -> None:
    (listing,) = found("s3", s3("GET", "/artifacts", "list-type=2&prefix=database%2F&delimiter=%2F"))
    assert listing.context == {"s3:prefix": ("database/",), "s3:delimiter": ("/",)}
    assert listing.policy_owner == ("bucket", "artifacts")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (ec2("DescribeAddresses", AllocationId_1="eipalloc-1"), [("ec2:DescribeAddresses", "*")]),
        (
            ec2("AssociateAddress", AllocationId="eipalloc-1", InstanceId="i-1", AllowReassociation="true"),
            [("ec2:AssociateAddress", f"{EC2}:elastic-ip/eipalloc-1"), ("ec2:AssociateAddress", f"{EC2}:instance/i-1")],
        ),
        (
            ec2("StopInstances", InstanceId_1="i-1", InstanceId_2="i-2"),
            [("ec2:StopInstances", f"{EC2}:instance/i-1"), ("ec2:StopInstances", f"{EC2}:instance/i-2")],
        ),
        (
            ec2("CreateTags", ResourceId_1="vol-1", ResourceId_2="i-1", Tag_1_Key="a"),
            [("ec2:CreateTags", f"{EC2}:volume/vol-1"), ("ec2:CreateTags", f"{EC2}:instance/i-1")],
        ),
        (
            ec2("AssociateIamInstanceProfile", InstanceId="i-1", IamInstanceProfile_Name="web"),
            [("ec2:AssociateIamInstanceProfile", f"{EC2}:instance/i-1"), ("iam:PassRole", ROLE)],
        ),
        (
            ec2("RunInstances", ImageId="ami-1", SubnetId="subnet-1", SecurityGroupId_1="sg-1", IamInstanceProfile_Arn="arn:x/web"),
            [
                *(("ec2:RunInstances", f"{EC2}:{end}") for end in ("instance/*", "network-interface/*", "volume/*")),
                ("ec2:RunInstances", "arn:aws:ec2:eu-west-1::image/ami-1"),
                *(("ec2:RunInstances", f"{EC2}:{end}") for end in ("subnet/subnet-1", "security-group/sg-1")),
                ("iam:PassRole", ROLE),
            ],
        ),
    ],
)
def test_ec2(message: HttpRequest, expected: list[tuple[str, str]]) -> None:
    assert asked("ec2", message) == expected


TAGS = {"TagSpecification_1_Tag_1_Key": "project", "TagSpecification_1_Tag_1_Value": "webstack"}


def test_what_a_call_makes_bears_the_tags_of_the_request_and_to_tag_it_is_an_action_of_its_own() -> None:
    vpc, subnet, tags = found("ec2", ec2("CreateSubnet", VpcId="vpc-1", TagSpecification_1_ResourceType="subnet", **TAGS))
    assert (vpc.resource, vpc.tags_of, dict(vpc.context)) == (f"{EC2}:vpc/vpc-1", "vpc-1", {}), "the VPC has its own tags"
    asked_for = {"aws:requesttag/project": ("webstack",), "aws:tagkeys": ("project",)}
    assert (subnet.action, subnet.resource, subnet.tags_of, dict(subnet.context)) == ("ec2:CreateSubnet", f"{EC2}:subnet/*", "", asked_for)
    assert (tags.action, tags.resource) == ("ec2:CreateTags", f"{EC2}:subnet/*")
    assert dict(tags.context) == {**asked_for, "ec2:createaction": ("CreateSubnet",)}


def test_tags_on_what_exists_come_with_those_that_it_has() -> None:
    (need,) = found("ec2", ec2("CreateTags", ResourceId_1="sg-1", Tag_1_Key="project", Tag_1_Value="webstack"))
    assert (need.tags_of, need.context["aws:requesttag/project"], "ec2:createaction" in need.context) == ("sg-1", ("webstack",), False)


def test_a_rule_is_made_where_it_is_tagged() -> None:
    group = ("ec2:AuthorizeSecurityGroupIngress", f"{EC2}:security-group/sg-1")
    assert asked("ec2", ec2("AuthorizeSecurityGroupIngress", GroupId="sg-1")) == [group]
    tagged = ec2("AuthorizeSecurityGroupIngress", GroupId="sg-1", TagSpecification_1_ResourceType="security-group-rule", **TAGS)
    rule = f"{EC2}:security-group-rule/*"
    assert asked("ec2", tagged) == [group, ("ec2:AuthorizeSecurityGroupIngress", rule), ("ec2:CreateTags", rule)]


def test_an_association_is_of_its_table_and_its_subnet() -> None:
    assert asked("ec2", ec2("DisassociateRouteTable", AssociationId="rtbassoc-1")) == [
        ("ec2:DisassociateRouteTable", f"{EC2}:route-table/rtb-1"),
        ("ec2:DisassociateRouteTable", f"{EC2}:subnet/subnet-1"),
    ]


def test_an_address_is_disassociated_with_its_interface_and_one_that_lost_its_association_for_no_tags_sake() -> None:
    assert asked("ec2", ec2("DisassociateAddress", AssociationId="eipassoc-1")) == [
        ("ec2:DisassociateAddress", f"{EC2}:elastic-ip/eipalloc-1"),
        ("ec2:DisassociateAddress", f"{EC2}:network-interface/eni-1"),
    ]
    assert asked("ec2", ec2("DisassociateAddress", AssociationId="eipassoc-2")) == [("ec2:DisassociateAddress", f"{EC2}:elastic-ip/*")]


def test_flow_logs_are_handed_a_role() -> None:
    passed = found("ec2", ec2("CreateFlowLogs", ResourceId_1="vpc-1", DeliverLogsPermissionArn=ROLE))[-1]
    assert (passed.action, passed.resource, passed.context["iam:passedtoservice"]) == (
        "iam:PassRole",
        ROLE,
        ("vpc-flow-logs.amazonaws.com",),
    )


def test_iam() -> None:
    profile = "arn:aws:iam::123456789012:instance-profile/p"
    made, tagged = found("iam", iam("CreateRole", RoleName="web", PermissionsBoundary="arn:b", Tags_member_1_Key="a"))
    assert (made.action, made.resource, made.context["iam:permissionsboundary"]) == ("iam:CreateRole", ROLE, ("arn:b",))
    assert (tagged.action, made.boundary_of) == ("iam:TagRole", "")
    (put,) = found("iam", iam("PutRolePolicy", RoleName="web", PolicyName="p", PolicyDocument="{}"))
    assert (put.action, put.boundary_of) == ("iam:PutRolePolicy", ROLE)
    assert asked("iam", iam("AddRoleToInstanceProfile", RoleName="web", InstanceProfileName="p")) == [
        ("iam:AddRoleToInstanceProfile", profile),
        ("iam:PassRole", ROLE),
    ]


def test_a_change_of_records_tells_their_names_as_route_53_compares_them() -> None:
    (need,) = found(
        "route53", HttpRequest(method="POST", host="route53.amazonaws.com", path="/2013-04-01/hostedzone/Z1/rrset", body=CHANGES)
    )
    start = "route53:changeresourcerecordsets"
    expected = {"normalizedrecordnames": "web.dev.webstack.internal", "recordtypes": "A", "actions": "UPSERT"}
    assert need.context == {f"{start}{key}": (value,) for key, value in expected.items()}


def test_a_role_is_passed_on_to_a_service() -> None:
    passed = found("ec2", ec2("AssociateIamInstanceProfile", InstanceId="i-1", IamInstanceProfile_Name="web"))[-1]
    assert passed.context == {"iam:passedtoservice": ("ec2.amazonaws.com",)}


@pytest.mark.parametrize(
    ("service", "message", "expected"),
    [
        (
            "secretsmanager",
            of_json("secretsmanager", "secretsmanager.GetSecretValue", SecretId="webstack/dev/app-writer"),
            [("secretsmanager:GetSecretValue", SECRET)],
        ),
        (
            "secretsmanager",
            of_json("secretsmanager", "secretsmanager.GetSecretValue", SecretId="missing"),
            [("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:missing")],
        ),
        ("secretsmanager", of_json("secretsmanager", "secretsmanager.ListSecrets"), [("secretsmanager:ListSecrets", "*")]),
        (
            "ssm",
            of_json("ssm", "AmazonSSM.GetParameter", Name="/webstack/a"),
            [("ssm:GetParameter", "arn:aws:ssm:eu-west-1:123456789012:parameter/webstack/a")],
        ),
        (
            "logs",
            of_json("logs", "Logs_20140328.PutLogEvents", logGroupName="g", logStreamName="s"),
            [("logs:PutLogEvents", "arn:aws:logs:eu-west-1:123456789012:log-group:g:log-stream:s")],
        ),
        (
            "dynamodb",
            of_json("dynamodb", "DynamoDB_20120810.PutItem", TableName="lease"),
            [("dynamodb:PutItem", "arn:aws:dynamodb:eu-west-1:123456789012:table/lease")],
        ),
        (
            "route53",
            HttpRequest(method="POST", host="route53.amazonaws.com", path="/2013-04-01/hostedzone/Z1/rrset/", body=CHANGES),
            [("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z1")],
        ),
        (
            "route53",
            HttpRequest(method="POST", host="route53.amazonaws.com", path="/2013-04-01/tags/hostedzone/Z1", body=b"<x/>"),
            [("route53:ChangeTagsForResource", "arn:aws:route53:::hostedzone/Z1")],
        ),
        (
            "route53",
            HttpRequest(method="POST", host="route53.amazonaws.com", path="/2013-04-01/hostedzone", body=b"<x/>"),
            [("route53:CreateHostedZone", "*"), ("ec2:DescribeVpcs", "*")],
        ),
        (
            "ssm",
            of_json("ssm", "AmazonSSM.GetParameter", Name="/aws/service/debian/release/13/latest/amd64"),
            [("ssm:GetParameter", "arn:aws:ssm:eu-west-1::parameter/aws/service/debian/release/13/latest/amd64")],
        ),
        (
            "logs",
            of_json("logs", "Logs_20140328.CreateLogGroup", logGroupName="g", tags={"a": "b"}),
            [
                ("logs:CreateLogGroup", "arn:aws:logs:eu-west-1:123456789012:log-group:g:log-stream:"),
                ("logs:TagResource", "arn:aws:logs:eu-west-1:123456789012:log-group:g"),
            ],
        ),
        (
            "logs",
            of_json("logs", "Logs_20140328.UntagResource", resourceArn="arn:aws:logs:eu-west-1:123456789012:log-group:g", tagKeys=["a"]),
            [("logs:UntagResource", "arn:aws:logs:eu-west-1:123456789012:log-group:g")],
        ),
        (
            "secretsmanager",
            of_json("secretsmanager", "secretsmanager.CreateSecret", Name="webstack/dev/x", Tags=[{"Key": "a", "Value": "b"}]),
            [
                (f"secretsmanager:{action}", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:webstack/dev/x")
                for action in ("CreateSecret", "TagResource")
            ],
        ),
        (
            "monitoring",
            HttpRequest(method="POST", path="/service/GraniteServiceVersion20100801/operation/PutMetricData"),
            [("cloudwatch:PutMetricData", "*")],
        ),
        ("sts", HttpRequest(method="POST", headers=FORM, body=b"Action=GetCallerIdentity&Version=2011-06-15"), []),
        (
            "sts",
            HttpRequest(method="POST", headers=FORM, body=urlencode({"Action": "AssumeRole", "RoleArn": ROLE}).encode()),
            [("sts:AssumeRole", ROLE)],
        ),
    ],
)
def test_other_services(service: str, message: HttpRequest, expected: list[tuple[str, str]]) -> None:
    assert asked(service, message) == expected


CONTROL = "123456789012.s3-control.eu-west-1.amazonaws.com"


def control(method: str, path: str, query: str = "", *, body: bytes = b"", host: str = CONTROL) -> HttpRequest:
    headers = {"x-amz-account-id": "123456789012"}
    return HttpRequest(method=method, host=host, path=f"/v20180820/{path}", query=query, headers=headers, body=body)


TAGS_OF_BUCKET = "tags/arn%3Aaws%3As3%3A%3A%3Aartifacts"
TAGGING = b"<TagResourceRequest><Tags><Tag><Key>Stack</Key><Value>dev</Value></Tag></Tags></TagResourceRequest>"
WITH_TAGS = TAGGING.replace(b"TagResourceRequest", b"CreateBucketConfiguration")


def test_s3_control_gives_and_takes_tags_of_buckets() -> None:
    assert asked("s3", control("GET", TAGS_OF_BUCKET)) == [("s3:ListTagsForResource", B)]
    (tagging,) = found("s3", control("POST", TAGS_OF_BUCKET, body=TAGGING))
    assert (tagging.action, tagging.resource, tagging.policy_owner) == ("s3:TagResource", B, ("bucket", "artifacts"))
    assert tagging.context == {"aws:requesttag/stack": ("dev",), "aws:tagkeys": ("Stack",)}
    (untagging,) = found("s3", control("DELETE", TAGS_OF_BUCKET, "tagKeys=b&tagKeys=a"))
    assert (untagging.action, untagging.resource) == ("s3:UntagResource", B)
    assert untagging.context == {"aws:tagkeys": ("a", "b")}


def test_a_bucket_that_is_made_with_tags_needs_the_right_to_give_them() -> None:
    made, tagged = found("s3", replace(s3("PUT", "/artifacts"), body=WITH_TAGS))
    assert [(need.action, need.resource) for need in (made, tagged)] == [("s3:CreateBucket", B), ("s3:TagResource", B)]
    assert tagged.context == {"aws:requesttag/stack": ("dev",), "aws:tagkeys": ("Stack",)}
    plain = b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>"
    assert asked("s3", replace(s3("PUT", "/artifacts"), body=plain)) == asked("s3", s3("PUT", "/artifacts")) == [("s3:CreateBucket", B)]


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("s3", s3("POST", "/artifacts", "delete")),
        ("s3", s3("PATCH", "/artifacts/k")),
        # S3 Control's, of which some have the names of S3's own: those of Outposts' buckets are.
        ("s3", control("PUT", "bucket/artifacts/policy")),
        ("s3", control("GET", "bucket/artifacts")),
        ("s3", control("DELETE", "bucket/artifacts")),
        ("s3", control("GET", "configuration/publicAccessBlock")),
        ("s3", control("PUT", "accesspoint/web")),
        ("s3", control("POST", "tags/arn%3Aaws%3As3%3Aeu-west-1%3A123456789012%3Aaccess-grants%2Fdefault", body=TAGGING)),
        ("s3", control("POST", TAGS_OF_BUCKET, body=b"<")),
        ("s3", s3("PUT", "/artifacts/k", x_amz_server_side_encryption_aws_kms_key_id="k")),
        ("ec2", ec2("AssociateAddress", PublicIp="203.0.113.1", InstanceId="i-1")),
        ("ec2", ec2("RunInstances", ImageId="ami-1", LaunchTemplate_LaunchTemplateId="lt-1")),
        ("ec2", ec2("AssociateIamInstanceProfile", InstanceId="i-1", IamInstanceProfile_Name="missing")),
        ("ec2", ec2("DescribeVolumeAttribute", InstanceId="i-1")),
        ("ec2", ec2("DisassociateRouteTable", AssociationId="rtbassoc-2")),
        ("ec2", ec2("CreateSubnet", VpcId="vpc-1", TagSpecification_1_ResourceType="vpc", TagSpecification_1_Tag_1_Key="a")),
        ("iam", iam("CreateRole", RoleName="web", Path="/other/")),
        ("route53", HttpRequest(method="POST", host="route53.amazonaws.com", path="/2013-04-01/hostedzone/Z1/rrset/", body=b"<")),
        ("secretsmanager", of_json("secretsmanager", "secretsmanager.CreateSecret", Name="x", Tags=["a"])),
        ("ec2", ec2("CreateTags", ResourceId_1="strange-1")),
        ("iam", HttpRequest(method="POST", headers=FORM, body=b"Action=ListRoles")),
        ("sts", HttpRequest(method="POST", headers=FORM, body=b"Action=GetSessionToken")),
        ("secretsmanager", of_json("secretsmanager", "secretsmanager.BatchGetSecretValue", SecretIdList=["a"])),
        ("secretsmanager", of_json("secretsmanager", "secretsmanager.GetSecretValue")),
        ("dynamodb", of_json("dynamodb", "DynamoDB_20120810.PutItem")),
        ("kms", of_json("kms", "TrentService.Decrypt")),
    ],
)
def test_a_call_that_is_in_no_table_is_not_known(service: str, message: HttpRequest) -> None:
    with pytest.raises(UnknownCallError):
        found(service, message)


def test_on_this_machine_alone_the_api_s_own_address_is_straight() -> None:
    message = HttpRequest(method="POST", host="127.0.0.1:14600", headers={**signed("ec2"), **FORM}, body=b"Action=DescribeAddresses")
    assert is_unambiguous(parse_call(message, "127.0.0.1"), local=True)
    assert not is_unambiguous(parse_call(message, "10.20.1.10"))
    two = replace(message, body=b"Action=DescribeAddresses&Action=TerminateInstances")
    assert not is_unambiguous(parse_call(two, "127.0.0.1"), local=True)


def put(service: str, message: HttpRequest) -> bool:
    return is_unambiguous(parse_call(replace(message, headers={**signed(service), **message.headers}), "10.20.1.10"))


def test_a_call_as_clients_put_it_is_straight() -> None:
    assert put("s3", s3("GET", "/artifacts", "list-type=2&prefix=a"))
    assert put("s3", HttpRequest(host="artifacts.s3.eu-west-1.amazonaws.com", path="/k", query="acl"))
    assert put("s3", HttpRequest(host="s3.amazonaws.com", path="/artifacts/k"))
    assert put("s3", control("GET", TAGS_OF_BUCKET))
    assert put("s3", control("DELETE", TAGS_OF_BUCKET, "tagKeys=a&tagKeys=b"))
    assert put("ec2", ec2("DescribeAddresses"))
    assert put("sts", HttpRequest(method="POST", host="sts.eu-west-1.amazonaws.com", headers=FORM, body=b"Action=GetCallerIdentity"))
    assert put("secretsmanager", of_json("secretsmanager", "secretsmanager.GetSecretValue", SecretId="a"))
    assert put("route53", HttpRequest(host="route53.amazonaws.com", path="/2013-04-01/hostedzone"))
    cloudwatch = HttpRequest(method="POST", host="monitoring.eu-west-1.amazonaws.com", path="/service/Granite/operation/PutMetricData")
    assert put("monitoring", cloudwatch)


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("ec2", HttpRequest(method="POST", host="iam.amazonaws.com", headers=FORM, body=b"Action=DescribeAddresses")),
        ("ec2", HttpRequest(method="POST", host="x.ec2.eu-west-1.amazonaws.com", headers=FORM, body=b"Action=DescribeAddresses")),
        ("ec2", HttpRequest(method="POST", host="127.0.0.1:14600", headers=FORM, body=b"Action=DescribeAddresses")),
        ("ec2", replace(ec2("TerminateInstances"), headers={**FORM, "X-Amz-Target": "x.DescribeAddresses"})),
        ("ec2", replace(ec2("TerminateInstances"), query="Action=DescribeAddresses")),
        ("ec2", replace(ec2("DescribeAddresses"), body=b"Action=DescribeAddresses&Action=TerminateInstances")),
        ("s3", replace(s3("PUT", "/artifacts/k"), headers={"X-Amz-Target": "secretsmanager.GetSecretValue"})),
        ("s3", s3("PUT", "/artifacts/k", "tagging&acl")),
        ("s3", s3("GET", "/artifacts", "prefix=a&prefix=b")),
        ("s3", control("GET", TAGS_OF_BUCKET, host="s3.eu-west-1.amazonaws.com")),
        ("s3", control("GET", TAGS_OF_BUCKET, host="s3-control.s3.eu-west-1.amazonaws.com")),
        ("s3", control("GET", TAGS_OF_BUCKET, host="artifacts.s3-control.eu-west-1.amazonaws.com")),
        ("s3", control("GET", TAGS_OF_BUCKET, host="123456789012.127.0.0.1:14600")),
        ("s3", control("GET", TAGS_OF_BUCKET, "policy")),
        ("s3", HttpRequest(host="s3-control.s3.eu-west-1.amazonaws.com", path="/k")),
        ("s3", HttpRequest(host="artifacts.s3-website.eu-west-1.amazonaws.com", path="/k")),
        ("secretsmanager", HttpRequest(method="POST", host="secretsmanager.eu-west-1.amazonaws.com", path="/x")),
        ("no-such-service", HttpRequest(host="no-such-service.eu-west-1.amazonaws.com")),
    ],
)
def test_what_could_be_read_in_two_ways_is_not_straight(service: str, message: HttpRequest) -> None:
    assert not put(service, message)
