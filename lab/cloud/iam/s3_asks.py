"""What calls to S3 need.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html and, for the operations whose action has another
name, https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html. S3 Control's operations have their rights on
their own pages, such as https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_TagResource.html.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

from lab.cloud.calls import Call
from lab.cloud.iam.bodies import children, texts, xml_body
from lab.cloud.iam.needs import REQUEST_TAGS, Need, UnknownCallError, request_tags

_OF_BUCKETS: Mapping[str, str] = {
    "CreateBucket": "CreateBucket",
    "DeleteBucket": "DeleteBucket",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketPolicy": "DeleteBucketPolicy",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketAcl": "GetBucketAcl",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketLocation": "GetBucketLocation",
    "GetBucketLogging": "GetBucketLogging",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketOwnershipControls": "GetBucketOwnershipControls",
    "GetBucketPolicy": "GetBucketPolicy",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetBucketRequestPayment": "GetBucketRequestPayment",
    "GetBucketTagging": "GetBucketTagging",
    "GetBucketVersioning": "GetBucketVersioning",
    "GetBucketWebsite": "GetBucketWebsite",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "PutBucketAcl": "PutBucketAcl",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketOwnershipControls": "PutBucketOwnershipControls",
    "PutBucketPolicy": "PutBucketPolicy",
    "PutBucketTagging": "PutBucketTagging",
    "PutBucketVersioning": "PutBucketVersioning",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
_OF_OBJECTS: Mapping[str, str] = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteObject": "DeleteObject",
    "DeleteObjectTagging": "DeleteObjectTagging",
    "GetObject": "GetObject",
    "GetObjectAcl": "GetObjectAcl",
    "GetObjectTagging": "GetObjectTagging",
    "HeadObject": "GetObject",
    "ListParts": "ListMultipartUploadParts",
    "PutObject": "PutObject",
    "PutObjectAcl": "PutObjectAcl",
    "PutObjectTagging": "PutObjectTagging",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_OF_VERSIONS: Mapping[str, str] = {
    "DeleteObject": "DeleteObjectVersion",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObject": "GetObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectAcl": "PutObjectVersionAcl",
    "PutObjectTagging": "PutObjectVersionTagging",
}
"""With a version named, by the action without one."""
_BY_HEADER: Mapping[str, str] = {
    "x-amz-acl": "PutObjectAcl",
    "x-amz-grant-full-control": "PutObjectAcl",
    "x-amz-grant-read": "PutObjectAcl",
    "x-amz-grant-read-acp": "PutObjectAcl",
    "x-amz-grant-write-acp": "PutObjectAcl",
    "x-amz-object-lock-legal-hold": "PutObjectLegalHold",
    "x-amz-object-lock-retain-until-date": "PutObjectRetention",
    "x-amz-bypass-governance-retention": "BypassGovernanceRetention",
    "x-amz-tagging": "PutObjectTagging",
}
"""What a header asks for beside the write itself."""
_OF_CONTROL = frozenset({"ListTagsForResource", "TagResource", "UntagResource"})
_GENERAL_BUCKET = re.compile(r"arn:[a-z-]+:s3:::([^/:*?]+)")
_FACTS_IN_HEADERS = ("x-amz-acl", "x-amz-copy-source", "x-amz-server-side-encryption")
_CONDITIONS = {"If-Match": "s3:if-match", "If-None-Match": "s3:if-none-match"}
"""Keys of writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""
_CONDITIONAL = frozenset({"PutObject", "CompleteMultipartUpload", "CopyObject"})
_FACTS_IN_QUERY = ("prefix", "delimiter", "max-keys")
_WRITES = frozenset({"CreateMultipartUpload", "CopyObject", "PutObject"})
READS = frozenset({"GetObject", "HeadObject"})


