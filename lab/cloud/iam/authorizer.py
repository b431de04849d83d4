"""Authorizes one call: identifies the caller, finds the permissions that the call needs, and evaluates the policies.

Calls signed with the administrator's key (`lab.admin_keys`) may do everything. All others may do what the role of their session allows, or,
unsigned, what needs no signature. The caller's address does not matter: on this machine every user and program calls from 127.0.0.1.
"""

import datetime
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import replace

from lab.admin_keys import AccessKey
from lab.cloud.api_gateway import AuthDecision
from lab.cloud.aws_errors import AwsError
from lab.cloud.calls import Call
from lab.cloud.iam import required_permissions, s3_permissions
from lab.cloud.iam.ambiguity import is_unambiguous
from lab.cloud.iam.evaluation import ApplicablePolicies, deny_reason
from lab.cloud.iam.permission import RESOURCE_TAG_KEYS, SUBNET_KEY, RequiredPermission, UnknownCallError, resource_tag_context
from lab.cloud.iam.policies import GatewayEndpoint, IamRole, PolicyStore
from lab.cloud.iam.request_context import Principal, RequestContext
from lab.cloud.iam.required_permissions import ArnScope
from lab.cloud.iam.role_sessions import RoleSession, RoleSessions
from lab.cloud.iam.signatures import ClockSkewError, SignatureError, verify_signature
from lab.cloud.iam.statements import AuthorizationRequest, Statement
from lab.cloud.inventory import Inventory

DecisionListener = Callable[[AuthorizationRequest, Principal, bool], None]
"""Called with each authorization request, its principal, and whether it was allowed."""


class IamAuthorizer:
    """Authorizes calls for the API gateway. `inventory` finds a caller's subnet; without `administrator` no key is an administrator's."""

    def __init__(
        self,
        sessions: RoleSessions,
        policies: PolicyStore,
        inventory: Inventory,
        *,
        administrator: AccessKey | None = None,
        listener: DecisionListener | None = None,
    ) -> None:
        self._sessions = sessions
        self._policies = policies
        self._inventory = inventory
        self._administrator = administrator
        self._listener = listener

    async def __call__(self, call: Call) -> AuthDecision:
        """See `lab.cloud.api_gateway.Authorizer`."""
        now = datetime.datetime.now(datetime.UTC)
        keys = self._administrator
        if keys is not None and call.access_key_id == keys.access_key_id:
            false = _signature_error(call, keys.secret, None, now)
            return _deny(false) if false is not None else AuthDecision()
        if not is_unambiguous(call, local=_is_local(call)):
            return _deny(AwsError(message=f"{call.service}:{call.action} is not in the form that AWS's clients use: refused."))
        session = await self._sessions.get(call.access_key_id) if call.access_key_id else None
        if session is None:
            return await self._authorize_unknown(call)
        false = _authentication_error(call, session, now)
        return _deny(false) if false is not None else await self._authorize_session(call, session, now)

    async def is_known_key(self, access_key_id: str) -> bool:
        """Whether the access key exists. Raises aiohttp.ClientError if the API server does not answer."""
        if self._administrator is not None and access_key_id == self._administrator.access_key_id:
            return True
        return await self._sessions.get(access_key_id) is not None

    async def _authorize_unknown(self, call: Call) -> AuthDecision:
        if call.access_key_id:
            return _deny(AwsError(kind="unknown key", message="The security token included in the request is invalid."))
        bucket = call.parameters.get("Bucket", "")
        if bucket and call.action != "CreateBucket" and await self._policies.bucket_policy(bucket) is None:
            # S3 tells this to every caller. Not forwarded: moto also selects services by the path prefix of unsigned calls.
            return _deny(AwsError(kind="no bucket", message="The specified bucket does not exist"))
        return await self._evaluate(call, Principal(), IamRole(), datetime.datetime.now(datetime.UTC), instance_id="")

    async def _authorize_session(self, call: Call, session: RoleSession, now: datetime.datetime) -> AuthDecision:
        role = await self._policies.role(session.principal.role_arn)
        if role.id != session.principal.user_id.partition(":")[0]:  # deleted, or replaced by another of the same name
            return _deny(AwsError(kind="unknown key", message="The security token included in the request is invalid."))
        principal = replace(session.principal, tags=role.tags)
        return await self._evaluate(call, principal, role, now, instance_id=session.instance_id)

    async def _evaluate(self, call: Call, principal: Principal, role: IamRole, now: datetime.datetime, *, instance_id: str) -> AuthDecision:
        partition = principal.session_arn.split(":")[1] if principal.session_arn else "aws"
        place = ArnScope(partition=partition, region=call.region, account=principal.account)
        facts = _request_context(call, principal, now)
        gateway = None
        if call.service == "s3":
            gateway, network = await self._s3_endpoint_context(call)
            facts |= network
        endpoint = gateway.statements if gateway is not None else None
        if instance_id:
            facts["ec2:sourceinstancearn"] = (place.arn("ec2", f"instance/{instance_id}"),)
        try:
            needed = await required_permissions.permissions_for(call, place, self._policies)
        except UnknownCallError as error:
            return _deny(AwsError(message=f"The lab does not know which permissions {error} needs, so it refuses the call."))
        for need in needed:
            against = await self._deny_reason(need, principal, role, await self._with_resource_context(need, call.region, facts), endpoint)
            if against is not None:
                return _deny(AwsError(message=against))
        if call.service == "ec2" and call.parameters.get("DryRun", "").lower() == "true":
            return _deny(AwsError(kind="would succeed", message="Request would have succeeded, but DryRun flag is set."))
        if call.service == "s3" and call.action in s3_permissions.OBJECT_READS:
            against = await self._deny_reason(s3_permissions.list_bucket_permission(call, partition), principal, role, facts, endpoint)
            return AuthDecision(not_found_error=AwsError(message=against) if against is not None else None)
        return AuthDecision()

    async def _deny_reason(
        self,
        permission: RequiredPermission,
        principal: Principal,
        role: IamRole,
        context: dict[str, tuple[str, ...]],
        endpoint: Sequence[Statement] | None,
    ) -> str | None:
        resource = await self._resource_policy(permission)
        policies = ApplicablePolicies(identity=role.identity, boundary=role.boundary, endpoint=endpoint, resource=resource)
        beginnings = (
            *permission.supported_prefixes,
            *(RESOURCE_TAG_KEYS if permission.tags_of else ()),
            *((SUBNET_KEY,) if permission.subnet_of else ()),
        )
        ask = AuthorizationRequest(
            action=permission.action,
            resource=permission.resource,
            context=RequestContext(values={**context, **permission.context}, supported_prefixes=beginnings),
        )
        against = deny_reason(ask, principal, policies)
        if self._listener is not None:
            self._listener(ask, principal, against is None)
        return against

    async def _with_resource_context(
        self, permission: RequiredPermission, region: str, context: dict[str, tuple[str, ...]]
    ) -> dict[str, tuple[str, ...]]:
        """Returns the context with the condition keys of the permission's resource in its current state."""
        if permission.subnet_of and (subnet := await self._policies.subnet_of(region, permission.subnet_of)):
            context = {**context, SUBNET_KEY: (subnet,)}
        if permission.tags_of:
            return {**context, **resource_tag_context(await self._policies.tags(region, permission.tags_of))}
        if permission.boundary_of:
            boundary = (await self._policies.role(permission.boundary_of)).boundary_arn
            return {**context, "iam:permissionsboundary": (boundary,)} if boundary else context
        return context

    async def _resource_policy(self, permission: RequiredPermission) -> Sequence[Statement] | None:
        match permission.policy_owner:
            case None:
                return None
            case ("bucket", name):
                return await self._policies.bucket_policy(name) or ()
            case ("secret", arn):
                return await self._policies.secret_policy(arn)
            case ("role", arn):
                return (await self._policies.role(arn)).trust

    async def _s3_endpoint_context(self, call: Call) -> tuple[GatewayEndpoint | None, dict[str, tuple[str, ...]]]:
        """Returns the S3 gateway endpoint that the call came through, and the condition keys that AWS then has for its network."""
        facts = await self._inventory.instance_at(call.caller)
        subnet = facts.subnet.get("SubnetId", "") if facts is not None and facts.subnet else ""
        inside = facts is not None and subnet and facts.region == call.region
        gateway = await self._policies.gateway_endpoint(facts.region, subnet) if facts is not None and inside else None
        if gateway is None:
            return None, {"aws:sourcevpce": (), "aws:sourcevpc": (), "aws:vpcsourceip": ()}
        network = {"aws:sourcevpce": (gateway.id,), "aws:sourcevpc": (gateway.vpc_id,), "aws:vpcsourceip": (call.caller,)}
        return gateway, {**network, "aws:sourceip": ()}


