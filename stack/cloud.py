"""The program's own look at AWS, through the same door as the engine's provider: the stack's `aws:` settings."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import boto3
import botocore.session
import pulumi
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, kw_only=True)
class CloudSettings:
    """How to reach AWS. Empty values leave the choice to AWS's own defaults (environment, shared files, metadata)."""

    region: str
    profile: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    roles: tuple[Mapping[str, Any], ...] = ()
    """Roles to assume, one after the other, with the keys of the provider's `assumeRoles`."""
    endpoints: Mapping[str, str] = field(default_factory=dict[str, str])
    path_style: bool = False

    @classmethod
    def from_stack(cls, region: str) -> "CloudSettings":
        """The running stack's settings."""
        config = pulumi.Config("aws")
        roles = [*_items(config.get("assumeRoles")), *_items(config.get("assumeRole"))]
        endpoints: dict[str, str] = {}
        for item in _items(config.get("endpoints")):
            endpoints |= {name: str(url) for name, url in item.items() if url}
        return cls(
            region=region,
            profile=config.get("profile"),
            access_key=config.get("accessKey"),
            secret_key=config.get("secretKey"),
            token=config.get("token"),
            roles=tuple(role for role in roles if role.get("roleArn")),
            endpoints=endpoints,
            path_style=config.get_bool("s3UsePathStyle") or False,
        )


def _items(text: str | None) -> list[dict[str, Any]]:
    """A setting that is an object or a list of objects, as JSON."""
    if not text:
        return []
    value: object = json.loads(text)
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


@dataclass(frozen=True, kw_only=True)
class InstanceState:
    """What EC2 says of an instance."""

    id: str
    state: str
    launched: datetime


class Cloud:
    """The few calls that the wait for hosts needs. Safe to use from several threads."""

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()

    def instance(self, instance_id: str) -> InstanceState | None:
        """The instance, or None where EC2 does not know it (yet)."""
        try:
            answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        except ClientError as error:
            if _code(error) == "InvalidInstanceID.NotFound":
                return None
            raise
        found = _instances(answer)
        return found[0] if found else None

    def start(self, instance_id: str) -> None:
        """Asks EC2 to start a stopped instance; does not wait for it."""
        self.ec2.start_instances(InstanceIds=[instance_id])

    def running_host(self, environment: str, host: str) -> InstanceState | None:
        """The running instance that is tagged as this host of the environment."""
        wanted = {"tag:environment": environment, "tag:host": host, "instance-state-name": "running"}
        found = _instances(self.ec2.describe_instances(Filters=[{"Name": key, "Values": [value]} for key, value in wanted.items()]))
        return found[0] if found else None

    def read(self, bucket: str, key: str) -> bytes | None:
        """An object's content, or None where there is none."""
        try:
            return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "404"):
                return None
            raise

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
        return self._session.client("ec2", endpoint_url=self._settings.endpoints.get("ec2"), config=self._config)

    @cached_property
    def _s3(self) -> "S3Client":
        return self._session.client("s3", endpoint_url=self._settings.endpoints.get("s3"), config=self._config)

    @property
    def _config(self) -> Config:
        style = {"addressing_style": "path"} if self._settings.path_style else None
        return Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}, s3=style)  # pyright: ignore[reportArgumentType] - the stubs want a TypedDict of botocore's own

    @cached_property
    def _session(self) -> boto3.Session:
        chosen = self._settings
        session = boto3.Session(
            region_name=chosen.region,
            profile_name=chosen.profile,
            aws_access_key_id=chosen.access_key,
            aws_secret_access_key=chosen.secret_key,
            aws_session_token=chosen.token,
        )
        for role in chosen.roles:
            session = _assumed(session, role, chosen)
        return session


def _assumed(source: boto3.Session, role: Mapping[str, Any], settings: CloudSettings) -> boto3.Session:
    """A session with a role's credentials, renewed before they expire."""
    extra: dict[str, Any] = {"RoleSessionName": role.get("sessionName") or "webstack"}
    if role.get("externalId"):
        extra["ExternalId"] = role["externalId"]
    if role.get("policy"):
        extra["Policy"] = role["policy"]

    def client(service: str, **options: Any) -> "BaseClient":
        return cast("BaseClient", source.client(cast("Any", service), endpoint_url=settings.endpoints.get("sts"), **options))

    fetcher = AssumeRoleCredentialFetcher(
        client_creator=client, source_credentials=source.get_credentials(), role_arn=str(role["roleArn"]), extra_args=extra
    )
    session = botocore.session.get_session()
    session.set_config_variable("region", settings.region)
    credentials = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
    session._credentials = credentials  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - botocore has no other way in
    return boto3.Session(botocore_session=session, region_name=settings.region)


def _instances(answer: Any) -> list[InstanceState]:
    return [
        InstanceState(id=item["InstanceId"], state=item["State"]["Name"], launched=item["LaunchTime"])
        for reservation in answer["Reservations"]
        for item in reservation["Instances"]
    ]


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
