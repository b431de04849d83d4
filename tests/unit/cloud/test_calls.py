"""A request says which call it is, in each of AWS's dialects."""

import pytest
from multidict import CIMultiDict

from lab.cloud.calls import Call, HttpRequest, parse_call


def scope(service: str) -> dict[str, str]:
    credential = f"AKIATEST/20261124/eu-west-1/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"}


FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


@pytest.mark.parametrize(
    ("method", "host", "path", "query", "headers", "service", "action", "parameters"),
    [
        ("PUT", "127.0.0.1:14600", "/bucket/hosts/a%3Ab.json", "", {}, "s3", "PutObject", {"Bucket": "bucket", "Key": "hosts/a:b.json"}),
        (
            "PUT",
            "s3.eu-west-1.amazonaws.com",
            "/bucket/k",
            "",
            {"x-amz-copy-source": "a/b"},
            "s3",
            "CopyObject",
            {"Bucket": "bucket", "Key": "k"},
        ),
        ("PUT", "b.s3.eu-west-1.amazonaws.com", "/k/l", "partNumber=1&uploadId=u", {}, "s3", "UploadPart", {"Bucket": "b", "Key": "k/l"}),
        ("PUT", "b.s3.eu-west-1.amazonaws.com", "/", "versioning", {}, "s3", "PutBucketVersioning", {"Bucket": "b"}),
        ("PUT", "b.s3.eu-west-1.amazonaws.com", "/", "", {}, "s3", "CreateBucket", {"Bucket": "b"}),
        ("GET", "b.s3.eu-west-1.amazonaws.com", "/", "list-type=2&prefix=a", {}, "s3", "ListObjectsV2", {"Bucket": "b"}),
        ("GET", "b.s3.amazonaws.com", "/k", "x-id=GetObject", {}, "s3", "GetObject", {"Bucket": "b", "Key": "k"}),
        ("HEAD", "b.s3.amazonaws.com", "/k", "", {}, "s3", "HeadObject", {"Bucket": "b", "Key": "k"}),
        ("DELETE", "b.s3.amazonaws.com", "/k", "versionId=v", {}, "s3", "DeleteObject", {"Bucket": "b", "Key": "k"}),
        ("GET", "s3.eu-west-1.amazonaws.com", "/", "", {}, "s3", "ListBuckets", {}),
        ("POST", "route53.amazonaws.com", "/2013-04-01/hostedzone", "", {}, "route53", "CreateHostedZone", {}),
        ("POST", "route53.amazonaws.com", "/2013-04-01/hostedzone/Z1/rrset/", "", {}, "route53", "ChangeResourceRecordSets", {"Id": "Z1"}),
        ("POST", "h", "/", "", {"X-Amz-Target": "secretsmanager.GetSecretValue"}, "secretsmanager", "GetSecretValue", {}),
        ("POST", "h", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "", {}, "monitoring", "PutMetricData", {}),
    ],
)
def test_a_request_names_its_call(
    method: str, host: str, path: str, query: str, headers: dict[str, str], service: str, action: str, parameters: dict[str, str]
) -> None:
    call = parse_call(HttpRequest(method=method, host=host, path=path, query=query, headers={**scope(service), **headers}), "10.0.0.1")
    assert (call.action, call.parameters) == (action, parameters)
    assert (call.region, call.access_key_id, call.caller) == ("eu-west-1", "AKIATEST", "10.0.0.1")
    assert call.service == ("cloudwatch" if service == "monitoring" else service), "the prefix of its IAM actions"


def test_a_form_names_action_and_parameters() -> None:
    body = b"Action=StopInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2"
    call = parse_call(HttpRequest(method="POST", headers={**scope("ec2"), **FORM}, body=body), "")
    assert (call.service, call.action) == ("ec2", "StopInstances")
    assert call.parameters == {"InstanceId.1": "i-1", "InstanceId.2": "i-2"}


def test_a_json_body_gives_its_top_level_strings() -> None:
    headers = {**scope("secretsmanager"), "X-Amz-Target": "secretsmanager.GetSecretValue"}
    call = parse_call(HttpRequest(method="POST", headers=headers, body=b'{"SecretId": "webstack/dev/app", "N": 1}'), "")
    assert call.parameters == {"SecretId": "webstack/dev/app"}


def test_a_presigned_url_names_its_signer() -> None:
    query = "X-Amz-Credential=AKIAOTHER%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Signature=0"
    call = parse_call(HttpRequest(host="b.s3.eu-west-1.amazonaws.com", path="/k", query=query), "")
    assert (call.service, call.action, call.access_key_id) == ("s3", "GetObject", "AKIAOTHER")


def test_what_is_no_call_is_named_by_its_path() -> None:
    assert parse_call(HttpRequest(method="PATCH", path="/nothing/known", headers=scope("s3")), "").action == "Patch:/nothing/known"
    assert parse_call(HttpRequest(path="/x", headers=scope("no-such-service")), "").action == "Get:/x"


@pytest.mark.parametrize(
    "action", ["DescribeInstances", "GetObject", "ListObjectsV2", "HeadObject", "AssumeRole", "BatchGetSecretValue", "Query"]
)
def test_reading_changes_nothing(action: str) -> None:
    assert not Call(service="s", action=action).is_write


@pytest.mark.parametrize("action", ["RunInstances", "PutObject", "AssociateAddress", "CreateTags", "DeleteSecret", "RebootInstances"])
def test_all_else_may_change_something(action: str) -> None:
    assert Call(service="s", action=action).is_write


@pytest.mark.parametrize("body", [b"[" * 20_000, b'{"a":' * 20_000, b"\xff", b"[1]"], ids=["lists", "objects", "no text", "a list"])
def test_a_body_that_is_no_object_of_json_has_no_parameters(body: bytes) -> None:
    call = parse_call(
        HttpRequest(method="POST", host="secretsmanager", headers=CIMultiDict({"X-Amz-Target": "secretsmanager.Get"}), body=body), ""
    )
    assert (call.action, call.parameters) == ("Get", {})
