"""Verifies that a call was signed with the secret of its access key, using botocore's own signers.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import datetime
import hashlib
import hmac
import re
from typing import Any

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lab.cloud.calls import HttpRequest

CLOCK_SKEW_SECONDS = 15 * 60
"""The most seconds that a signature's time may differ from the clock; AWS refuses more."""

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=[^/,\s]+/(?P<scope>[^,\s]+)\s*,\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_TIME = "%Y%m%dT%H%M%SZ"
_MISMATCH = "The request signature we calculated does not match the signature you provided."


class SignatureError(Exception):
    """The signature is invalid; the message says why, in AWS's wording."""


class ClockSkewError(SignatureError):
    """The signature's time differs too much from the clock, or a presigned URL has expired."""


def verify_signature(http_request: HttpRequest, *, secret: str, token: str | None, s3: bool, now: datetime.datetime) -> None:
    """Raises `SignatureError` unless the request was signed with `secret` and contains `token`, or no token if that is None.

    `s3`: whether S3's rules apply.
    """
    if "X-Amz-Signature" in http_request.query_params:
        _verify_presigned(http_request, secret=secret, token=token, s3=s3, now=now)
    else:
        _verify_header(http_request, secret=secret, token=token, s3=s3, now=now)


def _verify_header(http_request: HttpRequest, *, secret: str, token: str | None, s3: bool, now: datetime.datetime) -> None:
    given = _AUTHORIZATION.fullmatch(http_request.headers.get("Authorization", "").strip())
    if given is None:
        raise SignatureError("The Authorization header is not a signature of version 4.")
    if http_request.headers.get("X-Amz-Security-Token") != token:
        raise SignatureError("The security token included in the request is invalid.")
    stamp = http_request.headers.get("X-Amz-Date", "")
    age = (now - _parse_time(stamp)).total_seconds()
    if abs(age) > CLOCK_SKEW_SECONDS:
        raise ClockSkewError(f"Signature expired or not yet current: {stamp} is {age:.0f} seconds before {now.strftime(_TIME)}.")
    content = http_request.headers.get("X-Amz-Content-SHA256", "")
    if s3 and _SHA256_HEX.fullmatch(content) and content != hashlib.sha256(http_request.body).hexdigest():
        raise SignatureError("The provided 'x-amz-content-sha256' header does not match what was computed.")
    names = given["headers"].split(";")
    # Except in S3, the body itself is signed, whatever the hash in a header says.
    request = _signed_request(http_request, http_request.query, names if s3 else [name for name in names if name != "x-amz-content-sha256"])
    if not s3 and "x-amz-content-sha256" in names:
        request.headers["x-amz-content-sha256"] = hashlib.sha256(http_request.body).hexdigest()
    signer = S3SigV4Auth if s3 else SigV4Auth
    _check_signature(signer, request, secret=secret, stamp=stamp, scope=given["scope"], signature=given["signature"])


def _verify_presigned(http_request: HttpRequest, *, secret: str, token: str | None, s3: bool, now: datetime.datetime) -> None:
    arguments = http_request.query_params
    if arguments.get("X-Amz-Security-Token") != token:
        raise SignatureError("The security token included in the request is invalid.")
    stamp, lifetime = arguments.get("X-Amz-Date", ""), arguments.get("X-Amz-Expires", "")
    age = (now - _parse_time(stamp)).total_seconds()
    if not lifetime.isdecimal() or not -CLOCK_SKEW_SECONDS <= age <= int(lifetime):
        raise ClockSkewError("Request has expired")
    query = "&".join(part for part in http_request.query.split("&") if not part.startswith("X-Amz-Signature="))
    request = _signed_request(http_request, query, arguments.get("X-Amz-SignedHeaders", "").split(";"))
    scope = arguments.get("X-Amz-Credential", "").partition("/")[2]
    signer = S3SigV4QueryAuth if s3 else SigV4QueryAuth
    _check_signature(signer, request, secret=secret, stamp=stamp, scope=scope, signature=arguments["X-Amz-Signature"])


def _signed_request(message: HttpRequest, query: str, names: list[str]) -> AWSRequest:
    """Returns the request with only its signed headers, since botocore's signers sign all headers."""
    if "host" not in names:
        raise SignatureError("The host header is not signed.")
    headers = {name: message.headers[name] for name in names if name in message.headers}
    url = f"https://{message.host}{message.path}" + (f"?{query}" if query else "")
    return AWSRequest(method=message.method, url=url, headers={**headers, "host": message.host}, data=message.body)


def _check_signature(kind: type[SigV4Auth], request: AWSRequest, *, secret: str, stamp: str, scope: str, signature: str) -> None:
    parts = scope.split("/")
    if len(parts) != 4 or parts[0] != stamp[:8]:
        raise SignatureError("Credential should be scoped to the date of the request.")
    signer: Any = kind(Credentials("", secret), parts[2], parts[1])  # botocore's type stubs lack its signers' methods
    request.context["timestamp"] = stamp
    computed: str = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    if not hmac.compare_digest(computed, signature):
        raise SignatureError(_MISMATCH)


def _parse_time(stamp: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(stamp, _TIME).replace(tzinfo=datetime.UTC)
    except ValueError:
        raise SignatureError("Authentication requires a valid Date or x-amz-date header.") from None
