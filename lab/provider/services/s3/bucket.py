"""S3 buckets, and the policy, ownership and public access of one."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient, ApiError
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, policy_json, tag_list, tag_map
from lab.provider.naming import prefixed_unique_id
from lab.provider.rules.model import TypeRules, Violation, as_list, name_set
from lab.provider.rules.validators import length, one_of, policy

ACCESS_BLOCK_PARAMS: Final = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}
_DEFAULT_REGION: Final = "us-east-1"


_INLINE_SETTINGS: Final = (
    "acl", "accelerationStatus", "corsRules", "grants", "lifecycleRules", "logging", "objectLockConfiguration", "policy",
    "replicationConfiguration", "requestPayer", "serverSideEncryptionConfiguration", "versioning", "website",
)  # fmt: skip


def bucket_name(value: Any) -> str | None:
    """The naming rules of general purpose buckets."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        return f"expected 3 to 63 lower-case letters, digits, dots and hyphens, with a letter or digit at both ends; got {value!r}"
    if ".." in value or ".-" in value or "-." in value:
        return "dots must stand between letters or digits"
    if value.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or value.endswith(("-s3alias", "--ol-s3", "--x-s3", ".mrap")):
        return f"{value!r} begins or ends with what S3 keeps for itself"
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return None
    return "must not look like an IP address"


def _bucket_violations(props: dict[str, Any]) -> Iterator[Violation]:
    for name in _INLINE_SETTINGS:
        if name in props:
            yield Violation(name, "deprecated on the bucket, and not implemented by the lab's provider: use the resource of its own")


