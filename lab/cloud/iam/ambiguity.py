"""Checks that a call cannot be interpreted in two ways: the call that is authorized must be the one that the API server carries out.

The API server finds service and operation by its own rules, which use the Host header among others. A request that no AWS client would send
(two actions, one service's scope under another's host name) is refused, since the API server might read it differently.
"""

import functools
import re
from collections import Counter
from dataclasses import replace
from urllib.parse import parse_qsl

from lab.cloud.calls import RPC_CBOR_PATH, Call
from lab.cloud.service_models import service_model

_HOST = re.compile(r"(?:(?P<before>[\w.-]+)\.)?(?P<service>[a-z0-9]+)(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?::\d+)?")
_ENDPOINTS = {"cloudwatch": "monitoring"}
_MODELS = {"monitoring": "cloudwatch"}
_REST = frozenset({"rest-xml", "rest-json"})


_LOOPBACK_HOST = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d+)?")
_S3_CONTROL_HOST = re.compile(r"\d{12}\.s3-control\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?::\d+)?")
"""S3 Control's host names start with the account id (botocore, data/s3control/2018-08-20/endpoint-rule-set-1.json)."""
_S3_CONTROL_LOOPBACK = re.compile(r"\d{12}\." + _LOOPBACK_HOST.pattern)


def is_unambiguous(call: Call, *, local: bool = False) -> bool:
    """Whether the request has the form in which AWS's clients make such a call.

    `local`: made on this machine, where clients may use the API's address as their endpoint. Then only the signature's scope names the
    service, for the API server too.
    """
    if call.is_s3_control:
        return _is_unambiguous_s3_control(call, local=local)
    endpoint = _ENDPOINTS.get(call.service, call.service)
    if not (local and _LOOPBACK_HOST.fullmatch(call.http.host)):
        host = _HOST.fullmatch(call.http.host)
        if host is None or host["service"] != endpoint or (host["before"] and endpoint != "s3"):
            return False
    protocols = _service_protocols(_MODELS.get(endpoint, endpoint))
    spoken = _detect_protocols(call)
    if spoken is None or not spoken & protocols:
        return False
    return call.service != "s3" or _has_one_subresource(call)


def _is_unambiguous_s3_control(call: Call, *, local: bool) -> bool:
    """Whether a call to S3 Control uses its host and protocol, and no query arguments except the list of tag keys to remove."""
    host = _S3_CONTROL_HOST.fullmatch(call.http.host) or (local and _S3_CONTROL_LOOPBACK.fullmatch(call.http.host))
    known = {"tagKeys"} if call.action == "UntagResource" else set[str]()
    bare = replace(call, http=replace(call.http, query=""))
    return bool(host) and call.http.query_params.keys() <= known and _detect_protocols(bare) == _REST


def _detect_protocols(call: Call) -> frozenset[str] | None:
    """Returns the protocols that the request may use; None if it has the marks of two."""
    message = call.http
    query = Counter(key for key, _ in parse_qsl(message.query, keep_blank_values=True))
    target, remote = "X-Amz-Target" in message.headers, RPC_CBOR_PATH.fullmatch(message.path) is not None
    if any(count > 1 for count in query.values()) or sum((target, remote, "Action" in query)) > 1:
        return None
    if target or remote:
        return frozenset({"json"}) if target else frozenset({"smithy-rpc-v2-cbor"})
    form = message.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
    body = message.body.decode("utf-8", "replace") if form else ""
    named = Counter(key for key, _ in parse_qsl(body, keep_blank_values=True))
    if any(count > 1 for count in (query + named).values()):
        return None
    return frozenset({"query", "ec2"}) if "Action" in query + named else _REST


def _service_protocols(service: str) -> frozenset[str]:
    model = service_model(service)
    return frozenset(model.metadata.get("protocols", [model.metadata.get("protocol", "")])) if model else frozenset()


def _has_one_subresource(call: Call) -> bool:
    """Whether it has at most one argument without a value (`?acl`): these select S3's operation, so two would mean two operations."""
    return len(_subresources() & set(call.http.query_params)) <= 1


@functools.cache
def _subresources() -> frozenset[str]:
    model = service_model("s3")
    queries = [model.operation_model(name).http["requestUri"].partition("?")[2] for name in model.operation_names] if model else []
    return frozenset(key for query in queries for key, value in parse_qsl(query, keep_blank_values=True) if not value)
