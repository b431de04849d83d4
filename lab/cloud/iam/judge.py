"""Judges one call: who makes it, what it needs, what the policies say.

Whoever signs with the administrator's keys (`lab.keys`) may do everything. All others are judged, by the role whose session they sign for
or as nobody, wherever they call from: on this machine too, where every user and every program is at 127.0.0.1.
"""

import datetime
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import replace

from lab.cloud.calls import Call
from lab.cloud.denials import Refusal
from lab.cloud.front import Verdict
from lab.cloud.iam import asks, s3_asks
from lab.cloud.iam.asks import Place
from lab.cloud.iam.evaluation import Policies, refusal
from lab.cloud.iam.facts import Facts, Principal
from lab.cloud.iam.needs import RESOURCE_TAGS, SUBNET, Need, UnknownCallError, resource_tags
from lab.cloud.iam.policies import Gateway, PolicyStore, Role
from lab.cloud.iam.sessions import Session, Sessions
from lab.cloud.iam.signatures import SignatureError, TimeError, verify
from lab.cloud.iam.statements import Ask, Statement
from lab.cloud.iam.straight import straight
from lab.cloud.inventory import Inventory
from lab.keys import Keys

Listener = Callable[[Ask, Principal, bool], None]
"""Is told each ask that was judged, who asked, and whether it was allowed."""


