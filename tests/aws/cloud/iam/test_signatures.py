"""Signatures as the gateway verifies them: of headers, of presigned URLs, of the administrator."""

import datetime
import urllib.parse
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict

from lab.cloud.api_gateway import AuthDecision
from lab.cloud.calls import HttpRequest, parse_call
from lab.cloud.iam.signatures import ClockSkewError, verify_signature
from tests.aws.cloud.iam.gateway_harness import BUCKET, CALLER, GatewayHarness, client_of, code, kind, sent, signed, status
from tests.aws.cloud.support import ADMIN_KEY


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
