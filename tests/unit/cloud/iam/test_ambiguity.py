"""Calls that can be read in two ways."""

from dataclasses import replace

import pytest

from lab.cloud.calls import HttpRequest, parse_call
from lab.cloud.iam.ambiguity import is_unambiguous
from tests.unit.cloud.iam.service_calls import FORM, TAGS_OF_BUCKET, control, ec2, of_json, s3, signed


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
