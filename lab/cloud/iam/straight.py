"""Whether a call is put so that it cannot be understood in two ways: what is judged must be what the API server carries out.

The API server finds service and operation by rules of its own (the Host header among them). A request that fits no client of AWS
(two actions, one service's scope under another's name) is refused before it can be read differently there.
"""

import functools
import re
from collections import Counter
from dataclasses import replace
from urllib.parse import parse_qsl

from lab.cloud.calls import RPC_PATH, Call
from lab.cloud.service_models import service_model

_HOST = re.compile(r"(?:(?P<before>[\w.-]+)\.)?(?P<service>[a-z0-9]+)(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?::\d+)?")
_ENDPOINTS = {"cloudwatch": "monitoring"}
_MODELS = {"monitoring": "cloudwatch"}
_REST = frozenset({"rest-xml", "rest-json"})


_HERE = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d+)?")
_CONTROL = re.compile(r"\d{12}\.s3-control\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?::\d+)?")
"""S3 Control has the account's number in front (botocore, data/s3control/2018-08-20/endpoint-rule-set-1.json)."""
_CONTROL_HERE = re.compile(r"\d{12}\." + _HERE.pattern)


def straight(call: Call, *, here: bool = False) -> bool:
    """Whether the request is of the one form in which AWS's clients make such a call.

    `here`: made on this machine, where clients may have the API's address as their endpoint. Then the signature's scope alone names the
    service, for the API server too.
    """
    if call.s3_control:
        return _straight_control(call, here=here)
    endpoint = _ENDPOINTS.get(call.service, call.service)
    if not (here and _HERE.fullmatch(call.message.host)):
        host = _HOST.fullmatch(call.message.host)
        if host is None or host["service"] != endpoint or (host["before"] and endpoint != "s3"):
            return False
    protocols = _protocols(_MODELS.get(endpoint, endpoint))
    spoken = _spoken(call)
    if spoken is None or not spoken & protocols:
        return False
    return call.service != "s3" or _one_subresource(call)


def _straight_control(call: Call, *, here: bool) -> bool:
    """S3 Control's calls are of its own host and dialect, and but for the list of keys that lose their tags they have no arguments."""
    host = _CONTROL.fullmatch(call.message.host) or (here and _CONTROL_HERE.fullmatch(call.message.host))
    known = {"tagKeys"} if call.action == "UntagResource" else set[str]()
    bare = replace(call, message=replace(call.message, query=""))
    return bool(host) and call.message.arguments.keys() <= known and _spoken(bare) == _REST


def _spoken(call: Call) -> frozenset[str] | None:
    """The protocols that the request may be of; None where it bears the marks of two."""
    message = call.message
    query = Counter(key for key, _ in parse_qsl(message.query, keep_blank_values=True))
    target, remote = "X-Amz-Target" in message.headers, RPC_PATH.fullmatch(message.path) is not None
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


def _protocols(service: str) -> frozenset[str]:
    model = service_model(service)
    return frozenset(model.metadata.get("protocols", [model.metadata.get("protocol", "")])) if model else frozenset()


def _one_subresource(call: Call) -> bool:
    """S3's operations differ by an argument without a value (`?acl`): two of them would be two operations."""
    return len(_subresources() & set(call.message.arguments)) <= 1


@functools.cache
def _subresources() -> frozenset[str]:
    model = service_model("s3")
    queries = [model.operation_model(name).http["requestUri"].partition("?")[2] for name in model.operation_names] if model else []
    return frozenset(key for query in queries for key, value in parse_qsl(query, keep_blank_values=True) if not value)
