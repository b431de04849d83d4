"""A new bucket's defaults, which moto lacks: encryption with S3's own keys, no ACLs, no public access, and the tags of its creation.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html (since January 2023) and
https://aws.amazon.com/blogs/aws/heads-up-amazon-s3-security-changes-are-coming-in-april-of-2023/ (Object Ownership is BucketOwnerEnforced,
and all four settings of the public access block are on, also for buckets made by the API).
"""

from typing import Any
from xml.etree import ElementTree

from moto.core.responses import ActionResult
from moto.s3.models import PublicAccessBlock, S3Backend
from moto.s3.responses import S3Response

from lab.cloud.emulator.patching import original, replace

_create = original(S3Backend, "create_bucket")
_put = original(S3Response, "_bucket_response_put")
_get = original(S3Response, "_bucket_response_get")


def install() -> None:
    """Patches the creation of buckets and the deletion of their encryption, and adds GetBucketRequestPayment."""
    replace(S3Backend, "create_bucket", _create_bucket)
    replace(S3Response, "_bucket_response_put", _put_bucket)
    replace(S3Response, "_bucket_response_get", _get_bucket)
    replace(S3Backend, "delete_bucket_encryption", _delete_encryption)


def _create_bucket(backend: Any, *given: Any, **named: Any) -> Any:
    bucket = _create(backend, *given, **named)
    bucket.encryption = _own_keys()
    bucket.ownership_rule = "BucketOwnerEnforced"  # CreateBucket's own header is applied afterwards and overrides this
    bucket.public_access_block = PublicAccessBlock(
        block_public_acls="true", ignore_public_acls="true", block_public_policy="true", restrict_public_buckets="true"
    )
    return bucket


def _put_bucket(response: Any, request: Any, bucket_name: str, querystring: Any) -> Any:
    """Applies CreateBucket's tags (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketConfiguration.html).

    AWS's provider sends them there since 6.23.0 (hashicorp/terraform-provider-aws, CHANGELOG.md).
    """
    answer = _put(response, request, bucket_name, querystring)
    if response.data.get("Action") == "CreateBucket" and response.body:
        root = ElementTree.fromstring(response.body)  # noqa: S314 - expat limits what entities may grow to, and no entity is fetched
        tags = {tag.findtext("{*}Key", ""): tag.findtext("{*}Value", "") for tag in root.iterfind("{*}Tags/{*}Tag")}
        if tags:
            response.backend.put_bucket_tagging(bucket_name, tags)
    return answer


def _get_bucket(response: Any, bucket_name: str, querystring: Any) -> Any:
    """Answers GetBucketRequestPayment, for which moto returns a list of objects.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketRequestPayment.html
    """
    answer = _get(response, bucket_name, querystring)
    if "requestPayment" not in querystring:
        return answer
    response.data["Action"] = "GetBucketRequestPayment"
    return response.serialized(ActionResult({"Payer": response.backend.get_bucket(bucket_name).payer}))


def _delete_encryption(backend: Any, bucket_name: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketEncryption.html: the bucket reverts to S3's own keys."""
    backend.get_bucket(bucket_name).encryption = _own_keys()


def _own_keys() -> dict[str, Any]:
    """Returns S3's default encryption in the form in which moto stores PutBucketEncryption's body."""
    return {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}
