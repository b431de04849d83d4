"""AWS's error responses in each wire protocol, so that clients raise what they would raise on AWS.

Codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the "Common Errors" of STS, Secrets Manager and Route 53.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from lab.cloud.calls import RPC_CBOR_PATH, Call

ErrorKind = Literal["denied", "unknown key", "bad signature", "bad time", "expired", "would succeed", "throttled", "no bucket"]
"""The causes, in order: not allowed; unknown access key; signed with another secret; signed at another time; expired credentials; a trial
(EC2's DryRun) of an allowed call; too many calls; no such bucket."""
WireProtocol = Literal["json", "cbor", "s3", "ec2", "query"]


@dataclass(frozen=True, kw_only=True)
class AwsError:
    """A refusal and AWS's message for it."""

    kind: ErrorKind = "denied"
    message: str


@dataclass(frozen=True, kw_only=True)
class ErrorResponse:
    """A response that is sent in place of the API's."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]


_JSON: Mapping[ErrorKind, tuple[str, int]] = {
    "denied": ("AccessDeniedException", 400),
    "unknown key": ("UnrecognizedClientException", 400),
    "bad signature": ("InvalidSignatureException", 400),
    "bad time": ("InvalidSignatureException", 400),
    "expired": ("ExpiredTokenException", 400),
    "throttled": ("ThrottlingException", 400),
}
_CODES: Mapping[WireProtocol, Mapping[ErrorKind, tuple[str, int]]] = {
    "json": _JSON,
    "cbor": _JSON,
    "s3": {
        "denied": ("AccessDenied", 403),
        "unknown key": ("InvalidAccessKeyId", 403),
        "bad signature": ("SignatureDoesNotMatch", 403),
        "bad time": ("RequestTimeTooSkewed", 403),
        "expired": ("ExpiredToken", 400),
        "throttled": ("SlowDown", 503),
        "no bucket": ("NoSuchBucket", 404),
    },
    "ec2": {
        "denied": ("UnauthorizedOperation", 403),
        "unknown key": ("AuthFailure", 401),
        "bad signature": ("SignatureDoesNotMatch", 403),
        "bad time": ("RequestExpired", 400),
        "expired": ("RequestExpired", 400),
        "would succeed": ("DryRunOperation", 412),
        "throttled": ("RequestLimitExceeded", 503),
    },
    "query": {
        "denied": ("AccessDenied", 403),
        "unknown key": ("InvalidClientTokenId", 403),
        "bad signature": ("SignatureDoesNotMatch", 403),
        "bad time": ("SignatureDoesNotMatch", 403),
        "expired": ("ExpiredToken", 403),
        "throttled": ("Throttling", 400),
    },
}


def wire_protocol(call: Call) -> WireProtocol:
    """Returns the wire protocol that a call uses."""
    if "X-Amz-Target" in call.http.headers:
        return "json"
    if RPC_CBOR_PATH.fullmatch(call.http.path):
        return "cbor"
    if call.service == "s3":
        return "s3"
    return "ec2" if call.service == "ec2" else "query"


def error_response(call: Call, aws_error: AwsError) -> ErrorResponse:
    """Returns AWS's response to a refused call."""
    spoken = wire_protocol(call)
    code, status = _CODES[spoken][aws_error.kind]
    text = escape(aws_error.message)
    if spoken == "json":
        return _response(status, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": aws_error.message}))
    if spoken == "cbor":
        body = b"\xa2" + b"".join(_cbor_text(part) for part in ("__type", code, "message", aws_error.message))
        return ErrorResponse(status=status, content_type="application/cbor", body=body, headers={"smithy-protocol": "rpc-v2-cbor"})
    if spoken == "s3":
        return _response(status, "application/xml", f"<Error><Code>{code}</Code><Message>{text}</Message></Error>")
    if spoken == "ec2":
        error = f"<Error><Code>{code}</Code><Message>{text}</Message></Error>"
        return _response(status, _XML, f"<Response><Errors>{error}</Errors><RequestID>lab</RequestID></Response>")
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error>"
    return _response(status, _XML, f"<ErrorResponse>{error}<RequestId>lab</RequestId></ErrorResponse>")


_XML = "text/xml;charset=UTF-8"


def _response(status: int, content_type: str, text: str) -> ErrorResponse:
    return ErrorResponse(status=status, content_type=content_type, body=text.encode(), headers={})


def _cbor_text(text: str) -> bytes:
    """Encodes a text string (RFC 8949, section 3.1) with its length in two bytes."""
    content = text.encode()[:0xFFFF]
    return b"\x79" + len(content).to_bytes(2) + content
