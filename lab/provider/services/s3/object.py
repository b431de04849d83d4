"""S3 objects."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from lab.provider.api_client import ApiClient
from lab.provider.codec import Asset, Props
from lab.provider.handler import Handler, ignore_missing, tag_list, tag_map, to_api_params
from lab.provider.rules.model import TypeRules, Violation, as_dict, as_list, name_set
from lab.provider.rules.validators import all_of, arn, base64_text, length, matches, one_of
from lab.provider.services.s3.bucket import delete_versions

_HEADERS: Final = {
    "cacheControl": "CacheControl",
    "contentDisposition": "ContentDisposition",
    "contentEncoding": "ContentEncoding",
    "contentLanguage": "ContentLanguage",
    "contentType": "ContentType",
    "metadata": "Metadata",
    "serverSideEncryption": "ServerSideEncryption",
    "storageClass": "StorageClass",
    "websiteRedirect": "WebsiteRedirectLocation",
}
PART_BYTES: Final = 5 * 1024 * 1024
"""A larger object is uploaded in parts of this size, and its ETag says how many: the default of the Go SDK's uploader
(`DefaultUploadPartSize` in aws-sdk-go-v2, feature/s3/manager), which terraform-provider-aws leaves as it is."""
_CONTENT: Final = frozenset({"source", "content", "contentBase64", "sourceHash", "etag"})


def _metadata_violations(props: dict[str, Any]) -> Iterator[Violation]:
    for key in as_dict(props.get("metadata")):
        if key != key.lower():
            yield Violation(f"metadata.{key}", "metadata keys must be lower-case")


class BucketObjectv2(Handler):
    """`aws.s3.BucketObjectv2`; its id is `bucket/key`."""

    label = "S3 Object"
    rules = TypeRules(
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
        cross_check=_metadata_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        if news.get("acl") and news["acl"] != "bucket-owner-full-control":
            found = client.find("s3.get_bucket_ownership_controls", Bucket=news["bucket"]) or {}
            rules = as_list(found.get("OwnershipControls", {}).get("Rules"))
            if any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in rules):
                raise client.api_error("s3.put_object", "AccessControlListNotSupported", "The bucket does not allow ACLs")
        tags, body = news.get("tagsAll"), _body(news)
        place = {"Bucket": news["bucket"], "Key": news["key"]}
        said = {"ACL": news.get("acl"), "SSEKMSKeyId": news.get("kmsKeyId"), "Tagging": urlencode(tags) if tags else None}
        said |= to_api_params(news, _HEADERS)
        if len(body) <= PART_BYTES:
            client.call("s3.put_object", **place, Body=body, **said)
        else:
            _upload_multipart(client, place, body, said)
        return f"{news['bucket']}/{news['key']}"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        bucket, _, key = identifier.partition("/")
        head = client.find("s3.head_object", Bucket=bucket, Key=key)
        if head is None:
            return None
        tags = client.call("s3.get_object_tagging", Bucket=bucket, Key=key).get("TagSet")
        return {
            "arn": f"arn:aws:s3:::{identifier}",
            "bucket": bucket,
            "key": key,
            "etag": str(head.get("ETag") or "").strip('"'),
            "versionId": head.get("VersionId") or "",
            "contentType": head.get("ContentType"),
            "cacheControl": head.get("CacheControl") or "",
            "contentEncoding": head.get("ContentEncoding") or "",
            "metadata": head.get("Metadata") or {},
            "serverSideEncryption": head.get("ServerSideEncryption") or state.get("serverSideEncryption") or "AES256",
            "storageClass": head.get("StorageClass") or "STANDARD",
            "bucketKeyEnabled": bool(head.get("BucketKeyEnabled")),
            "acl": state.get("acl") or "private",
            "kmsKeyId": head.get("SSEKMSKeyId") or state.get("kmsKeyId"),
            "tagsAll": tag_map(tags),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        bucket, _, key = identifier.partition("/")
        if changed & (_CONTENT | _HEADERS.keys() | {"kmsKeyId", "acl"}):
            self.create(client, news)
        elif changed & {"tags", "tagsAll"}:
            tags = {"TagSet": tag_list(news.get("tagsAll"))}
            client.call("s3.put_object_tagging", Bucket=bucket, Key=key, Tagging=tags)

    def computed_on_update(self, changed: frozenset[str], olds: Props) -> frozenset[str]:
        return frozenset({"versionId", "etag"}) if changed & _CONTENT else frozenset()

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """All versions, where the bucket keeps versions: else the bucket could not be deleted after it."""
        bucket, _, key = identifier.partition("/")
        if client.find("s3.head_bucket", Bucket=bucket) is None:
            return
        if state.get("versionId"):
            delete_versions(client, bucket, key)
        else:
            ignore_missing(lambda: client.call("s3.delete_object", Bucket=bucket, Key=key))


def _upload_multipart(client: ApiClient, location: dict[str, Any], body: bytes, options: dict[str, Any]) -> None:
    upload = client.call("s3.create_multipart_upload", **location, **options)["UploadId"]
    parts: list[dict[str, Any]] = []
    for number, start in enumerate(range(0, len(body), PART_BYTES), 1):
        part = client.call("s3.upload_part", **location, UploadId=upload, PartNumber=number, Body=body[start : start + PART_BYTES])
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    client.call("s3.complete_multipart_upload", **location, UploadId=upload, MultipartUpload={"Parts": parts})


def _body(news: Props) -> bytes:
    if isinstance(news.get("source"), Asset):
        return news["source"].data()
    if news.get("contentBase64") is not None:
        return base64.b64decode(news["contentBase64"])
    return str(news.get("content") or "").encode()
