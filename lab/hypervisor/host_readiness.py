"""The hosts' readiness as `webstack lab status` shows it, from their readiness records and cloud-init.

A host writes its readiness record to the object `hosts/<role id>:<instance id>.json` of the stack's bucket. The record counts only if it is
about the instance's current user data and newer than its last start, and no longer once the host has not renewed it for minutes
(`stack.host_status.staleness`). A record that cannot be read affects the status of its own host only.
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
    """A host's readiness, from a record that counts, or why none does."""

    ready: bool
    reason: str
    is_current: bool = True
    """Whether it comes from the host's own record of this boot and this user data."""
    age_seconds: float | None = None
    """Seconds since the host last wrote its record, by S3's clock; None if it never did."""
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: Mapping[str, str] = field(default_factory=dict[str, str])
    """The record's facts; empty if it does not count."""


def no_report(reason: str) -> HostReadiness:
    """Returns the readiness of a host without a record that counts; `reason` says why."""
    return HostReadiness(ready=False, reason=reason, is_current=False)


def evaluate_record(record: ReadinessRecord, *, user_data: bytes, launched: datetime | None, age: float = 0.0) -> HostReadiness:
    """Returns the readiness that a record, `age` seconds old, gives, or why it does not count."""
    if record.user_data_sha256 != hashlib.sha256(user_data).hexdigest():
        return no_report("not configured with its current user data yet")
    if record.time is None:
        return no_report("its readiness record has no time")
    if launched is not None and record.time < launched:
        return no_report("starting; no report since its last start")
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
    """Returns a running host's readiness. If no record counts, cloud-init's errors and progress explain why."""
    if readiness is not None and readiness.is_current:
        return readiness
    why = readiness.reason if readiness else "no report yet"
    if cloud_init.errors:
        return no_report(f"{why}; cloud-init: {sanitize(cloud_init.errors[0])}")
    if readiness is None and not user_data:
        return no_report("it has no user data, so it does not know its role")
    if readiness is None and cloud_init.finished:
        return no_report("its user data was applied without an error, but it has reported nothing")
    return no_report(why)


class ReadinessReader:
    """Reads the hosts' readiness records from the API. Blocking: call it in a thread."""

    def __init__(self, address: str) -> None:
        """`address`: `lab.moto_address`."""
        self._caller = internal_clients(address)
        self._ec2: dict[str, EC2Client] = {}
        self._s3: S3Client = self._caller.client("s3", "us-east-1")

    def read(self, machines: Mapping[str, DesiredMachine]) -> dict[str, HostReadiness]:
        """Returns the readiness, by instance id, of the machines that have a record."""
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
        """Returns one machine's readiness, or None if its record has been deleted meanwhile."""
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
        """Returns the instance's user data, from the API."""
        if machine.region not in self._ec2:
            self._ec2[machine.region] = self._caller.client("ec2", machine.region)
        answer = self._ec2[machine.region].describe_instance_attribute(InstanceId=machine.instance_id, Attribute="userData")
        return base64.b64decode(answer.get("UserData", {}).get("Value", ""))


def read_failure(error: Exception) -> str:
    """Returns the reason to show for a host whose record the API did not return."""
    return f"its readiness record could not be read: {sanitize(str(error))}"


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
