"""What calls of services with short tables need, and calls that are in no table."""

from urllib.parse import urlencode

import pytest

from lab.cloud.calls import HttpRequest
from lab.cloud.iam.permission import UnknownCallError
from tests.unit.cloud.iam.service_calls import (
    CHANGES,
    FORM,
    ROLE,
    SECRET,
    TAGGING,
    TAGS_OF_BUCKET,
    asked,
    control,
    ec2,
    found,
    iam,
    of_json,
    s3,
)


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