class Bucket(Handler):
    """`aws.s3.Bucket`; its id is its name."""

    label = "S3 Bucket"
    rules = TypeRules(
        unsupported=name_set("bucketNamespace objectLockEnabled"),
        checks={"bucket": bucket_name, "bucketPrefix": length(1, 37)},
        cross_check=_bucket_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        name = str(news.get("bucket") or prefixed_unique_id(str(news.get("bucketPrefix") or "pulumi-")))
        place = None if client.region == _DEFAULT_REGION else {"LocationConstraint": client.region}
        client.call(
            "s3.create_bucket", Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=news.get("objectLockEnabled")
        )
        return name

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        self._tag(client, identifier, news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        del state
        if client.find("s3.head_bucket", Bucket=identifier) is None:
            return None
        region = client.call("s3.get_bucket_location", Bucket=identifier).get("LocationConstraint") or _DEFAULT_REGION
        tags = client.find("s3.get_bucket_tagging", Bucket=identifier) or {}
        return {
            "arn": f"arn:aws:s3:::{identifier}",
            "bucket": identifier,
            "bucketDomainName": f"{identifier}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{identifier}.s3.{region}.amazonaws.com",
            "bucketRegion": region,
            "region": region,
            "tagsAll": tag_map(tags.get("TagSet")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if changed & {"tags", "tagsAll"}:
            self._tag(client, identifier, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        if state.get("forceDestroy") and client.find("s3.head_bucket", Bucket=identifier) is not None:
            delete_versions(client, identifier)
        ignore_missing(lambda: client.call("s3.delete_bucket", Bucket=identifier))

    def _tag(self, client: ApiClient, bucket: str, news: Props) -> None:
        tags = tag_list(news.get("tagsAll"))
        if tags:
            client.call("s3.put_bucket_tagging", Bucket=bucket, Tagging={"TagSet": tags})
        else:
            client.call("s3.delete_bucket_tagging", Bucket=bucket)


def delete_versions(client: ApiClient, bucket: str, key: str | None = None) -> None:
    """Delete every version and delete marker, of one key or of all."""
    while True:
        found = client.call("s3.list_object_versions", Bucket=bucket, Prefix=key)
        versions = [*as_list(found.get("Versions")), *as_list(found.get("DeleteMarkers"))]
        wanted = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in versions if key in (None, item["Key"])]
        if not wanted:
            return
        answer = client.call("s3.delete_objects", Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})
        for error in as_list(answer.get("Errors")):
            raise client.api_error("s3.delete_objects", error["Code"], f"{error['Key']}: {error['Message']}")


class BucketPublicAccessBlock(Handler):
    """`aws.s3.BucketPublicAccessBlock`."""

    label = "S3 Bucket Public Access Block"

    def create(self, client: ApiClient, news: Props) -> str:
        self.update(client, news["bucket"], {}, news, frozenset())
        return str(news["bucket"])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.find("s3.get_public_access_block", Bucket=identifier)
        if found is None:
            return None
        live = found["PublicAccessBlockConfiguration"]
        return {"bucket": identifier, **{name: bool(live.get(key)) for name, key in ACCESS_BLOCK_PARAMS.items()}}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        wanted = {key: bool(news.get(name)) for name, key in ACCESS_BLOCK_PARAMS.items()}
        client.call("s3.put_public_access_block", Bucket=identifier, PublicAccessBlockConfiguration=wanted)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        if not state.get("skipDestroy"):
            ignore_missing(lambda: client.call("s3.delete_public_access_block", Bucket=identifier))


class BucketPolicy(Handler):
    """`aws.s3.BucketPolicy`."""

    label = "S3 Bucket Policy"
    rules = TypeRules(
        checks={"policy": policy(20480, principal=True)},
    )

    def create(self, client: ApiClient, news: Props) -> str:
        self.update(client, news["bucket"], {}, news, frozenset())
        return str(news["bucket"])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.find("s3.get_bucket_policy", Bucket=identifier)
        return None if found is None else {"bucket": identifier, "policy": found["Policy"]}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        policy = policy_json(news["policy"])
        if problem := _policy_error(client, identifier, policy):
            raise problem
        client.call("s3.put_bucket_policy", Bucket=identifier, Policy=policy)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        ignore_missing(lambda: client.call("s3.delete_bucket_policy", Bucket=identifier))


def _policy_error(client: ApiClient, bucket: str, policy: str) -> ApiError | None:
    """What S3 checks of a policy and moto does not: foreign resources, public access that is blocked."""
    statements = cast("dict[str, Any]", json.loads(policy))["Statement"]
    own = f"arn:aws:s3:::{bucket}"
    found = client.find("s3.get_public_access_block", Bucket=bucket) or {}
    blocked = found.get("PublicAccessBlockConfiguration", {}).get("BlockPublicPolicy")
    for statement in as_list(statements) or [statements]:
        for resource in as_list(statement.get("Resource")) or [statement.get("Resource")]:
            if resource is not None and resource != own and not str(resource).startswith(f"{own}/"):
                return client.api_error("s3.put_bucket_policy", "MalformedPolicy", f"Policy has invalid resource: {resource}")
        public = statement.get("Principal") in ("*", {"AWS": "*"}) and not statement.get("Condition")
        if blocked and public and statement.get("Effect") == "Allow":
            message = "User is not authorized: public policies are blocked by the BlockPublicPolicy block public access setting."
            return client.api_error("s3.put_bucket_policy", "AccessDenied", message)
    return None


class BucketOwnershipControls(Handler):
    """`aws.s3.BucketOwnershipControls`."""

    label = "S3 Bucket Ownership Controls"
    rules = TypeRules(
        checks={"rule.objectOwnership": one_of("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")},
    )

    def create(self, client: ApiClient, news: Props) -> str:
        self.update(client, news["bucket"], {}, news, frozenset())
        return str(news["bucket"])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.find("s3.get_bucket_ownership_controls", Bucket=identifier)
        if found is None:
            return None
        rule = found["OwnershipControls"]["Rules"][0]
        return {"bucket": identifier, "rule": {"objectOwnership": rule["ObjectOwnership"]}}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        rules = {"Rules": [{"ObjectOwnership": news["rule"]["objectOwnership"]}]}
        client.call("s3.put_bucket_ownership_controls", Bucket=identifier, OwnershipControls=rules)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        ignore_missing(lambda: client.call("s3.delete_bucket_ownership_controls", Bucket=identifier), "OwnershipControlsNotFoundError")
