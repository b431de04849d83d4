"""The emulated account, as the audit asks it: names that stay the same from run to run, and every policy in it."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import unquote

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from audit.findings import ACCOUNT

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

REGION: Final = "eu-central-1"

Document = dict[str, Any]

_RANDOM_END: Final = re.compile(r"-[0-9a-f]{7}$")
"""What the engine puts behind the names that it makes."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One policy. `owner` says whose: `role web`, `bucket artifacts`."""

    kind: Literal["identity", "trust", "resource"]
    owner: str
    document: Document


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account behind an API's endpoint, with one stack in it."""

    endpoint: str
    stack: str

    def stable_name(self, identifier: str, display_name: str = "") -> str:
        """A thing's name that is the same at the next run and for every stack: without the stack's name and the engine's random end.

        `identifier` is its id or ARN; `shown` is what else it is called, taken where the account has no name for it.
        """
        token = re.split(r"[:/]", identifier)[-1]
        if token in self._name_tags:
            return self._strip_generated(self._name_tags[token])
        if token in self._network_acls:
            return f"network ACL of {self.stable_name(self._network_acls[token])}"
        if token in self._default_network:
            return "default VPC"
        if display_name == self.account_id or (not display_name and identifier == self.account_id):
            return ACCOUNT
        return self._strip_generated(display_name or token)

    def policies(self) -> list[Policy]:
        """Every policy of the account: identities', roles' trust, buckets', secrets', endpoints', keys' and log groups'."""
        return [*self._identity_policies(), *self._resource_policies()]

    @cached_property
    def account_id(self) -> str:
        """The account's twelve digits."""
        return str(self._client("sts").get_caller_identity()["Account"])

    @cached_property
    def authorization(self) -> Document:
        """IAM's own description of all identities and their policies, as `aws iam get-account-authorization-details` writes it."""
        kinds = ["User", "Role", "Group", "LocalManagedPolicy"]
        pages = self._client("iam").get_paginator("get_account_authorization_details").paginate(Filter=kinds)
        found: Document = {}
        for page in pages:
            for key in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
                found.setdefault(key, []).extend(page[key])
        return cast("Document", json.loads(json.dumps(found, default=str)))

    def _identity_policies(self) -> list[Policy]:
        found: list[Policy] = []
        for kind in ("Role", "User", "Group"):
            for one in self.authorization[f"{kind}DetailList"]:
                of = f"{kind.lower()} {self._strip_generated(one[f'{kind}Name'])}"
                inline: list[Document] = one.get(f"{kind}PolicyList", [])
                found += [Policy(kind="identity", owner=of, document=_document(policy["PolicyDocument"])) for policy in inline]
                if "AssumeRolePolicyDocument" in one:
                    found.append(Policy(kind="trust", owner=of, document=_document(one["AssumeRolePolicyDocument"])))
        for managed in self.authorization["Policies"]:
            (used,) = [version for version in managed["PolicyVersionList"] if version["IsDefaultVersion"]]
            found.append(
                Policy(
                    kind="identity", owner=f"policy {self._strip_generated(managed['PolicyName'])}", document=_document(used["Document"])
                )
            )
        return found

    def _resource_policies(self) -> list[Policy]:
        texts: list[tuple[str, str]] = []
        s3 = self._client("s3", config=Config(s3={"addressing_style": "path"}))
        for bucket in s3.list_buckets()["Buckets"]:
            try:
                texts.append((f"bucket {self._strip_generated(bucket['Name'])}", s3.get_bucket_policy(Bucket=bucket["Name"])["Policy"]))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NoSuchBucketPolicy":
                    raise
        secrets = self._client("secretsmanager")
        for page in secrets.get_paginator("list_secrets").paginate():
            for secret in page["SecretList"]:
                text = secrets.get_resource_policy(SecretId=secret["ARN"]).get("ResourcePolicy")
                texts += [(f"secret {self._strip_generated(secret['Name'])}", text)] if text else []
        for endpoint in self._ec2.describe_vpc_endpoints()["VpcEndpoints"]:
            texts.append((f"endpoint {self.stable_name(endpoint.get('VpcEndpointId', ''))}", endpoint.get("PolicyDocument", "")))
        kms = self._client("kms")
        for key in kms.list_keys()["Keys"]:
            described = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            text = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]
            texts.append((f"key {described.get('Description') or key['KeyId']}", text))
        for policy in self._client("logs").describe_resource_policies()["resourcePolicies"]:
            texts.append((f"logs {policy['policyName']}", policy["policyDocument"]))
        return [Policy(kind="resource", owner=of, document=_document(text)) for of, text in texts]

    def _strip_generated(self, name: str) -> str:
        return _RANDOM_END.sub("", name).removeprefix(f"{self.stack}-").replace(f"/{self.stack}/", "/")

    @cached_property
    def _name_tags(self) -> dict[str, str]:
        """The `Name` tag of everything that EC2 tags, by id; addresses by their text as well."""
        pages = self._ec2.get_paginator("describe_tags").paginate(Filters=[{"Name": "key", "Values": ["Name"]}])
        return {tag.get("ResourceId", ""): tag.get("Value", "") for page in pages for tag in page["Tags"]}

    @cached_property
    def _network_acls(self) -> dict[str, str]:
        """The VPC of every network ACL: AWS makes one with each, which nobody names."""
        found = self._ec2.describe_network_acls()["NetworkAcls"]
        return {one.get("NetworkAclId", ""): one.get("VpcId", "") for one in found}

    @cached_property
    def _default_network(self) -> set[str]:
        """The ids of what is in the region's default VPC, which every account has."""
        vpcs = [vpc.get("VpcId", "") for vpc in self._ec2.describe_vpcs()["Vpcs"] if vpc.get("IsDefault")]
        subnets = [subnet.get("SubnetId", "") for subnet in self._ec2.describe_subnets()["Subnets"] if subnet.get("VpcId") in vpcs]
        groups = [
            group.get("GroupId", "") for group in self._ec2.describe_security_groups()["SecurityGroups"] if group.get("VpcId") in vpcs
        ]
        return {*vpcs, *subnets, *groups}

    @cached_property
    def _ec2(self) -> "EC2Client":
        return self._client("ec2")

    def _client(self, service: Any, **more: Any) -> Any:
        session: Any = boto3.Session(aws_access_key_id="audit", aws_secret_access_key="audit", region_name=REGION)  # noqa: S106
        return session.client(service, endpoint_url=self.endpoint, **more)


def _document(policy: Any) -> Document:
    """A policy; the API gives it as an object, as text, or as quoted text."""
    read: Document = json.loads(unquote(policy) if policy.startswith("%") else policy) if isinstance(policy, str) else dict(policy)
    return read
