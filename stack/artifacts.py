"""The artifact bucket: bundles that hosts fetch, what hosts say of themselves, and who is primary."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
import pulumi_aws as aws

from stack.bundles import BuiltBundle
from stack.component import Component
from stack.environment import Environment
from userdata.variables import Bundle, Role

KEEP_OLD_DAYS: Final = 30


@dataclass(frozen=True, kw_only=True)
class ArtifactsArgs:
    """What the bucket holds. A bundle without a file is one that a preview did not build."""

    environment: Environment
    roles: dict[Role, BuiltBundle]
    app: BuiltBundle


@dataclass(frozen=True, kw_only=True)
class Published:
    """A bundle in the bucket."""

    bundle: Bundle
    resource: aws.s3.BucketObjectv2


class Artifacts(Component):
    """A private, versioned, encrypted bucket that answers by TLS only, with the bundles in it."""

    def __init__(self, name: str, args: ArtifactsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        environment = args.environment
        self._environment = environment
        resource = environment.resource("artifacts")
        self.bucket = aws.s3.Bucket(
            resource,
            force_destroy=not environment.protected,
            tags=environment.tags("artifacts", resource),
            opts=self.child(protect=environment.protected),
        )
        self.name = self.bucket.bucket
        self.arn = self.bucket.arn
        rules = self._rules(resource)
        self.roles = {role: self._publish(role.replace("_", "-"), bundle, rules) for role, bundle in args.roles.items()}
        self.app = self._publish("app", args.app, rules)
        self.register_outputs({"bucket": self.name})

    def needed_by(self, role: Role) -> list[pulumi.Resource]:
        """What must exist before a host of that role boots: the bundles that it fetches."""
        return [self.roles[role].resource, *([self.app.resource] if role == "web" else [])]

    def _rules(self, resource: str) -> list[pulumi.Resource]:
        bucket = self.bucket.bucket
        blocked = aws.s3.BucketPublicAccessBlock(
            resource,
            bucket=bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self.child(),
        )
        owned = aws.s3.BucketOwnershipControls(
            resource,
            bucket=bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self.child(),
        )
        versioned = aws.s3.BucketVersioning(
            resource,
            bucket=bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=self.child(),
        )
        encrypted = aws.s3.BucketServerSideEncryptionConfiguration(
            resource,
            bucket=bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="AES256"
                    )
                )
            ],
            opts=self.child(),
        )
        policy = aws.s3.BucketPolicy(
            resource, bucket=bucket, policy=self.bucket.arn.apply(_tls_only), opts=self.child(depends_on=[blocked])
        )
        aged = aws.s3.BucketLifecycleConfiguration(
            resource,
            bucket=bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="old-versions",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=KEEP_OLD_DAYS
                    ),
                    abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=7
                    ),
                )
            ],
            opts=self.child(depends_on=[versioned]),
        )
        return [blocked, owned, versioned, encrypted, policy, aged]

    def _publish(self, what: str, built: BuiltBundle, rules: list[pulumi.Resource]) -> Published:
        # The name carries the hash: a new bundle is a new object beside the old one, which hosts may still be fetching. So a
        # given object's content never changes, and its source can be ignored: a preview needs no file, and a path no diff.
        thing = f"{what}-bundle-{built.sha256[:8]}"
        name = self._environment.resource(thing)
        resource = aws.s3.BucketObjectv2(
            name,
            bucket=self.bucket.bucket,
            key=built.key,
            source=_source(built.path),
            content_type="application/gzip",
            tags=self._environment.tags("artifacts", name),
            opts=self.child(depends_on=rules, ignore_changes=["source"]),
        )
        return Published(bundle=Bundle(key=built.key, sha256=built.sha256), resource=resource)


def _source(path: Path | None) -> pulumi.Asset:
    if path is not None:
        return pulumi.FileAsset(str(path))
    if not pulumi.runtime.is_dry_run():
        raise ValueError("a bundle without a file can only be previewed")
    return pulumi.StringAsset("not built in a preview")


def _tls_only(arn: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )
