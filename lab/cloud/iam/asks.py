"""What a call needs: which IAM actions on which resources.

AWS publishes this per service (https://docs.aws.amazon.com/service-authorization/latest/reference/); no library carries it, so the
tables here hold the calls that hosts of such stacks make. A call that is in none is refused (`UnknownCallError`), never let through.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from lab.cloud.calls import Call
from lab.cloud.iam import ec2_asks, s3_asks
from lab.cloud.iam.needs import Need, UnknownCallError


class Resources(Protocol):
    """What the API must be asked for to name a call's resources."""

    async def secret_arn(self, region: str, secret_id: str) -> str | None:
        """The ARN of a secret by its name or ARN; None where there is none."""
        ...

    async def role_of_profile(self, name: str) -> str | None:
        """The ARN of the role in an instance profile; None where there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a call's resources lie."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, rest: str) -> str:
        """An ARN there."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"


async def needs(call: Call, place: Place, resources: Resources) -> list[Need]:
    """All of what the call needs: each of them must be allowed. Empty for a call that everybody may make. Raises `UnknownCallError`."""
    if call.service == "s3":
        return s3_asks.needs(call, place.partition)
    if call.service == "ec2":
        return await _of_ec2(call, place, resources)
    if call.service == "secretsmanager":
        return await _of_secrets(call, place, resources)
    if call.service == "sts":
        return _of_sts(call)
    if call.service in _NAMED and (call.action in _NAMED[call.service].actions):
        return _of_named(call, place, _NAMED[call.service])
    if call.action in _ON_EVERYTHING.get(call.service, ()):
        return [Need(action=f"{call.service}:{call.action}")]
    raise UnknownCallError(call)


async def _of_ec2(call: Call, place: Place, resources: Resources) -> list[Need]:
    found = ec2_asks.needs(call, lambda rest: place.arn("ec2", rest))
    profile = ec2_asks.passed_profile(call)
    if profile is not None:
        role = await resources.role_of_profile(profile)
        if role is None:
            raise UnknownCallError(call)
        found.append(Need(action="iam:PassRole", resource=role, facts={"iam:passedtoservice": ("ec2.amazonaws.com",)}))
    return found


_OF_ONE_SECRET = frozenset(
    {
        "CancelRotateSecret",
        "DeleteResourcePolicy",
        "DeleteSecret",
        "DescribeSecret",
        "GetResourcePolicy",
        "GetSecretValue",
        "ListSecretVersionIds",
        "PutResourcePolicy",
        "PutSecretValue",
        "RestoreSecret",
        "RotateSecret",
        "TagResource",
        "UntagResource",
        "UpdateSecret",
        "UpdateSecretVersionStage",
    }
)


async def _of_secrets(call: Call, place: Place, resources: Resources) -> list[Need]:
    action = f"secretsmanager:{call.action}"
    if call.action in {"ListSecrets", "GetRandomPassword"}:
        return [Need(action=action)]
    named = call.parameters.get("SecretId", "")
    if call.action not in _OF_ONE_SECRET or not named:
        raise UnknownCallError(call)
    arn = await resources.secret_arn(call.region, named)
    facts = {"secretsmanager:secretid": (arn,)} if arn else {}
    for parameter in ("VersionId", "VersionStage"):
        if parameter in call.parameters:
            facts[f"secretsmanager:{parameter.lower()}"] = (call.parameters[parameter],)
    missing = named if named.startswith("arn:") else place.arn("secretsmanager", f"secret:{named}")
    return [Need(action=action, resource=arn or missing, facts=facts, owner=("secret", arn) if arn else None)]


def _of_sts(call: Call) -> list[Need]:
    if call.action == "GetCallerIdentity":
        return []
    role = call.parameters.get("RoleArn", "")
    if call.action == "AssumeRole" and role:
        return [Need(action="sts:AssumeRole", resource=role, owner=("role", role))]
    raise UnknownCallError(call)


@dataclass(frozen=True, kw_only=True)
class _Named:
    """Calls that name their one resource in a parameter."""

    actions: frozenset[str]
    parameter: str
    arn: str
    """The ARN's end, of the call's parameters; or a whole ARN."""
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])


_NAMED: Mapping[str, _Named] = {
    "ssm": _Named(
        actions=frozenset({"GetParameter", "GetParametersByPath", "PutParameter", "DeleteParameter", "GetParameterHistory"}),
        parameter="Name",
        arn="parameter/{Name}",
    ),
    "route53": _Named(
        actions=frozenset({"GetHostedZone", "ListResourceRecordSets", "ChangeResourceRecordSets", "DeleteHostedZone"}),
        parameter="Id",
        arn="arn:aws:route53:::hostedzone/{Id}",
    ),
    "logs": _Named(
        actions=frozenset({"CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "GetLogEvents", "PutLogEvents"}),
        parameter="logGroupName",
        arn="log-group:{logGroupName}:log-stream:{logStreamName}",
        defaults={"logStreamName": ""},
    ),
    "dynamodb": _Named(
        actions=frozenset({"DeleteItem", "DescribeTable", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"}),
        parameter="TableName",
        arn="table/{TableName}",
    ),
    "sns": _Named(actions=frozenset({"Publish"}), parameter="TopicArn", arn="{TopicArn}"),
}
_ON_EVERYTHING: Mapping[str, frozenset[str]] = {
    "cloudwatch": frozenset({"GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricData"}),
    "logs": frozenset({"DescribeLogGroups"}),
    "route53": frozenset({"ListHostedZones", "ListHostedZonesByName", "GetHostedZoneCount"}),
    "ssm": frozenset({"DescribeParameters"}),
}


def _of_named(call: Call, place: Place, row: _Named) -> list[Need]:
    parameters = {**row.defaults, **call.parameters, **_flat_strings(call)}
    if call.service == "ssm":
        parameters["Name"] = (parameters.get("Name") or parameters.get("Path", "")).removeprefix("/")
    if not parameters.get(row.parameter):
        raise UnknownCallError(call)
    end = row.arn.format_map(parameters)
    resource = end if end.startswith("arn:") else place.arn(call.service, end)
    return [Need(action=f"{call.service}:{call.action}", resource=resource)]


def _flat_strings(call: Call) -> dict[str, str]:
    """A JSON body's top-level strings, which a form's or path's parameters have already."""
    if "X-Amz-Target" not in call.message.headers:
        return {}
    try:
        content: Any = json.loads(call.message.body or b"{}")
    except ValueError as error:
        raise UnknownCallError(call) from error
    if not isinstance(content, dict):
        raise UnknownCallError(call)
    return {key: value for key, value in cast("dict[str, object]", content).items() if isinstance(value, str)}
