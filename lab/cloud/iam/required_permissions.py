"""The permissions that a call needs: which IAM actions on which resources.

AWS publishes this per service (https://docs.aws.amazon.com/service-authorization/latest/reference/), and no library has it. The tables here
contain the calls that the hosts of such stacks and their deployers make. A call that is in none is refused (`UnknownCallError`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lab.cloud.calls import Call
from lab.cloud.iam import ec2_permissions, iam_permissions, route53_permissions, s3_permissions
from lab.cloud.iam.bodies import json_body, json_tags
from lab.cloud.iam.permission import REQUEST_TAG_KEYS, RESOURCE_TAG_KEYS, RequiredPermission, UnknownCallError, request_tag_context


class ResourceLookup(Protocol):
    """Lookups in the API that are needed to name a call's resources."""

    async def secret_arn(self, region: str, secret_id: str) -> str | None:
        """Returns a secret's ARN by its name or ARN, or None if there is none."""
        ...

    async def profile_role_arn(self, name: str) -> str | None:
        """Returns the ARN of the role in an instance profile, or None if there is none."""
        ...

    async def associated_ids(self, region: str, association: str) -> list[str]:
        """Returns the ids that an association joins: a route table and a subnet or gateway, or an address and an interface; else empty."""
        ...


@dataclass(frozen=True, kw_only=True)
class ArnScope:
    """The partition, region and account of a call's resources."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """Returns the ARN of a service's resource; `resource` is its last part."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


async def permissions_for(call: Call, scope: ArnScope, resources: ResourceLookup) -> list[RequiredPermission]:
    """Returns all permissions that the call needs; each must be allowed. Empty if anyone may make it. Raises `UnknownCallError`."""
    if call.service == "s3":
        return s3_permissions.permissions_for(call, scope.partition)
    if call.service == "ec2":
        return await _ec2_permissions(call, scope, resources)
    if call.service == "secretsmanager":
        return await _secret_permissions(call, scope, resources)
    if call.service == "sts":
        return _sts_permissions(call)
    if call.service == "iam":
        return iam_permissions.permissions_for(call, scope.partition, scope.account)
    if call.service == "route53":
        return route53_permissions.permissions_for(call, scope.partition)
    if call.service == "logs" and call.action in _TAG_ACTIONS:
        return _log_tag_permissions(call)
    if call.service in _NAMED_RESOURCES and (call.action in _NAMED_RESOURCES[call.service].actions):
        return _named_resource_permissions(call, scope, _NAMED_RESOURCES[call.service])
    if call.action in _UNSCOPED_ACTIONS.get(call.service, ()):
        return [RequiredPermission(action=f"{call.service}:{call.action}")]
    raise UnknownCallError(call)


async def _ec2_permissions(call: Call, scope: ArnScope, resources: ResourceLookup) -> list[RequiredPermission]:
    def arn(rest: str) -> str:
        return scope.arn("ec2", rest)

    if call.action in ("DisassociateRouteTable", "DisassociateAddress"):
        joined = await resources.associated_ids(call.region, call.parameters.get("AssociationId", ""))
        # If the address has no association any more, the service itself reports it. AWS's reference does not say which resource the call is
        # then authorized for; a policy derived from this works either way, since it requires tags only where there are any.
        if not joined and call.action == "DisassociateAddress":
            return [
                RequiredPermission(action="ec2:DisassociateAddress", resource=arn("elastic-ip/*"), supported_prefixes=RESOURCE_TAG_KEYS)
            ]
        if not joined:
            raise UnknownCallError(call)
        return [
            ec2_permissions.resource_permission(call, ec2_permissions.resource_type(call, identifier), identifier, arn)
            for identifier in joined
        ]
    found = ec2_permissions.permissions_for(call, arn)
    flow_logs = ec2_permissions.passed_role(call)
    if flow_logs is not None:
        found.append(_pass_role(flow_logs, "vpc-flow-logs.amazonaws.com"))
    profile = ec2_permissions.passed_profile(call)
    if profile is not None:
        role = await resources.profile_role_arn(profile)
        if role is None:
            raise UnknownCallError(call)
        found.append(_pass_role(role, "ec2.amazonaws.com"))
    return found


def _pass_role(role: str, service: str) -> RequiredPermission:
    return RequiredPermission(action="iam:PassRole", resource=role, context={"iam:passedtoservice": (service,)})