def _signature_error(call: Call, secret: str, token: str | None, now: datetime.datetime) -> AwsError | None:
    try:
        verify_signature(call.http, secret=secret, token=token, s3=call.service == "s3", now=now)
    except ClockSkewError as error:
        return AwsError(kind="bad time", message=str(error))
    except SignatureError as error:
        return AwsError(kind="bad signature", message=str(error))
    return None


def _authentication_error(call: Call, session: RoleSession, now: datetime.datetime) -> AwsError | None:
    false = _signature_error(call, session.secret, session.token, now)
    if false is not None:
        return false
    if session.expires <= now:
        message = "Request has expired." if call.service == "ec2" else "The security token included in the request is expired"
        return AwsError(kind="expired", message=message)
    return None


def _request_context(call: Call, principal: Principal, now: datetime.datetime) -> dict[str, tuple[str, ...]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""
    headers = call.http.headers
    facts = {
        "aws:currenttime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:principalisawsservice": "false",
        "aws:requestedregion": call.region,
        "aws:securetransport": str(call.http.secure).lower(),
        "aws:viaawsservice": "false",
        "aws:useragent": headers.get("User-Agent", ""),
        "aws:referer": headers.get("Referer", ""),
        "aws:principaltype": "Anonymous" if principal.anonymous else "AssumedRole",
        "aws:principalaccount": principal.account,
        "aws:principalarn": principal.role_arn,
        "aws:userid": principal.user_id,
    }
    tags = {f"aws:principaltag/{key.lower()}": (value,) for key, value in principal.tags.items()}
    return {**{key: (value,) for key, value in facts.items() if value}, **tags}


def _is_local(call: Call) -> bool:
    return ipaddress.ip_address(call.caller).is_loopback if call.caller else False


def _deny(refused: AwsError) -> AuthDecision:
    return AuthDecision(error=refused)
