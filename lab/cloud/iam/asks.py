"""What a call needs: which IAM actions on which resources.

AWS publishes this per service (https://docs.aws.amazon.com/service-authorization/latest/reference/); no library carries it, so the
tables here hold the calls that hosts of such stacks and their deployers make. A call that is in none is refused (`UnknownCallError`), never
let through.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lab.cloud.calls import Call
from lab.cloud.iam import ec2_asks, iam_asks, route53_asks, s3_asks
from lab.cloud.iam.bodies import json_body, json_tags
from lab.cloud.iam.needs import REQUEST_TAGS, RESOURCE_TAGS, Need, UnknownCallError, request_tags


class Resources(Protocol):
    """What the API must be asked for to name a call's resources."""

    async def secret_arn(self, region: str, secret_id: str) -> str | None:
        """The ARN of a secret by its name or ARN; None where there is none."""
        ...

    async def role_of_profile(self, name: str) -> str | None:
        """The ARN of the role in an instance profile; None where there is none."""
        ...

    async def association(self, region: str, association: str) -> list[str]:
        """The ids of what an association joins: a route table and a subnet or gateway, or an address and an interface; empty for none."""
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
    if call.service == "iam":
        return iam_asks.needs(call, place.partition, place.account)
    if call.service == "route53":
        return route53_asks.needs(call, place.partition)
    if call.service == "logs" and call.action in _OF_TAGS:
        return _of_log_tags(call)
    if call.service in _NAMED and (call.action in _NAMED[call.service].actions):
        return _of_named(call, place, _NAMED[call.service])
    if call.action in _ON_EVERYTHING.get(call.service, ()):
        return [Need(action=f"{call.service}:{call.action}")]
    raise UnknownCallError(call)


async def _of_ec2(call: Call, place: Place, resources: Resources) -> list[Need]:
    def arn(rest: str) -> str:
        return place.arn("ec2", rest)

    if call.action in ("DisassociateRouteTable", "DisassociateAddress"):
        joined = await resources.association(call.region, call.parameters.get("AssociationId", ""))
        # An address that has lost its association already is for the service to name. AWS's reference does not say what the call is judged
        # by; a policy made from this one holds either way, since it asks for tags only where there are any.
        if not joined and call.action == "DisassociateAddress":
            return [Need(action="ec2:DisassociateAddress", resource=arn("elastic-ip/*"), worked_out=RESOURCE_TAGS)]
        if not joined:
            raise UnknownCallError(call)
        return [ec2_asks.on_resource(call, ec2_asks.kind_of(call, identifier), identifier, arn) for identifier in joined]
    found = ec2_asks.needs(call, arn)
    flow_logs = ec2_asks.passed_role(call)
    if flow_logs is not None:
        found.append(_passed(flow_logs, "vpc-flow-logs.amazonaws.com"))
    profile = ec2_asks.passed_profile(call)
    if profile is not None:
        role = await resources.role_of_profile(profile)
        if role is None:
            raise UnknownCallError(call)
        found.append(_passed(role, "ec2.amazonaws.com"))
    return found


def _passed(role: str, service: str) -> Need:
    return Need(action="iam:PassRole", resource=role, facts={"iam:passedtoservice": (service,)})


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
    if call.action == "CreateSecret":
        return _new_secret(call, place)
    named = call.parameters.get("SecretId", "")
    if call.action not in _OF_ONE_SECRET or not named:
        raise UnknownCallError(call)
    arn = await resources.secret_arn(call.region, named)
    facts = {"secretsmanager:secretid": (arn,)} if arn else {}
    for parameter in ("VersionId", "VersionStage"):
        if parameter in call.parameters:
            facts[f"secretsmanager:{parameter.lower()}"] = (call.parameters[parameter],)
    missing = named if named.startswith("arn:") else place.arn("secretsmanager", f"secret:{named}")
    facts |= request_tags(json_tags(call)) if call.action == "TagResource" else {}
    return [Need(action=action, resource=arn or missing, facts=facts, owner=("secret", arn) if arn else None, worked_out=REQUEST_TAGS)]


def _new_secret(call: Call, place: Place) -> list[Need]:
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html: tags need `TagResource` too."""
    name, tags = call.parameters.get("Name", ""), json_tags(call)
    if not name:
        raise UnknownCallError(call)
    resource, facts = place.arn("secretsmanager", f"secret:{name}"), request_tags(tags)
    actions = ["secretsmanager:CreateSecret", *(["secretsmanager:TagResource"] if tags else [])]
    return [Need(action=action, resource=resource, facts=facts, worked_out=REQUEST_TAGS) for action in actions]


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
    "logs": _Named(
        actions=frozenset(
            {
                "CreateLogGroup",
                "CreateLogStream",
                "DeleteLogGroup",
                "DeleteRetentionPolicy",
                "DescribeLogStreams",
                "GetLogEvents",
                "PutLogEvents",
                "PutRetentionPolicy",
            }
        ),
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
    "ssm": frozenset({"DescribeParameters"}),
}


def _of_named(call: Call, place: Place, row: _Named) -> list[Need]:
    parameters = {**row.defaults, **call.parameters, **_flat_strings(call)}
    if call.service == "ssm":
        parameters["Name"] = (parameters.get("Name") or parameters.get("Path", "")).removeprefix("/")
    if not parameters.get(row.parameter):
        raise UnknownCallError(call)
    end = row.arn.format_map(parameters)
    # AWS's own parameters are of no account: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html
    where = Place(partition=place.partition, region=place.region, account="") if end.startswith("parameter/aws/") else place
    resource = end if end.startswith("arn:") else where.arn(call.service, end)
    tags = json_tags(call) if call.action == "CreateLogGroup" else {}
    found = [Need(action=f"{call.service}:{call.action}", resource=resource, facts=request_tags(tags), worked_out=REQUEST_TAGS)]
    if tags:  # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html, `tags`
        group = place.arn("logs", f"log-group:{parameters['logGroupName']}")
        found.append(Need(action="logs:TagResource", resource=group, facts=request_tags(tags), worked_out=REQUEST_TAGS))
    return found


_OF_TAGS = frozenset({"ListTagsForResource", "TagResource", "UntagResource"})


def _of_log_tags(call: Call) -> list[Need]:
    """Of a log group whose ARN, other than in every other call, has no `:*` at its end.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html, `logGroupArn`.
    """
    arn = call.parameters.get("resourceArn", "")
    if not arn.startswith("arn:"):
        raise UnknownCallError(call)
    return [Need(action=f"logs:{call.action}", resource=arn, facts=request_tags(json_tags(call)), worked_out=REQUEST_TAGS)]


def _flat_strings(call: Call) -> dict[str, str]:
    """A JSON body's top-level strings, which a form's or path's parameters have already."""
    return {key: value for key, value in json_body(call).items() if isinstance(value, str)}
