"""The policies in force, read from the API when a call first needs them and kept until a call changes something that they hang on.

AWS takes seconds to apply a change of IAM everywhere; here it is in force with the next call.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from urllib.parse import unquote

from botocore.exceptions import ClientError

from lab.cloud.iam.statements import Statement, parse_policy
from lab.cloud.inventory import MotoClients

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

T = TypeVar("T")
CacheGroup = Literal["iam", "bucket", "secret", "endpoint", "tags"]

_NOT_FOUND_CODES = frozenset({"NoSuchEntity", "NoSuchBucket", "NoSuchBucketPolicy", "ResourceNotFoundException", "404"})
"""The last is moto's for a path that it serves itself, such as /favicon.ico."""
_BUCKET_NAME = re.compile(r"[a-zA-Z0-9._-]{1,255}")
"""What a bucket can be called, old ones too (`VALID_BUCKET` in botocore's handlers.py). botocore takes an access point's ARN besides,
which is no bucket of this API."""


@dataclass(frozen=True, kw_only=True)
class IamRole:
    """What IAM says of a role."""

    id: str = ""
    """Its unique id; empty for a role that is gone, which may do nothing."""
    identity: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    boundary_arn: str = ""
    """Empty where it has none."""
    trust: Sequence[Statement] = ()
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class GatewayEndpoint:
    """A VPC's gateway endpoint for S3."""

    id: str
    vpc_id: str
    statements: Sequence[Statement]


