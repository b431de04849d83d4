"""S3 objects."""

from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import urlencode

from lab.provider.cloud import Cloud
from lab.provider.codec import Asset, Props
from lab.provider.rules.model import listed
from lab.provider.services.base import Handler, chosen, quiet, tag_list, tag_map
from lab.provider.services.s3_bucket import empty

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


class BucketObject(Handler):
    """`aws.s3.BucketObjectv2`; its id is `bucket/key`."""

    kind = "aws:s3/bucketObjectv2:BucketObjectv2"
    label = "S3 Object"

    def create(self, cloud: Cloud, news: Props) -> str:
        if news.get("acl") and news["acl"] != "bucket-owner-full-control":
            found = cloud.find("s3.get_bucket_ownership_controls", Bucket=news["bucket"]) or {}
            rules = listed(found.get("OwnershipControls", {}).get("Rules"))
            if any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in rules):
                raise cloud.refusal("s3.put_object", "AccessControlListNotSupported", "The bucket does not allow ACLs")
        tags, body = news.get("tagsAll"), _body(news)
        place = {"Bucket": news["bucket"], "Key": news["key"]}
        said = {"ACL": news.get("acl"), "SSEKMSKeyId": news.get("kmsKeyId"), "Tagging": urlencode(tags) if tags else None}
        said |= chosen(news, _HEADERS)
        if len(body) <= PART_BYTES:
            cloud.call("s3.put_object", **place, Body=body, **said)
        else:
            _in_parts(cloud, place, body, said)
        return f"{news['bucket']}/{news['key']}"

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        bucket, _, key = identifier.partition("/")
        head = cloud.find("s3.head_object", Bucket=bucket, Key=key)
        if head is None:
            return None
        tags = cloud.call("s3.get_object_tagging", Bucket=bucket, Key=key).get("TagSet")
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

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        bucket, _, key = identifier.partition("/")
        if changed & (_CONTENT | _HEADERS.keys() | {"kmsKeyId", "acl"}):
            self.create(cloud, news)
        elif changed & {"tags", "tagsAll"}:
            tags = {"TagSet": tag_list(news.get("tagsAll"))}
            cloud.call("s3.put_object_tagging", Bucket=bucket, Key=key, Tagging=tags)

    def renews(self, changed: frozenset[str], olds: Props) -> frozenset[str]:
        return frozenset({"versionId", "etag"}) if changed & _CONTENT else frozenset()

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        """All versions, where the bucket keeps versions: else the bucket could not be deleted after it."""
        bucket, _, key = identifier.partition("/")
        if cloud.find("s3.head_bucket", Bucket=bucket) is None:
            return
        if state.get("versionId"):
            empty(cloud, bucket, key)
        else:
            quiet(lambda: cloud.call("s3.delete_object", Bucket=bucket, Key=key))


def _in_parts(cloud: Cloud, place: dict[str, Any], body: bytes, said: dict[str, Any]) -> None:
    upload = cloud.call("s3.create_multipart_upload", **place, **said)["UploadId"]
    parts: list[dict[str, Any]] = []
    for number, start in enumerate(range(0, len(body), PART_BYTES), 1):
        part = cloud.call("s3.upload_part", **place, UploadId=upload, PartNumber=number, Body=body[start : start + PART_BYTES])
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    cloud.call("s3.complete_multipart_upload", **place, UploadId=upload, MultipartUpload={"Parts": parts})


def _body(news: Props) -> bytes:
    if isinstance(news.get("source"), Asset):
        return news["source"].data()
    if news.get("contentBase64") is not None:
        return base64.b64decode(news["contentBase64"])
    return str(news.get("content") or "").encode()