_SECRET_ACTIONS = frozenset(
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


async def _secret_permissions(call: Call, scope: ArnScope, resources: ResourceLookup) -> list[RequiredPermission]:
    action = f"secretsmanager:{call.action}"
    if call.action in {"ListSecrets", "GetRandomPassword"}:
        return [RequiredPermission(action=action)]
    if call.action == "CreateSecret":
        return _create_secret_permissions(call, scope)
    named = call.parameters.get("SecretId", "")
    if call.action not in _SECRET_ACTIONS or not named:
        raise UnknownCallError(call)
    arn = await resources.secret_arn(call.region, named)
    facts = {"secretsmanager:secretid": (arn,)} if arn else {}
    for parameter in ("VersionId", "VersionStage"):
        if parameter in call.parameters:
            facts[f"secretsmanager:{parameter.lower()}"] = (call.parameters[parameter],)
    missing = named if named.startswith("arn:") else scope.arn("secretsmanager", f"secret:{named}")
    facts |= request_tag_context(json_tags(call)) if call.action == "TagResource" else {}
    return [
        RequiredPermission(
            action=action,
            resource=arn or missing,
            context=facts,
            policy_owner=("secret", arn) if arn else None,
            supported_prefixes=REQUEST_TAG_KEYS,
        )
    ]


def _create_secret_permissions(call: Call, scope: ArnScope) -> list[RequiredPermission]:
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html: tags need `TagResource` too."""
    name, tags = call.parameters.get("Name", ""), json_tags(call)
    if not name:
        raise UnknownCallError(call)
    resource, facts = scope.arn("secretsmanager", f"secret:{name}"), request_tag_context(tags)
    actions = ["secretsmanager:CreateSecret", *(["secretsmanager:TagResource"] if tags else [])]
    return [RequiredPermission(action=action, resource=resource, context=facts, supported_prefixes=REQUEST_TAG_KEYS) for action in actions]


def _sts_permissions(call: Call) -> list[RequiredPermission]:
    if call.action == "GetCallerIdentity":
        return []
    role = call.parameters.get("RoleArn", "")
    if call.action == "AssumeRole" and role:
        return [RequiredPermission(action="sts:AssumeRole", resource=role, policy_owner=("role", role))]
    raise UnknownCallError(call)


@dataclass(frozen=True, kw_only=True)
class _NamedResource:
    """Calls that name their only resource in a parameter."""

    actions: frozenset[str]
    parameter: str
    arn: str
    """The template of the ARN's last part, with the call's parameters, or of a whole ARN."""
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])


_NAMED_RESOURCES: Mapping[str, _NamedResource] = {
    "ssm": _NamedResource(
        actions=frozenset({"GetParameter", "GetParametersByPath", "PutParameter", "DeleteParameter", "GetParameterHistory"}),
        parameter="Name",
        arn="parameter/{Name}",
    ),
    "logs": _NamedResource(
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
    "dynamodb": _NamedResource(
        actions=frozenset({"DeleteItem", "DescribeTable", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"}),
        parameter="TableName",
        arn="table/{TableName}",
    ),
    "sns": _NamedResource(actions=frozenset({"Publish"}), parameter="TopicArn", arn="{TopicArn}"),
}
_UNSCOPED_ACTIONS: Mapping[str, frozenset[str]] = {
    "cloudwatch": frozenset({"GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricData"}),
    "logs": frozenset({"DescribeLogGroups"}),
    "ssm": frozenset({"DescribeParameters"}),
}


def _named_resource_permissions(call: Call, scope: ArnScope, row: _NamedResource) -> list[RequiredPermission]:
    parameters = {**row.defaults, **call.parameters, **_flat_strings(call)}
    if call.service == "ssm":
        parameters["Name"] = (parameters.get("Name") or parameters.get("Path", "")).removeprefix("/")
    if not parameters.get(row.parameter):
        raise UnknownCallError(call)
    end = row.arn.format_map(parameters)
    # AWS's own parameters belong to no account: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html
    where = ArnScope(partition=scope.partition, region=scope.region, account="") if end.startswith("parameter/aws/") else scope
    resource = end if end.startswith("arn:") else where.arn(call.service, end)
    tags = json_tags(call) if call.action == "CreateLogGroup" else {}
    found = [
        RequiredPermission(
            action=f"{call.service}:{call.action}",
            resource=resource,
            context=request_tag_context(tags),
            supported_prefixes=REQUEST_TAG_KEYS,
        )
    ]
    if tags:  # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html, `tags`
        group = scope.arn("logs", f"log-group:{parameters['logGroupName']}")
        found.append(
            RequiredPermission(
                action="logs:TagResource", resource=group, context=request_tag_context(tags), supported_prefixes=REQUEST_TAG_KEYS
            )
        )
    return found


_TAG_ACTIONS = frozenset({"ListTagsForResource", "TagResource", "UntagResource"})


def _log_tag_permissions(call: Call) -> list[RequiredPermission]:
    """Returns the permissions for a log group's tags. Only in these calls its ARN has no `:*` at the end.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html, `logGroupArn`.
    """
    arn = call.parameters.get("resourceArn", "")
    if not arn.startswith("arn:"):
        raise UnknownCallError(call)
    return [
        RequiredPermission(
            action=f"logs:{call.action}", resource=arn, context=request_tag_context(json_tags(call)), supported_prefixes=REQUEST_TAG_KEYS
        )
    ]


def _flat_strings(call: Call) -> dict[str, str]:
    """Returns a JSON body's top-level strings, for calls whose parameters are not in a form or path."""
    return {key: value for key, value in json_body(call).items() if isinstance(value, str)}