def needs(call: Call, partition: str) -> list[Need]:
    """What a call needs. Raises `UnknownCallError`."""
    if call.s3_control:
        return _of_control(call)
    if call.action == "ListBuckets":
        return [Need(action="s3:ListAllMyBuckets")]
    bucket, key = call.parameters.get("Bucket", ""), call.parameters.get("Key", "")
    arguments, headers = call.message.arguments, call.message.headers
    facts = {f"s3:{name}": (headers[name],) for name in _FACTS_IN_HEADERS if name in headers}
    if call.action in _CONDITIONAL:
        facts |= {key: (headers[name],) for name, key in _CONDITIONS.items() if name in headers}
    owner = ("bucket", bucket)
    if call.action in _OF_BUCKETS:
        facts |= {f"s3:{name}": (arguments[name],) for name in _FACTS_IN_QUERY if name in arguments}
        need = Need(action=f"s3:{_OF_BUCKETS[call.action]}", resource=f"arn:{partition}:s3:::{bucket}", facts=facts, owner=owner)
        return [need, *_tags_at_creation(call, need)]
    if call.action == "DeleteObjects":
        return _deletions(call, partition, bucket)
    if call.action not in _OF_OBJECTS or not key or "x-amz-server-side-encryption-aws-kms-key-id" in headers:
        raise UnknownCallError(call)
    resource = f"arn:{partition}:s3:::{bucket}/{key}"
    action, version = _OF_OBJECTS[call.action], arguments.get("versionId")
    if version is not None and action in _OF_VERSIONS:
        action, facts = _OF_VERSIONS[action], {**facts, "s3:versionid": (version,)}
    found = [Need(action=f"s3:{action}", resource=resource, facts=facts, owner=owner)]
    if call.action in _WRITES or call.action == "DeleteObject":
        further = sorted({beside for header, beside in _BY_HEADER.items() if header in headers})
        found += [Need(action=f"s3:{beside}", resource=resource, facts=facts, owner=owner) for beside in further]
    if "x-amz-copy-source" in headers:
        found.append(_source(headers["x-amz-copy-source"], partition))
    return found


def _deletions(call: Call, partition: str, bucket: str) -> list[Need]:
    """Each key by itself, a version by its own action. AWS deletes what it may of a list; here one forbidden key refuses the whole."""
    found: list[Need] = []
    for item in children(xml_body(call), "Object"):
        (key,), versions = texts(item, "Key") or [""], texts(item, "VersionId")
        action = "s3:DeleteObjectVersion" if versions else "s3:DeleteObject"
        facts = {"s3:versionid": (versions[0],)} if versions else {}
        need = Need(action=action, resource=f"arn:{partition}:s3:::{bucket}/{key}", facts=facts, owner=("bucket", bucket))
        found.append(need)
    if not found or "x-amz-bypass-governance-retention" in call.message.headers:
        raise UnknownCallError(call)
    return found


def _tags_at_creation(call: Call, need: Need) -> list[Need]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html, Permissions: a bucket with tags needs `s3:TagResource` too."""
    tags = _tags(call) if call.action == "CreateBucket" and call.message.body else {}
    return [replace(need, action="s3:TagResource", facts=request_tags(tags), worked_out=REQUEST_TAGS)] if tags else []


def _of_control(call: Call) -> list[Need]:
    """The tags of general purpose buckets (https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging.html), of nothing else."""
    named = _GENERAL_BUCKET.fullmatch(call.parameters.get("resourceArn", ""))
    if call.action not in _OF_CONTROL or named is None:
        raise UnknownCallError(call)
    facts = request_tags(_tags(call)) if call.action == "TagResource" else {}
    if call.action == "UntagResource":
        facts = {"aws:tagkeys": tuple(sorted(value for _, value in parse_qsl(call.message.query)))}
    return [Need(action=f"s3:{call.action}", resource=named[0], facts=facts, owner=("bucket", named[1]), worked_out=REQUEST_TAGS)]


def _tags(call: Call) -> dict[str, str]:
    pairs = [(texts(tag, "Key"), texts(tag, "Value")) for tag in children(xml_body(call), "Tag")]
    return {keys[0]: (values or [""])[0] for keys, values in pairs if keys}


def listing(call: Call, partition: str) -> Need:
    """What a caller must have to be told that a key is missing (404) and not only that it may not look (403)."""
    bucket = call.parameters.get("Bucket", "")
    return Need(action="s3:ListBucket", resource=f"arn:{partition}:s3:::{bucket}", owner=("bucket", bucket))


def _source(header: str, partition: str) -> Need:
    path, _, query = header.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    versioned = "versionId" in dict(parse_qsl(query))
    return Need(
        action="s3:GetObjectVersion" if versioned else "s3:GetObject",
        resource=f"arn:{partition}:s3:::{bucket}/{key}",
        owner=("bucket", bucket),
    )
