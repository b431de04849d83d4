"""The hosts as `webstack lab status` shows them: what the API says, what their machines do, and whether they serve.

A host that serves says so itself, in an object `hosts/<role id>:<instance id>.json` of the stack's bucket. The word counts only if it is
about the user data that the instance has now and newer than its last start: what an earlier run said is no news. Nor does it count once
the host has not renewed it for minutes (`stack.host_status.staleness`). A word that cannot be read or asked for concerns its host alone.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from lab.aws_clients import internal_clients
from lab.hypervisor.cloud_init import CloudInitStatus
from lab.hypervisor.desired import DesiredMachine
from stack.aws_client import object_age, read_record_body
from stack.host_status import staleness
from stack.readiness_record import InvalidRecordError, ReadinessRecord, parse_record
from stack.sanitize import sanitize

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client

_FOLDER = "hosts/"


@dataclass(frozen=True, kw_only=True)
class HostReadiness:
    """What counts of what a host said."""

    ready: bool
    reason: str
    is_current: bool = True
    """Whether the host itself said so, of this boot and this user data."""
    age_seconds: float | None = None
    """Seconds since the host last said anything, by S3's clock; None where it has not."""
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of what counts alone."""


def no_report(reason: str) -> HostReadiness:
    """The host has said nothing that counts, and why not."""
    return HostReadiness(ready=False, reason=reason, is_current=False)


def evaluate_record(record: ReadinessRecord, *, user_data: bytes, launched: datetime | None, age: float = 0.0) -> HostReadiness:
    """What a host's record of that age (seconds) says, or why it does not count."""
    if record.user_data_sha256 != hashlib.sha256(user_data).hexdigest():
        return no_report("not configured with its current user data yet")
    if record.time is None:
        return no_report("its readiness record has no time")
    if launched is not None and record.time < launched:
        return no_report("starting; no word since its last start")
    state, reason = record.state, record.reason
    if silent := staleness(record, age):
        return HostReadiness(ready=False, reason=f"{silent}; its last report: {state}, {reason}", age_seconds=age)
    return HostReadiness(
        ready=state == "ready",
        reason=reason if state == "ready" else f"{state}: {reason}",
        age_seconds=age,
        facts=record.facts,
        metrics=record.metrics,
    )


def with_cloud_init(readiness: HostReadiness | None, *, user_data: bytes, cloud_init: CloudInitStatus) -> HostReadiness:
    """The word of a running host, or what else is known of one that has said nothing that counts."""
    if readiness is not None and readiness.is_current:
        return readiness
    why = readiness.reason if readiness else "no word from it yet"
    if cloud_init.errors:
        return no_report(f"{why}; cloud-init: {sanitize(cloud_init.errors[0])}")
    if readiness is None and not user_data:
        return no_report("it has no user data, so nothing tells it what to be")
    if readiness is None and cloud_init.finished:
        return no_report("its user data was applied without an error, and it says nothing of itself")
    return no_report(why)


class ReadinessReader:
    """Reads the hosts' words from the API. Blocking: call it in a thread."""

    def __init__(self, address: str) -> None:
        """`address`: `lab.moto_address`."""
        self._caller = internal_clients(address)
        self._ec2: dict[str, EC2Client] = {}
        self._s3: S3Client = self._caller.client("s3", "us-east-1")

    def read(self, machines: Mapping[str, DesiredMachine]) -> dict[str, HostReadiness]:
        """The words of those machines that have said anything, by instance id."""
        found: dict[str, HostReadiness] = {}
        for bucket in self._s3.list_buckets()["Buckets"]:
            name = bucket.get("Name", "")
            for key in self._keys(name):
                machine = machines.get(key.rpartition(":")[2].removesuffix(".json"))
                if machine is not None and (readiness := self._read_one(name, key, machine)) is not None:
                    found[machine.instance_id] = readiness
        return found

    def _keys(self, bucket: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_FOLDER)
        try:
            return [entry.get("Key", "") for page in pages for entry in page.get("Contents", [])]
        except ClientError as error:
            if _code(error) == "NoSuchBucket":  # deleted meanwhile
                return []
            raise

    def _read_one(self, bucket: str, key: str, machine: DesiredMachine) -> HostReadiness | None:
        """What one machine said; None where its record has gone meanwhile."""
        age = None
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key)
            age = object_age(answer["LastModified"], answer["ResponseMetadata"]["HTTPHeaders"])
            return evaluate_record(
                parse_record(read_record_body(answer["Body"])), user_data=self.user_data(machine), launched=machine.launched, age=age
            )
        except InvalidRecordError as error:
            return HostReadiness(ready=False, reason=str(error), age_seconds=age)
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and _code(error) == "NoSuchKey":
                return None
            return HostReadiness(ready=False, reason=read_failure(error), age_seconds=age)

    def user_data(self, machine: DesiredMachine) -> bytes:
        """What the API holds as the instance's user data."""
        if machine.region not in self._ec2:
            self._ec2[machine.region] = self._caller.client("ec2", machine.region)
        answer = self._ec2[machine.region].describe_instance_attribute(InstanceId=machine.instance_id, Attribute="userData")
        return base64.b64decode(answer.get("UserData", {}).get("Value", ""))


def read_failure(error: Exception) -> str:
    """Why a host's word is not known, where the API did not answer."""
    return f"its word could not be asked for: {sanitize(str(error))}"


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