class IamJudge:
    """Stands before the API server. `inventory` tells which subnet a caller is in; without `administrator` there is none."""

    def __init__(
        self,
        sessions: Sessions,
        policies: PolicyStore,
        inventory: Inventory,
        *,
        administrator: Keys | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._sessions = sessions
        self._policies = policies
        self._inventory = inventory
        self._administrator = administrator
        self._listener = listener

    async def __call__(self, call: Call) -> Verdict:
        """See `lab.cloud.front.Judge`."""
        now = datetime.datetime.now(datetime.UTC)
        keys = self._administrator
        if keys is not None and call.access_key_id == keys.access_key_id:
            false = _not_signed(call, keys.secret, None, now)
            return _no(false) if false is not None else Verdict()
        if not straight(call, here=_on_this_machine(call)):
            return _no(Refusal(message=f"{call.service}:{call.action} is not put as AWS's clients put it, so the lab refuses it."))
        session = await self._sessions.of(call.access_key_id) if call.access_key_id else None
        if session is None:
            return await self._nobody(call)
        false = _authenticate(call, session, now)
        return _no(false) if false is not None else await self._judge(call, session, now)

    async def _nobody(self, call: Call) -> Verdict:
        if call.access_key_id:
            return _no(Refusal(kind="unknown key", message="The security token included in the request is invalid."))
        bucket = call.parameters.get("Bucket", "")
        if bucket and call.action != "CreateBucket" and await self._policies.bucket(bucket) is None:
            # S3 says so to whoever asks. Not passed on: moto finds its services by the beginning of an unsigned call's path too.
            return _no(Refusal(kind="no bucket", message="The specified bucket does not exist"))
        return await self._weigh(call, Principal(), Role(), datetime.datetime.now(datetime.UTC), instance_id="")

    async def _judge(self, call: Call, session: Session, now: datetime.datetime) -> Verdict:
        role = await self._policies.role(session.principal.role_arn)
        if role.id != session.principal.user_id.partition(":")[0]:  # gone, or another one of its name
            return _no(Refusal(kind="unknown key", message="The security token included in the request is invalid."))
        principal = replace(session.principal, tags=role.tags)
        return await self._weigh(call, principal, role, now, instance_id=session.instance_id)

    async def _weigh(self, call: Call, principal: Principal, role: Role, now: datetime.datetime, *, instance_id: str) -> Verdict:
        partition = principal.session_arn.split(":")[1] if principal.session_arn else "aws"
        place = Place(partition=partition, region=call.region, account=principal.account)
        facts = _facts(call, principal, now)
        gateway = None
        if call.service == "s3":
            gateway, network = await self._way(call)
            facts |= network
        endpoint = gateway.statements if gateway is not None else None
        if instance_id:
            facts["ec2:sourceinstancearn"] = (place.arn("ec2", f"instance/{instance_id}"),)
        try:
            needed = await asks.needs(call, place, self._policies)
        except UnknownCallError as error:
            return _no(Refusal(message=f"The lab does not know which rights {error} needs, so it refuses the call."))
        for need in needed:
            against = await self._refusal(need, principal, role, await self._with_resource(need, call.region, facts), endpoint)
            if against is not None:
                return _no(Refusal(message=against))
        if call.service == "ec2" and call.parameters.get("DryRun", "").lower() == "true":
            return _no(Refusal(kind="would succeed", message="Request would have succeeded, but DryRun flag is set."))
        if call.service == "s3" and call.action in s3_asks.READS:
            against = await self._refusal(s3_asks.listing(call, partition), principal, role, facts, endpoint)
            return Verdict(if_missing=Refusal(message=against) if against is not None else None)
        return Verdict()

    async def _refusal(
        self, need: Need, principal: Principal, role: Role, facts: dict[str, tuple[str, ...]], endpoint: Sequence[Statement] | None
    ) -> str | None:
        resource = await self._own_policy(need)
        policies = Policies(identity=role.identity, boundary=role.boundary, endpoint=endpoint, resource=resource)
        beginnings = (*need.worked_out, *(RESOURCE_TAGS if need.tags_of else ()), *((SUBNET,) if need.subnet_of else ()))
        ask = Ask(action=need.action, resource=need.resource, facts=Facts(values={**facts, **need.facts}, beginnings=beginnings))
        against = refusal(ask, principal, policies)
        if self._listener is not None:
            self._listener(ask, principal, against is None)
        return against

    async def _with_resource(self, need: Need, region: str, facts: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """The facts with those of the resource that the need is about, as it is now."""
        if need.subnet_of and (subnet := await self._policies.subnet_of(region, need.subnet_of)):
            facts = {**facts, SUBNET: (subnet,)}
        if need.tags_of:
            return {**facts, **resource_tags(await self._policies.tags(region, need.tags_of))}
        if need.boundary_of:
            boundary = (await self._policies.role(need.boundary_of)).boundary_arn
            return {**facts, "iam:permissionsboundary": (boundary,)} if boundary else facts
        return facts

    async def _own_policy(self, need: Need) -> Sequence[Statement] | None:
        match need.owner:
            case None:
                return None
            case ("bucket", name):
                return await self._policies.bucket(name) or ()
            case ("secret", arn):
                return await self._policies.secret(arn)
            case ("role", arn):
                return (await self._policies.role(arn)).trust

    async def _way(self, call: Call) -> tuple[Gateway | None, dict[str, tuple[str, ...]]]:
        """The S3 gateway that the call has come through, and what AWS then knows of the network that it comes from."""
        facts = await self._inventory.instance_at(call.caller)
        subnet = facts.subnet.get("SubnetId", "") if facts is not None and facts.subnet else ""
        inside = facts is not None and subnet and facts.region == call.region
        gateway = await self._policies.gateway(facts.region, subnet) if facts is not None and inside else None
        if gateway is None:
            return None, {"aws:sourcevpce": (), "aws:sourcevpc": (), "aws:vpcsourceip": ()}
        network = {"aws:sourcevpce": (gateway.id,), "aws:sourcevpc": (gateway.vpc,), "aws:vpcsourceip": (call.caller,)}
        return gateway, {**network, "aws:sourceip": ()}


def _not_signed(call: Call, secret: str, token: str | None, now: datetime.datetime) -> Refusal | None:
    try:
        verify(call.message, secret=secret, token=token, s3=call.service == "s3", now=now)
    except TimeError as error:
        return Refusal(kind="bad time", message=str(error))
    except SignatureError as error:
        return Refusal(kind="bad signature", message=str(error))
    return None


def _authenticate(call: Call, session: Session, now: datetime.datetime) -> Refusal | None:
    false = _not_signed(call, session.secret, session.token, now)
    if false is not None:
        return false
    if session.expires <= now:
        message = "Request has expired." if call.service == "ec2" else "The security token included in the request is expired"
        return Refusal(kind="expired", message=message)
    return None


def _facts(call: Call, principal: Principal, now: datetime.datetime) -> dict[str, tuple[str, ...]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""
    headers = call.message.headers
    facts = {
        "aws:currenttime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:principalisawsservice": "false",
        "aws:requestedregion": call.region,
        "aws:securetransport": str(call.message.secure).lower(),
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


def _on_this_machine(call: Call) -> bool:
    return ipaddress.ip_address(call.caller).is_loopback if call.caller else False


def _no(refused: Refusal) -> Verdict:
    return Verdict(refusal=refused)
