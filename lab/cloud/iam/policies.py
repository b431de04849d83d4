"""The policies in force: read from the API when first needed, and cached until a call changes something that they depend on.

AWS takes seconds to apply a change of IAM everywhere; here it applies from the next call on.
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
"""The last is moto's code for a path that it serves itself, such as /favicon.ico."""
_BUCKET_NAME = re.compile(r"[a-zA-Z0-9._-]{1,255}")
"""Valid bucket names, including those of old buckets (`VALID_BUCKET` in botocore's handlers.py). botocore also accepts the ARNs of access
points, which this API does not have."""


@dataclass(frozen=True, kw_only=True)
class IamRole:
    """A role's data in IAM."""

    id: str = ""
    """Its unique id; empty for a deleted role, which may do nothing."""
    identity: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    boundary_arn: str = ""
    """Empty if it has none."""
    trust: Sequence[Statement] = ()
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class GatewayEndpoint:
    """A VPC's gateway endpoint for S3."""

    id: str
    vpc_id: str
    statements: Sequence[Statement]


class PolicyStore:
    """Reads policies from the moto server. Raises ValueError for a policy that is not valid JSON of the known form."""

    def __init__(self, clients: MotoClients) -> None:
        self._clients = clients
        self._cache: dict[CacheGroup, dict[object, object]] = {"iam": {}, "bucket": {}, "secret": {}, "endpoint": {}, "tags": {}}

    def invalidate(self, service: str, action: str) -> None:
        """Drops cached results that the call may have changed. Must be called after every call that may change something."""
        topic = _cache_group(service, action)
        if topic is not None:
            self._cache[topic] = {}

    async def role(self, arn: str) -> IamRole:
        """Returns a role's policies and trust policy."""
        return await self._cached("iam", ("role", arn), lambda: self._role(arn))

    async def profile_role_arn(self, name: str) -> str | None:
        """Returns the ARN of the role in an instance profile, or None if there is none."""
        return await self._cached("iam", ("profile", name), lambda: self._profile_role_arn(name))

    async def bucket_policy(self, name: str) -> Sequence[Statement] | None:
        """Returns a bucket's policy, empty if it has none; None if there is no such bucket."""
        return await self._cached("bucket", name, lambda: self._bucket_policy(name))

    async def secret_arn(self, region: str, secret_id: str) -> str | None:
        """Returns a secret's ARN by its name or ARN, or None if there is none."""
        return await self._cached("secret", ("arn", region, secret_id), lambda: self._secret_arn(region, secret_id))

    async def secret_policy(self, arn: str) -> Sequence[Statement]:
        """Returns a secret's own policy, empty if it has none."""
        return await self._cached("secret", ("policy", arn), lambda: self._secret_policy(arn))

    async def gateway_endpoint(self, region: str, subnet_id: str) -> GatewayEndpoint | None:
        """Returns the gateway endpoint through which a subnet reaches S3, or None if there is none."""
        return await self._cached("endpoint", (region, subnet_id), lambda: self._gateway_endpoint(region, subnet_id))

    async def tags(self, region: str, identifier: str) -> Mapping[str, str]:
        """Returns the tags of an EC2 resource; empty if it has none or does not exist."""
        return await self._cached("tags", (region, identifier), lambda: self._tags(region, identifier))

    async def subnet_of(self, region: str, interface_id: str) -> str:
        """Returns the ARN of a network interface's subnet, which never changes; empty if there is no such interface."""
        return await self._cached("endpoint", ("interface", region, interface_id), lambda: self._subnet_of(region, interface_id))

    async def associated_ids(self, region: str, association: str) -> list[str]:
        """Returns the ids of the resources that an association joins."""
        return await asyncio.to_thread(self._associated_ids, region, association)

    async def _cached(self, topic: CacheGroup, key: object, load: Callable[[], T]) -> T:
        kept = self._cache[topic]
        if key not in kept:
            # A change during the read replaces the whole cache: the result is then stored in the old one, which is no longer used.
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
"""The policy of an endpoint that was made without one."""


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
    """Parses a policy, which the API returns as an object or as text, possibly URL-encoded."""
    if isinstance(document, str):
        document = json.loads(document if document.lstrip().startswith("{") else unquote(document))
    return parse_policy(cast("Mapping[str, Any]", document))


def _not_found_code(error: ClientError) -> str:
    """Returns the error's code if it means that the resource does not exist; raises the error otherwise."""
    code = error.response.get("Error", {}).get("Code", "")
    if code not in _NOT_FOUND_CODES:
        raise error
    return code
