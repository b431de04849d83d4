"""S3 buckets, and the policy, ownership and public access of one."""

from __future__ import annotations

import json
from typing import Any, Final, cast

from lab.provider.cloud import Cloud, Refusal
from lab.provider.codec import Props
from lab.provider.naming import unique
from lab.provider.rules.model import listed
from lab.provider.services.base import Handler, quiet, tag_list, tag_map
from lab.provider.services.iam import text

BLOCKS: Final = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}
_HOME: Final = "us-east-1"


class Bucket(Handler):
    """`aws.s3.Bucket`; its id is its name."""

    kind = "aws:s3/bucket:Bucket"
    label = "S3 Bucket"

    def create(self, cloud: Cloud, news: Props) -> str:
        name = str(news.get("bucket") or unique(str(news.get("bucketPrefix") or "pulumi-")))
        place = None if cloud.region == _HOME else {"LocationConstraint": cloud.region}
        cloud.call(
            "s3.create_bucket", Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=news.get("objectLockEnabled")
        )
        return name

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        self._tag(cloud, identifier, news)

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        del state
        if cloud.find("s3.head_bucket", Bucket=identifier) is None:
            return None
        region = cloud.call("s3.get_bucket_location", Bucket=identifier).get("LocationConstraint") or _HOME
        tags = cloud.find("s3.get_bucket_tagging", Bucket=identifier) or {}
        return {
            "arn": f"arn:aws:s3:::{identifier}",
            "bucket": identifier,
            "bucketDomainName": f"{identifier}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{identifier}.s3.{region}.amazonaws.com",
            "bucketRegion": region,
            "region": region,
            "tagsAll": tag_map(tags.get("TagSet")),
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if changed & {"tags", "tagsAll"}:
            self._tag(cloud, identifier, news)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        if state.get("forceDestroy") and cloud.find("s3.head_bucket", Bucket=identifier) is not None:
            empty(cloud, identifier)
        quiet(lambda: cloud.call("s3.delete_bucket", Bucket=identifier))

    def _tag(self, cloud: Cloud, bucket: str, news: Props) -> None:
        tags = tag_list(news.get("tagsAll"))
        if tags:
            cloud.call("s3.put_bucket_tagging", Bucket=bucket, Tagging={"TagSet": tags})
        else:
            cloud.call("s3.delete_bucket_tagging", Bucket=bucket)


def empty(cloud: Cloud, bucket: str, key: str | None = None) -> None:
    """Delete every version and delete marker, of one key or of all."""
    while True:
        found = cloud.call("s3.list_object_versions", Bucket=bucket, Prefix=key)
        versions = [*listed(found.get("Versions")), *listed(found.get("DeleteMarkers"))]
        wanted = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in versions if key in (None, item["Key"])]
        if not wanted:
            return
        answer = cloud.call("s3.delete_objects", Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})
        for error in listed(answer.get("Errors")):
            raise cloud.refusal("s3.delete_objects", error["Code"], f"{error['Key']}: {error['Message']}")


class BucketPublicAccessBlock(Handler):
    """`aws.s3.BucketPublicAccessBlock`."""

    kind = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    label = "S3 Bucket Public Access Block"

    def create(self, cloud: Cloud, news: Props) -> str:
        self.update(cloud, news["bucket"], {}, news, frozenset())
        return str(news["bucket"])

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        found = cloud.find("s3.get_public_access_block", Bucket=identifier)
        if found is None:
            return None
        live = found["PublicAccessBlockConfiguration"]
        return {"bucket": identifier, **{name: bool(live.get(key)) for name, key in BLOCKS.items()}}

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        wanted = {key: bool(news.get(name)) for name, key in BLOCKS.items()}
        cloud.call("s3.put_public_access_block", Bucket=identifier, PublicAccessBlockConfiguration=wanted)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        if not state.get("skipDestroy"):
            quiet(lambda: cloud.call("s3.delete_public_access_block", Bucket=identifier))


class BucketPolicy(Handler):
    """`aws.s3.BucketPolicy`."""

    kind = "aws:s3/bucketPolicy:BucketPolicy"
    label = "S3 Bucket Policy"

    def create(self, cloud: Cloud, news: Props) -> str:
        self.update(cloud, news["bucket"], {}, news, frozenset())
        return str(news["bucket"])

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        found = cloud.find("s3.get_bucket_policy", Bucket=identifier)
        return None if found is None else {"bucket": identifier, "policy": found["Policy"]}

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        policy = text(news["policy"])
        if problem := _refused_policy(cloud, identifier, policy):
            raise problem
        cloud.call("s3.put_bucket_policy", Bucket=identifier, Policy=policy)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        quiet(lambda: cloud.call("s3.delete_bucket_policy", Bucket=identifier))


def _refused_policy(cloud: Cloud, bucket: str, policy: str) -> Refusal | None:
    """What S3 checks of a policy and moto does not: foreign resources, public access that is blocked."""
    statements = cast("dict[str, Any]", json.loads(policy))["Statement"]
    own = f"arn:aws:s3:::{bucket}"
    found = cloud.find("s3.get_public_access_block", Bucket=bucket) or {}
    blocked = found.get("PublicAccessBlockConfiguration", {}).get("BlockPublicPolicy")
    for statement in listed(statements) or [statements]:
        for resource in listed(statement.get("Resource")) or [statement.get("Resource")]:
            if resource is not None and resource != own and not str(resource).startswith(f"{own}/"):
                return cloud.refusal("s3.put_bucket_policy", "MalformedPolicy", f"Policy has invalid resource: {resource}")
        public = statement.get("Principal") in ("*", {"AWS": "*"}) and not statement.get("Condition")
        if blocked and public and statement.get("Effect") == "Allow":
            message = "User is not authorized: public policies are blocked by the BlockPublicPolicy block public access setting."
            return cloud.refusal("s3.put_bucket_policy", "AccessDenied", message)
    return None


class BucketOwnershipControls(Handler):
    """`aws.s3.BucketOwnershipControls`."""

    kind = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    label = "S3 Bucket Ownership Controls"

    def create(self, cloud: Cloud, news: Props) -> str:
        self.update(cloud, news["bucket"], {}, news, frozenset())
        return str(news["bucket"])

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        found = cloud.find("s3.get_bucket_ownership_controls", Bucket=identifier)
        if found is None:
            return None
        rule = found["OwnershipControls"]["Rules"][0]
        return {"bucket": identifier, "rule": {"objectOwnership": rule["ObjectOwnership"]}}

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        rules = {"Rules": [{"ObjectOwnership": news["rule"]["objectOwnership"]}]}
        cloud.call("s3.put_bucket_ownership_controls", Bucket=identifier, OwnershipControls=rules)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        quiet(lambda: cloud.call("s3.delete_bucket_ownership_controls", Bucket=identifier), "OwnershipControlsNotFoundError")
