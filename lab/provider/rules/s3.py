"""Rules of S3 buckets, their settings and objects."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.provider.rules.model import TypeRules, Violation, as_dict, as_list, indexed_dicts, name_set
from lab.provider.rules.validators import all_of, arn, base64_text, length, matches, one_of, policy

_INLINE: Final = (
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


def _bucket(props: dict[str, Any]) -> Iterator[Violation]:
    for name in _INLINE:
        if name in props:
            yield Violation(name, "deprecated on the bucket, and not implemented by the lab's provider: use the resource of its own")


def _encryption(props: dict[str, Any]) -> Iterator[Violation]:
    given = len(as_list(props.get("rules")))
    if isinstance(props.get("rules"), list) and given != 1:
        yield Violation("rules", f"expected exactly one rule; got {given}")


def _object(props: dict[str, Any]) -> Iterator[Violation]:
    for key in as_dict(props.get("metadata")):
        if key != key.lower():
            yield Violation(f"metadata.{key}", "metadata keys must be lower-case")


def _lifecycle(props: dict[str, Any]) -> Iterator[Violation]:
    if not props.get("rules"):
        yield Violation("rules", "at least one rule must be given")
        return
    actions = ("expiration", "noncurrentVersionExpiration", "transitions", "noncurrentVersionTransitions", "abortIncompleteMultipartUpload")
    for index, rule in indexed_dicts(props.get("rules")):
        if not any(rule.get(action) for action in actions):
            yield Violation(f"rules[{index}]", f"at least one action must be given: {', '.join(actions)}")


def _validate_versioning_change(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str | None:
    """`CustomizeDiff` in terraform-provider-aws, internal/service/s3/bucket_versioning.go."""
    before = as_dict(olds.get("versioningConfiguration")).get("status")
    if before in ("Enabled", "Suspended") and as_dict(news.get("versioningConfiguration")).get("status") == "Disabled":
        return f"versioningConfiguration.status cannot be updated from {before!r} to 'Disabled'; give 'Suspended'"
    return None


RULES: Final[dict[str, TypeRules]] = {
    "aws:s3/bucket:Bucket": TypeRules(
        unsupported=name_set("bucketNamespace objectLockEnabled"),
        checks={"bucket": bucket_name, "bucketPrefix": length(1, 37)},
        cross_check=_bucket,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": TypeRules(
        checks={"versioningConfiguration.status": one_of("Enabled", "Suspended", "Disabled")},
        validate_change=_validate_versioning_change,
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": TypeRules(),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": TypeRules(
        checks={"rules[].applyServerSideEncryptionByDefault.sseAlgorithm": one_of("AES256", "aws:kms", "aws:kms:dsse")},
        cross_check=_encryption,
    ),
    "aws:s3/bucketPolicy:BucketPolicy": TypeRules(
        checks={"policy": policy(20480, principal=True)},
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": TypeRules(
        checks={"rule.objectOwnership": one_of("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")},
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": TypeRules(
        checks={"rules[].status": one_of("Enabled", "Disabled"), "rules[].id": length(1, 255)},
        cross_check=_lifecycle,
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": TypeRules(
        unsupported=name_set(
            "bucketKeyEnabled checksumAlgorithm objectLockLegalHoldStatus objectLockMode objectLockRetainUntilDate overrideProvider"
        ),
        checks={
            "bucket": length(1, 255),
            "key": all_of(length(1, 1024), matches(r"[^/][\s\S]*|", "a key that does not begin with /")),
            "contentBase64": base64_text,
            "kmsKeyId": arn,
            "serverSideEncryption": one_of("AES256", "aws:fsx", "aws:kms", "aws:kms:dsse"),
            "acl": one_of(
                "private",
                "public-read",
                "public-read-write",
                "aws-exec-read",
                "authenticated-read",
                "bucket-owner-read",
                "bucket-owner-full-control",
            ),
            "storageClass": one_of(
                "STANDARD",
                "REDUCED_REDUNDANCY",
                "STANDARD_IA",
                "ONEZONE_IA",
                "INTELLIGENT_TIERING",
                "GLACIER",
                "DEEP_ARCHIVE",
                "GLACIER_IR",
            ),
        },
        cross_check=_object,
    ),
}
