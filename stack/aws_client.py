"""The program's own look at AWS, with the same access as the engine's provider: the stack's `aws:` settings."""

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.exceptions import ClientError

from stack.aws_config import AwsConfig
from stack.aws_sessions import make_client, make_session
from stack.readiness_record import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client

_CONTENT_HASH_KEY = "content-sha256"
"""Metadata of a bundle's object: the hash of its bytes. S3 gives metadata back in HeadObject, in lower case."""


@dataclass(frozen=True, kw_only=True)
class InstanceState:
    """What EC2 says of an instance."""

    id: str
    state: str
    launch_time: datetime


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object of a bucket. `age` is in seconds, both moments by S3's own clock: neither a host's nor this machine's is trusted."""

    body: bytes
    age: float


class AwsClient:
    """The few calls that the wait for hosts and the publishing of bundles need. Safe to use from several threads."""

    def __init__(self, aws_config: AwsConfig) -> None:
        self._aws_config = aws_config
        self._lock = threading.Lock()

    def describe_instance(self, instance_id: str) -> InstanceState | None:
        """The instance, or None where EC2 does not know it (yet)."""
        try:
            answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        except ClientError as error:
            if _error_code(error) == "InvalidInstanceID.NotFound":
                return None
            raise
        found = _instances(answer)
        return found[0] if found else None

    def start_instance(self, instance_id: str) -> None:
        """Asks EC2 to start a stopped instance; does not wait for it."""
        self.ec2.start_instances(InstanceIds=[instance_id])

    def find_running_host(self, stack_tags: Mapping[str, str], host: str) -> InstanceState | None:
        """The running instance that is tagged as this host of the stack whose `stack_tags` tags these are (`stack.tags.stack_tags`)."""
        tags = {f"tag:{key}": value for key, value in stack_tags.items()}
        filters = {**tags, "tag:host": host, "instance-state-name": "running"}
        found = _instances(self.ec2.describe_instances(Filters=[{"Name": key, "Values": [value]} for key, value in filters.items()]))
        return found[0] if found else None

    def get_object(self, bucket: str, key: str) -> StoredObject | None:
        """A host's record, no more of it than is readable, or None where there is none."""
        try:
            answer = self.s3.get_object(Bucket=bucket, Key=key)
            return StoredObject(
                body=read_record_body(answer["Body"]), age=object_age(answer["LastModified"], answer["ResponseMetadata"]["HTTPHeaders"])
            )
        except ClientError as error:
            if _error_code(error) in ("NoSuchKey", "404"):
                return None
            raise

    def has_object(self, bucket: str, key: str, *, length: int, sha256: str) -> bool:
        """Whether there is an object of that key with that many bytes, which `put_object` has marked with that hash of its content."""
        try:
            found = self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            # A bucket that is not there (yet) answers a HEAD with the same bare 404: then `put_object` says so.
            if _error_code(error) in ("NoSuchKey", "404"):
                return False
            raise
        return found["ContentLength"] == length and found.get("Metadata", {}).get(_CONTENT_HASH_KEY) == sha256

    def put_object(self, bucket: str, key: str, path: Path, *, sha256: str) -> None:
        """Makes the object of a file, in parts where it is large; it appears whole, marked with the hash of its content.

        The mark is metadata of our own: S3's own checksum of an object that came in parts is one of their checksums
        (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html), and nobody else's object has it.
        """
        self.s3.upload_file(str(path), bucket, key, ExtraArgs={"ContentType": "application/gzip", "Metadata": {_CONTENT_HASH_KEY: sha256}})

    @property
    def ec2(self) -> "EC2Client":
        """A client of EC2."""
        with self._lock:
            return self._ec2

    @property
    def s3(self) -> "S3Client":
        """A client of S3."""
        with self._lock:
            return self._s3

    @cached_property
    def _ec2(self) -> "EC2Client":
        return cast("EC2Client", make_client(self._session, self._aws_config, "ec2"))

    @cached_property
    def _s3(self) -> "S3Client":
        return cast("S3Client", make_client(self._session, self._aws_config, "s3"))

    @cached_property
    def _session(self) -> boto3.Session:
        return make_session(self._aws_config)


def read_record_body(body: "StreamingBody") -> bytes:
    """The bytes of a record, and one more than it may have where it has more: nobody is to hold what a host puts there."""
    with contextlib.closing(body):
        return body.read(MAX_RECORD_BYTES + 1)


def object_age(modified: datetime, headers: Mapping[str, str]) -> float:
    """Seconds between an object's writing and S3's answer about it, whose `date` header (RFC 9110, 6.6.1) S3 sends with each; 0 without."""
    try:
        answered = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return 0.0
    return max(0.0, (answered - modified).total_seconds())


def _instances(answer: Any) -> list[InstanceState]:
    return [
        InstanceState(id=item["InstanceId"], state=item["State"]["Name"], launch_time=item["LaunchTime"])
        for reservation in answer["Reservations"]
        for item in reservation["Instances"]
    ]


def _error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
