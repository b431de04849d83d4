"""Parses an HTTP request to AWS into a call: service, action, parameters. It uses the request alone, as AWS's own endpoints do.

AWS has four wire protocols. Two name the action (`Action=` in a form; `X-Amz-Target`), one has it in the path (`/service/…/operation/…`),
and the REST services (S3, Route 53) express it by method, path and query: for those, botocore's description of the service decides.
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from botocore.model import OperationModel

from lab.cloud.service_models import service_model

_CREDENTIAL_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
RPC_CBOR_PATH = re.compile(r"/service/[^/]+/operation/(\w+)")
"""The protocol header of Smithy's RPC in CBOR."""
_S3_CONTROL_PREFIX = "/v20180820/"
"""S3 Control signs as S3. It is recognized by this path prefix and its host name (botocore, data/s3control/2018-08-20/service-2.json)."""
_VIRTUAL_HOST = re.compile(r"(?P<bucket>.+)\.s3[.-].*amazonaws\.com(?::\d+)?")
_READ_ACTION = re.compile(r"(Describe|Get|List|Head|Lookup|Search|BatchGet|Simulate|Decode|Filter|Select|Query|Scan|Assume|Validate|Test)")
_MUTATING_GETS = frozenset({"GetFederationToken"})
_IAM_PREFIXES = {"monitoring": "cloudwatch"}
_PLACEHOLDER = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """The HTTP request of a call, exactly as it was sent."""

    method: str = "GET"
    host: str = ""
    path: str = "/"
    """Percent-encoded."""
    query: str = ""
    """Without the `?`."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names in any case."""
    body: bytes = b""
    secure: bool = False
    """Whether it came over TLS."""

    @property
    def query_params(self) -> dict[str, str]:
        """The decoded query; if an argument is repeated, its last value."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call to the API. `service` is the prefix of the service's IAM actions, `action` the API operation."""

    service: str
    action: str
    region: str = ""
    access_key_id: str = ""
    caller: str = ""
    """The address that the call came from; 127.0.0.1 for programs on this machine."""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """The flat form (`InstanceId.1`), the top-level strings of a JSON body, or the names in a REST path (`Bucket`, `Key`)."""
    http: HttpRequest = field(default_factory=HttpRequest)

    @property
    def is_s3_control(self) -> bool:
        """Whether the call is to S3 Control, some of whose operations have the same names as S3's."""
        return self.service == "s3" and is_s3_control(self.http)

    @property
    def is_write(self) -> bool:
        """Whether the call may change the API's state."""
        return not _READ_ACTION.match(self.action) or self.action in _MUTATING_GETS


def parse_call(http_request: HttpRequest, caller: str) -> Call:
    """Returns the call of a request from the address `caller`. Unsigned calls count as S3's, as in moto."""
    access_key_id, region, signing_name = _credential_scope(http_request)
    action, parameters = _parse_action(signing_name, http_request)
    return Call(
        service=_IAM_PREFIXES.get(signing_name, signing_name),
        action=action,
        region=region,
        access_key_id=access_key_id,
        caller=caller,
        parameters=parameters,
        http=http_request,
    )


def access_key_of(http_request: HttpRequest) -> str:
    """Returns the request's access key id; empty if it is unsigned."""
    return _credential_scope(http_request)[0]


def _credential_scope(http_request: HttpRequest) -> tuple[str, str, str]:
    scope = _CREDENTIAL_SCOPE.search(http_request.headers.get("Authorization", ""))
    scope = scope or _CREDENTIAL_SCOPE.search("Credential=" + http_request.query_params.get("X-Amz-Credential", ""))
    return (scope[1], scope[2], scope[3]) if scope else ("", "", "s3")


def is_s3_control(http_request: HttpRequest) -> bool:
    """Whether a request signed for S3 is for S3 Control, decided as the API server does (moto, moto_server/werkzeug_app.py)."""
    return http_request.path.startswith(_S3_CONTROL_PREFIX) or "s3-control" in http_request.host


def _parse_action(service: str, http_request: HttpRequest) -> tuple[str, dict[str, str]]:
    headers, arguments = http_request.headers, http_request.query_params
    target = headers.get("X-Amz-Target")
    if target:
        return target.rpartition(".")[2], _json_strings(http_request.body)
    remote = RPC_CBOR_PATH.fullmatch(http_request.path)
    if remote:
        return remote[1], {}
    if headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded") or arguments.get("Action"):
        form = arguments | dict(parse_qsl(http_request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if "Action" in form:
            return form["Action"], {key: value for key, value in form.items() if key not in {"Action", "Version"}}
    if service == "s3" and is_s3_control(http_request):
        return _match_rest_operation("s3control", http_request.method, http_request.path, arguments, headers)
    path = _path_style(http_request.host, http_request.path) if service == "s3" else http_request.path
    return _match_rest_operation(service, http_request.method, path, arguments, headers)


def _json_strings(body: bytes) -> dict[str, str]:
    try:
        content: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in cast("dict[str, object]", content).items() if isinstance(value, str)}


def _path_style(host: str, path: str) -> str:
    virtual = _VIRTUAL_HOST.fullmatch(host)
    return f"/{virtual['bucket']}{path}" if virtual else path


@dataclass(frozen=True, kw_only=True)
class _Operation:
    name: str
    method: str
    path: re.Pattern[str]
    query: Mapping[str, str]
    """Literal query arguments in the URI: `versioning`, `list-type=2`."""
    required: frozenset[str]
    """Required query arguments and headers: without them the request is another operation."""

    def matches(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> re.Match[str] | None:
        if any(query.get(key) != value and not (value == "" and key in query) for key, value in self.query.items()):
            return None
        if any(name not in query and name not in headers for name in self.required):
            return None
        return self.path.fullmatch(path)


def _match_rest_operation(
    service: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    best: tuple[int, str, dict[str, str]] | None = None
    path = path.rstrip("/") or "/"
    for operation in _operations(service):
        if operation.method != method:
            continue
        match = operation.matches(path, query, headers)
        weight = len(operation.query) + len(operation.required)
        if match is not None and (best is None or weight > best[0]):
            best = (weight, operation.name, {key: unquote(value) for key, value in match.groupdict().items()})
    return (best[1], best[2]) if best else (f"{method.capitalize()}:{path}", {})


@functools.cache
def _operations(service: str) -> tuple[_Operation, ...]:
    model = service_model(service)
    return tuple(_operation(model.operation_model(name)) for name in model.operation_names) if model else ()


def _operation(model: OperationModel) -> _Operation:
    http = cast("Mapping[str, str]", model.http)
    path, _, query = http["requestUri"].partition("?")
    members = model.input_shape.members if model.input_shape is not None else {}
    required: set[str] = set(model.input_shape.required_members) if model.input_shape is not None else set()
    arguments = {
        str(shape.serialization.get("name", name))
        for name, shape in members.items()
        if name in required and shape.serialization.get("location") in {"querystring", "header"}
    }
    pattern = _PLACEHOLDER.sub(lambda found: f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})", re.sub(r"([.*?^$()|\[\]])", r"\\\1", path))
    return _Operation(
        name=model.name,
        method=http["method"],
        path=re.compile(pattern.rstrip("/") or "/"),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        required=frozenset(arguments),
    )
