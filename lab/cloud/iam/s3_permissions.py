"""What calls to S3 need.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html and, for operations whose action has another name,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html. S3 Control documents the permissions of each
operation on its own page, such as https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_TagResource.html.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

from lab.cloud.calls import Call
from lab.cloud.iam.bodies import descendants, element_texts, xml_body
from lab.cloud.iam.permission import REQUEST_TAG_KEYS, RequiredPermission, UnknownCallError, request_tag_context

_BUCKET_ACTIONS: Mapping[str, str] = {
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
_OBJECT_ACTIONS: Mapping[str, str] = {
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
_VERSION_ACTIONS: Mapping[str, str] = {
    "DeleteObject": "DeleteObjectVersion",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObject": "GetObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectAcl": "PutObjectVersionAcl",
    "PutObjectTagging": "PutObjectVersionTagging",
}
"""The actions for requests that name a version, by the action for those that do not."""
_HEADER_ACTIONS: Mapping[str, str] = {
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
"""The additional actions that a header requires."""
_CONTROL_ACTIONS = frozenset({"ListTagsForResource", "TagResource", "UntagResource"})
_BUCKET_ARN = re.compile(r"arn:[a-z-]+:s3:::([^/:*?]+)")
_CONTEXT_HEADERS = ("x-amz-acl", "x-amz-copy-source", "x-amz-server-side-encryption")
_CONDITIONAL_HEADERS = {"If-Match": "s3:if-match", "If-None-Match": "s3:if-none-match"}
"""Condition keys of writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""
_CONDITIONAL_WRITES = frozenset({"PutObject", "CompleteMultipartUpload", "CopyObject"})
_CONTEXT_PARAMS = ("prefix", "delimiter", "max-keys")
_OBJECT_WRITES = frozenset({"CreateMultipartUpload", "CopyObject", "PutObject"})
OBJECT_READS = frozenset({"GetObject", "HeadObject"})


def permissions_for(call: Call, partition: str) -> list[RequiredPermission]:
    """Returns what a call needs. Raises `UnknownCallError`."""
    if call.is_s3_control:
        return _control_permissions(call)
    if call.action == "ListBuckets":
        return [RequiredPermission(action="s3:ListAllMyBuckets")]
    bucket, key = call.parameters.get("Bucket", ""), call.parameters.get("Key", "")
    arguments, headers = call.http.query_params, call.http.headers
    facts = {f"s3:{name}": (headers[name],) for name in _CONTEXT_HEADERS if name in headers}
    if call.action in _CONDITIONAL_WRITES:
        facts |= {key: (headers[name],) for name, key in _CONDITIONAL_HEADERS.items() if name in headers}
    owner = ("bucket", bucket)
    if call.action in _BUCKET_ACTIONS:
        facts |= {f"s3:{name}": (arguments[name],) for name in _CONTEXT_PARAMS if name in arguments}
        need = RequiredPermission(
            action=f"s3:{_BUCKET_ACTIONS[call.action]}", resource=f"arn:{partition}:s3:::{bucket}", context=facts, policy_owner=owner
        )
        return [need, *_create_tag_permissions(call, need)]
    if call.action == "DeleteObjects":
        return _delete_permissions(call, partition, bucket)
    if call.action not in _OBJECT_ACTIONS or not key or "x-amz-server-side-encryption-aws-kms-key-id" in headers:
        raise UnknownCallError(call)
    resource = f"arn:{partition}:s3:::{bucket}/{key}"
    action, version = _OBJECT_ACTIONS[call.action], arguments.get("versionId")
    if version is not None and action in _VERSION_ACTIONS:
        action, facts = _VERSION_ACTIONS[action], {**facts, "s3:versionid": (version,)}
    found = [RequiredPermission(action=f"s3:{action}", resource=resource, context=facts, policy_owner=owner)]
    if call.action in _OBJECT_WRITES or call.action == "DeleteObject":
        further = sorted({beside for header, beside in _HEADER_ACTIONS.items() if header in headers})
        found += [RequiredPermission(action=f"s3:{beside}", resource=resource, context=facts, policy_owner=owner) for beside in further]
    if "x-amz-copy-source" in headers:
        found.append(_copy_source_permission(headers["x-amz-copy-source"], partition))
    return found


def _delete_permissions(call: Call, partition: str, bucket: str) -> list[RequiredPermission]:
    """Returns a permission for each key, or version. AWS deletes the allowed keys of a list; here one denied key refuses the whole call."""
    found: list[RequiredPermission] = []
    for item in descendants(xml_body(call), "Object"):
        (key,), versions = element_texts(item, "Key") or [""], element_texts(item, "VersionId")
        action = "s3:DeleteObjectVersion" if versions else "s3:DeleteObject"
        facts = {"s3:versionid": (versions[0],)} if versions else {}
        need = RequiredPermission(
            action=action, resource=f"arn:{partition}:s3:::{bucket}/{key}", context=facts, policy_owner=("bucket", bucket)
        )
        found.append(need)
    if not found or "x-amz-bypass-governance-retention" in call.http.headers:
        raise UnknownCallError(call)
    return found


def _create_tag_permissions(call: Call, permission: RequiredPermission) -> list[RequiredPermission]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html, Permissions: a bucket with tags needs `s3:TagResource` too."""
    tags = _tags(call) if call.action == "CreateBucket" and call.http.body else {}
    return (
        [replace(permission, action="s3:TagResource", context=request_tag_context(tags), supported_prefixes=REQUEST_TAG_KEYS)]
        if tags
        else []
    )


def _control_permissions(call: Call) -> list[RequiredPermission]:
    """For tags of general purpose buckets only (https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging.html)."""
    named = _BUCKET_ARN.fullmatch(call.parameters.get("resourceArn", ""))
    if call.action not in _CONTROL_ACTIONS or named is None:
        raise UnknownCallError(call)
    facts = request_tag_context(_tags(call)) if call.action == "TagResource" else {}
    if call.action == "UntagResource":
        facts = {"aws:tagkeys": tuple(sorted(value for _, value in parse_qsl(call.http.query)))}
    return [
        RequiredPermission(
            action=f"s3:{call.action}",
            resource=named[0],
            context=facts,
            policy_owner=("bucket", named[1]),
            supported_prefixes=REQUEST_TAG_KEYS,
        )
    ]


def _tags(call: Call) -> dict[str, str]:
    pairs = [(element_texts(tag, "Key"), element_texts(tag, "Value")) for tag in descendants(xml_body(call), "Tag")]
    return {keys[0]: (values or [""])[0] for keys, values in pairs if keys}


def list_bucket_permission(call: Call, partition: str) -> RequiredPermission:
    """Returns the permission that a caller needs to get a 404 for a missing key; without it S3 answers with a 403."""
    bucket = call.parameters.get("Bucket", "")
    return RequiredPermission(action="s3:ListBucket", resource=f"arn:{partition}:s3:::{bucket}", policy_owner=("bucket", bucket))


def _copy_source_permission(header: str, partition: str) -> RequiredPermission:
    path, _, query = header.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    versioned = "versionId" in dict(parse_qsl(query))
    return RequiredPermission(
        action="s3:GetObjectVersion" if versioned else "s3:GetObject",
        resource=f"arn:{partition}:s3:::{bucket}/{key}",
        policy_owner=("bucket", bucket),
    )
