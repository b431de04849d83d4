"""The AWS API as this host's role may use it: clients that retry, and the few calls that every role makes."""

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
    """Lets calls of this process give up within seconds: whoever looks again and again should not stand still meanwhile."""
    _limits.update(read_timeout=5, attempts=2)


@cache
def s3() -> "S3Client":
    """A client of S3 in this host's region."""
    return session().client("s3", region_name=_region(), config=_settings())


@cache
def secrets() -> "SecretsManagerClient":
    """A client of Secrets Manager in this host's region."""
    return session().client("secretsmanager", region_name=_region(), config=_settings())


@cache
def ec2() -> "EC2Client":
    """A client of EC2 in this host's region."""
    return session().client("ec2", region_name=_region(), config=_settings())


@cache
def user_id() -> str:
    """`<role's unique id>:<instance id>`: what `aws:userid` stands for in this host's policies and bucket keys."""
    return session().client("sts", region_name=_region(), config=_settings()).get_caller_identity()["UserId"]


def session() -> "Session":
    """Where clients come from. Raises NoCredentialsError while the metadata service gives none.

    A client keeps the credentials that it was made with, also none (botocore.session.Session.create_client): made too early, it could
    never call anything.
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
    """An object of the artifact bucket; raises botocore's ClientError where it is missing or refused.

    Of what another host wrote no more than `max_bytes` bytes and one are read: so whoever reads can tell, and keeps its memory.
    """
    body = s3().get_object(Bucket=config.load_common().bucket, Key=key)["Body"]
    return body.read() if max_bytes is None else body.read(max_bytes + 1)


def download_object(key: str, file: IO[bytes]) -> None:
    """Writes an object of the artifact bucket into a file, whatever its size.

    By boto3's transfer manager: an object of 8 MiB or more comes in parts, which are written as they come; a part whose connection breaks
    is asked for again, five times at most (`num_download_attempts` in s3transfer/manager.py). So neither memory nor what a break costs
    grows with the object. Raises botocore's ClientError where it is missing or refused, and its errors of the connection.
    """
    from boto3.s3.transfer import TransferConfig

    # What waits to be written is bounded too: 16 blocks of 256 KiB, where the default is a thousand.
    limits = TransferConfig(max_concurrency=4, max_io_queue=16)
    s3().download_fileobj(config.load_common().bucket, key, file, Config=limits)


def put_object(key: str, body: bytes) -> None:
    """Writes an object of the artifact bucket."""
    s3().put_object(Bucket=config.load_common().bucket, Key=key, Body=body)


def list_objects(prefix: str) -> list[str]:
    """The keys of the artifact bucket that begin with `prefix`, sorted."""
    pages = s3().get_paginator("list_objects_v2").paginate(Bucket=config.load_common().bucket, Prefix=prefix)
    return sorted(item["Key"] for page in pages for item in page.get("Contents", []) if "Key" in item)


def secret(purpose: str) -> str:
    """The value of this stack's secret for a purpose, as app-writer. The roles that read secrets are told the prefix of their names."""
    return named_secret(f"{config.load_common().secret_prefix}/{purpose}")


def named_secret(name: str) -> str:
    """The text of a Secrets Manager secret by its full name."""
    return secrets().get_secret_value(SecretId=name)["SecretString"]


def _region() -> str:
    return config.load_common().region


def _settings() -> "Config":
    from botocore.config import Config

    return Config(
        connect_timeout=3, read_timeout=_limits["read_timeout"], retries={"mode": "standard", "total_max_attempts": _limits["attempts"]}
    )
