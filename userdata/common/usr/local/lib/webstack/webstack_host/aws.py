"""The AWS API with this host's IAM role: clients that retry, and the few calls that every role makes."""

import os
from functools import cache
from typing import IO, TYPE_CHECKING

from webstack_host import config, imds

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.config import Config
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

os.environ.setdefault("AWS_STS_REGIONAL_ENDPOINTS", "regional")

_limits = {"read_timeout": 20, "attempts": 6}


def use_short_timeouts() -> None:
    """Makes this process's calls fail within seconds, for programs that poll and must not block."""
    _limits.update(read_timeout=5, attempts=2)


@cache
def s3() -> "S3Client":
    """Returns an S3 client for this host's region."""
    return session().client("s3", region_name=_region(), config=_settings())


@cache
def secrets() -> "SecretsManagerClient":
    """Returns a Secrets Manager client for this host's region."""
    return session().client("secretsmanager", region_name=_region(), config=_settings())


@cache
def ec2() -> "EC2Client":
    """Returns an EC2 client for this host's region."""
    return session().client("ec2", region_name=_region(), config=_settings())


@cache
def user_id() -> str:
    """`<role's unique id>:<instance id>`: the value of `aws:userid` in this host's policies and bucket keys."""
    return session().client("sts", region_name=_region(), config=_settings()).get_caller_identity()["UserId"]


def session() -> "Session":
    """Returns the session that makes clients. Raises NoCredentialsError while the metadata service provides no credentials.

    A client keeps the credentials that it was made with, even none (botocore.session.Session.create_client): one made too early could
    never make a call.
    """
    import boto3
    from botocore.exceptions import NoCredentialsError

    made = boto3.Session()
    if made.get_credentials() is None:
        raise NoCredentialsError
    return made


def instance_id() -> str:
    """This instance's id."""
    return imds.instance_id()


def fetch_object(key: str, *, max_bytes: int | None = None) -> bytes:
    """Returns an object of the artifact bucket. Raises botocore's ClientError if it is missing or access is denied.

    With `max_bytes`, at most one byte more is read, so that the caller can detect an object that is too long without loading it: for
    objects that other hosts write.
    """
    body = s3().get_object(Bucket=config.load_common().bucket, Key=key)["Body"]
    return body.read() if max_bytes is None else body.read(max_bytes + 1)


def download_object(key: str, file: IO[bytes]) -> None:
    """Writes an object of the artifact bucket into a file, whatever its size.

    Uses boto3's transfer manager: an object of 8 MiB or more is read in parts, which are written as they arrive; a part whose connection
    breaks is requested again, at most five times (`num_download_attempts` in s3transfer/manager.py). So neither the memory needed nor the
    cost of a broken connection grows with the object. Raises botocore's ClientError if it is missing or access is denied, and its
    connection errors.
    """
    from boto3.s3.transfer import TransferConfig

    # The write queue is bounded too: 16 blocks of 256 KiB; the default is a thousand.
    limits = TransferConfig(max_concurrency=4, max_io_queue=16)
    s3().download_fileobj(config.load_common().bucket, key, file, Config=limits)


def put_object(key: str, body: bytes) -> None:
    """Writes an object of the artifact bucket."""
    s3().put_object(Bucket=config.load_common().bucket, Key=key, Body=body)


def list_objects(prefix: str) -> list[str]:
    """Returns the keys of the artifact bucket that start with `prefix`, sorted."""
    pages = s3().get_paginator("list_objects_v2").paginate(Bucket=config.load_common().bucket, Prefix=prefix)
    return sorted(item["Key"] for page in pages for item in page.get("Contents", []) if "Key" in item)


def secret(purpose: str) -> str:
    """Returns the value of this stack's secret for a purpose, such as `app-writer`. Only for roles that have a secrets prefix."""
    return named_secret(f"{config.load_common().secret_prefix}/{purpose}")


def named_secret(name: str) -> str:
    """Returns the text of a Secrets Manager secret by its full name."""
    return secrets().get_secret_value(SecretId=name)["SecretString"]


def _region() -> str:
    return config.load_common().region


def _settings() -> "Config":
    from botocore.config import Config

    return Config(
        connect_timeout=3, read_timeout=_limits["read_timeout"], retries={"mode": "standard", "total_max_attempts": _limits["attempts"]}
    )
