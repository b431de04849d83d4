"""The artifact bucket: bundles that hosts fetch, what hosts say of themselves, and who is primary."""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws
from webstack_host.variables import Bundle, Role

from stack.bundles import BuiltBundle
from stack.component import Component
from stack.environment import Environment
from stack.publishing import Publisher

NONCURRENT_DAYS: Final = 30
RECORD_NONCURRENT_DAYS: Final = 1
"""For the hosts' records, which are written anew each minute. Where two rules meet, S3 takes the shorter time
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html)."""
CERTIFICATE_EXPIRATION_DAYS: Final = 7
"""A database host publishes its certificate again every day: an older one is of an instance that is gone, and is no longer trusted."""
CERTIFICATE_PREFIX: Final = "database/certificates/"


@dataclass(frozen=True, kw_only=True)
class ArtifactsArgs:
    """What the bucket holds. A bundle without a file is one that a preview did not build."""

    environment: Environment
    publisher: Publisher
    role_bundles: dict[Role, BuiltBundle]
    app_bundle: BuiltBundle


class Artifacts(Component):
    """A private, versioned, encrypted bucket that answers by TLS only, with the bundles in it."""

    def __init__(self, name: str, args: ArtifactsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        environment = args.environment
        resource = environment.resource_name("artifacts")
        self.bucket = aws.s3.Bucket(
            resource,
            force_destroy=not environment.protected,
            tags=environment.tags("artifacts", resource),
            opts=self.child(protect=environment.protected),
        )
        self.bucket_name = self.bucket.bucket
        self.bucket_arn = self.bucket.arn
        self.role_bundles = {role: _to_bundle(bundle) for role, bundle in args.role_bundles.items()}
        self.app_bundle = _to_bundle(args.app_bundle)
        self.bucket_settings = self._configure_bucket(resource)
        """What must be there before the first object."""
        self.published_bucket = args.publisher.publish(
            [*args.role_bundles.values(), args.app_bundle], self.bucket_name, depends_on=self.bucket_settings
        )
        """The bucket's name, known once hosts find all that they fetch in it."""
        self.register_outputs({"bucket": self.bucket_name})

    def _configure_bucket(self, resource: str) -> list[pulumi.CustomResource]:
        """The bucket's settings; of them, those that must be there before the first object.

        Several at once may answer with OperationAborted, which the provider tries again (`errCodeOperationAborted` in
        terraform-provider-aws, internal/service/s3/service_package.go). The lifecycle is for objects of an age: nothing waits for it, as
        AWS does not show it everywhere at once and the provider waits, 30 s at least, until it does (`waitLifecycleRulesEquals`,
        internal/service/s3/bucket_lifecycle_configuration.go).
        """
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
            resource, bucket=bucket, policy=self.bucket.arn.apply(_tls_only_policy), opts=self.child(depends_on=[blocked])
        )
        aws.s3.BucketLifecycleConfiguration(
            resource,
            bucket=bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="old-versions",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=NONCURRENT_DAYS
                    ),
                    abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=7
                    ),
                ),
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="old-words",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="hosts/"),
                    noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=RECORD_NONCURRENT_DAYS
                    ),
                ),
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="certificates-of-gone-hosts",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=CERTIFICATE_PREFIX),
                    expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=CERTIFICATE_EXPIRATION_DAYS),
                ),
            ],
            opts=self.child(depends_on=[versioned]),
        )
        return [blocked, owned, versioned, encrypted, policy]


def _to_bundle(built: BuiltBundle) -> Bundle:
    return Bundle(key=built.key, sha256=built.sha256)


def _tls_only_policy(arn: str) -> str:
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