class PolicyStore:
    """Reads policies by clients of the moto server. A policy that is no JSON of the known form raises ValueError."""

    def __init__(self, clients: MotoClients) -> None:
        self._clients = clients
        self._cache: dict[CacheGroup, dict[object, object]] = {"iam": {}, "bucket": {}, "secret": {}, "endpoint": {}, "tags": {}}

    def invalidate(self, service: str, action: str) -> None:
        """To be called after every call that may have changed something."""
        topic = _cache_group(service, action)
        if topic is not None:
            self._cache[topic] = {}

    async def role(self, arn: str) -> IamRole:
        """A role's policies and trust."""
        return await self._cached("iam", ("role", arn), lambda: self._role(arn))

    async def profile_role_arn(self, name: str) -> str | None:
        """The ARN of the role in an instance profile."""
        return await self._cached("iam", ("profile", name), lambda: self._profile_role_arn(name))

    async def bucket_policy(self, name: str) -> Sequence[Statement] | None:
        """A bucket's policy, empty without one; None where there is no such bucket."""
        return await self._cached("bucket", name, lambda: self._bucket_policy(name))

    async def secret_arn(self, region: str, secret_id: str) -> str | None:
        """A secret's ARN by its name or ARN."""
        return await self._cached("secret", ("arn", region, secret_id), lambda: self._secret_arn(region, secret_id))

    async def secret_policy(self, arn: str) -> Sequence[Statement]:
        """A secret's own policy, empty without one."""
        return await self._cached("secret", ("policy", arn), lambda: self._secret_policy(arn))

    async def gateway_endpoint(self, region: str, subnet_id: str) -> GatewayEndpoint | None:
        """The gateway by which a subnet reaches S3; None where it has none."""
        return await self._cached("endpoint", (region, subnet_id), lambda: self._gateway_endpoint(region, subnet_id))

    async def tags(self, region: str, identifier: str) -> Mapping[str, str]:
        """The tags of an EC2 resource; empty where it has none, or is not there."""
        return await self._cached("tags", (region, identifier), lambda: self._tags(region, identifier))

    async def subnet_of(self, region: str, interface_id: str) -> str:
        """The ARN of a network interface's subnet; empty where there is no such interface. An interface keeps its subnet."""
        return await self._cached("endpoint", ("interface", region, interface_id), lambda: self._subnet_of(region, interface_id))

    async def associated_ids(self, region: str, association: str) -> list[str]:
        """The ids of what an association joins."""
        return await asyncio.to_thread(self._associated_ids, region, association)

    async def _cached(self, topic: CacheGroup, key: object, load: Callable[[], T]) -> T:
        kept = self._cache[topic]
        if key not in kept:
            # A change while it is read replaces the whole folder: what was read is then kept in the old one, which nobody opens again.
            kept[key] = await asyncio.to_thread(load)
        return cast("T", kept[key])

    def _role(self, arn: str) -> IamRole:
        iam = self._clients.iam
        name = arn.rpartition("/")[2]
        try:
            role = iam.get_role(RoleName=name)["Role"]
            documents: list[Any] = [
                iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                for page in iam.get_paginator("list_role_policies").paginate(RoleName=name)
                for policy in page["PolicyNames"]
            ]
            documents += [
                self._managed_policy_document(policy.get("PolicyArn", ""))
                for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
                for policy in page["AttachedPolicies"]
            ]
            boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
            return IamRole(
                id=role["RoleId"] if role["Arn"] == arn else "",
                identity=[statement for document in documents for statement in _parse(document)],
                boundary=_parse(self._managed_policy_document(boundary)) if boundary else None,
                boundary_arn=boundary or "",
                trust=_parse(role.get("AssumeRolePolicyDocument", {})),
                tags={tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
            )
        except ClientError as error:
            _not_found_code(error)
            return IamRole()

    def _managed_policy_document(self, arn: str) -> Any:
        version = self._clients.iam.get_policy(PolicyArn=arn)["Policy"].get("DefaultVersionId", "")
        return self._clients.iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"].get("Document", {})

    def _profile_role_arn(self, name: str) -> str | None:
        try:
            roles = self._clients.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
        except ClientError as error:
            _not_found_code(error)
            return None
        return roles[0]["Arn"] if roles else None

    def _bucket_policy(self, name: str) -> Sequence[Statement] | None:
        if not _BUCKET_NAME.fullmatch(name):
            return None
        try:
            return _parse(self._clients.s3.get_bucket_policy(Bucket=name)["Policy"])
        except ClientError as error:
            return () if _not_found_code(error) == "NoSuchBucketPolicy" else None

    def _secret_arn(self, region: str, secret_id: str) -> str | None:
        try:
            return self._clients.secrets(region).describe_secret(SecretId=secret_id)["ARN"]
        except ClientError as error:
            _not_found_code(error)
            return None

    def _secret_policy(self, arn: str) -> Sequence[Statement]:
        try:
            document = self._clients.secrets(arn.split(":")[3]).get_resource_policy(SecretId=arn).get("ResourcePolicy")
        except ClientError as error:
            _not_found_code(error)
            return ()
        return _parse(document) if document else ()

    def _tags(self, region: str, identifier: str) -> Mapping[str, str]:
        found = self._clients.ec2(region).describe_tags(Filters=[{"Name": "resource-id", "Values": [identifier]}])["Tags"]
        return {tag.get("Key", ""): tag.get("Value", "") for tag in found}

    def _subnet_of(self, region: str, interface_id: str) -> str:
        filters: list[FilterTypeDef] = [{"Name": "network-interface-id", "Values": [interface_id]}]
        ec2 = self._clients.ec2(region)
        for interface in ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]:
            for subnet in ec2.describe_subnets(SubnetIds=[interface.get("SubnetId", "")])["Subnets"]:
                return subnet.get("SubnetArn", "")
        return ""

    def _associated_ids(self, region: str, association: str) -> list[str]:
        if association.startswith("eipassoc-"):
            addresses = self._clients.ec2(region).describe_addresses(Filters=[{"Name": "association-id", "Values": [association]}])
            return [end for one in addresses["Addresses"] for end in (one.get("AllocationId"), one.get("NetworkInterfaceId")) if end]
        name = "association.route-table-association-id"
        answer = self._clients.ec2(region).describe_route_tables(Filters=[{"Name": name, "Values": [association]}])
        for table in answer["RouteTables"]:
            for one in table.get("Associations", []):
                if one.get("RouteTableAssociationId") == association:
                    ends = (one.get("RouteTableId"), one.get("SubnetId"), one.get("GatewayId"))
                    return [end for end in ends if end]
        return []

    def _gateway_endpoint(self, region: str, subnet_id: str) -> GatewayEndpoint | None:
        ec2 = self._clients.ec2(region)
        tables = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet_id]}])["RouteTables"]
        used = {table.get("RouteTableId", "") for table in tables}
        for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
            if endpoint.get("ServiceName", "").endswith(".s3") and used & set(endpoint.get("RouteTableIds", [])):
                return GatewayEndpoint(
                    id=endpoint.get("VpcEndpointId", ""),
                    vpc_id=endpoint.get("VpcId", ""),
                    statements=_parse(endpoint.get("PolicyDocument") or _ALLOW_ALL),
                )
        return None


_ALLOW_ALL: Mapping[str, Any] = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
"""What an endpoint without a policy of its own has."""


def _cache_group(service: str, action: str) -> CacheGroup | None:
    if service == "iam":
        return "iam"
    if service == "s3" and "Bucket" in action:
        return "bucket"
    if service == "secretsmanager":
        return "secret"
    if service == "ec2" and action in {"CreateTags", "DeleteTags"}:
        return "tags"
    if service == "ec2" and any(word in action for word in ("Route", "VpcEndpoint", "Subnet")):
        return "endpoint"
    return None


def _parse(document: Any) -> Sequence[Statement]:
    """The API gives a policy as an object or as text, which may be quoted as in a URL."""
    if isinstance(document, str):
        document = json.loads(document if document.lstrip().startswith("{") else unquote(document))
    return parse_policy(cast("Mapping[str, Any]", document))


def _not_found_code(error: ClientError) -> str:
    """The error's code, if it says that the thing is not there; raises it otherwise."""
    code = error.response.get("Error", {}).get("Code", "")
    if code not in _NOT_FOUND_CODES:
        raise error
    return code
