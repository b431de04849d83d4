"""The hosts as `webstack lab status` shows them: what the API says, what their machines do, and whether they serve.

A host that serves says so itself, in an object `hosts/<role id>:<instance id>.json` of the stack's bucket. The word counts only if it is
about the user data that the instance has now and newer than its last start: what an earlier run said is no news. Nor does it count once
the host has not renewed it for minutes (`stack.records.not_heard`).
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from lab.hypervisor.cloud_init import Report
from lab.hypervisor.desired import DesiredMachine
from lab.sessions import nobody
from stack.cloud import age_of
from stack.records import not_heard

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client

_FOLDER = "hosts/"


@dataclass(frozen=True, kw_only=True)
class Word:
    """What counts of what a host said."""

    ready: bool
    reason: str
    counts: bool = True
    """Whether the host itself said so, of this boot and this user data."""
    age: float | None = None
    """Seconds since the host last said anything, by S3's clock; None where it has not."""
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    measures: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of what counts alone."""


def unheard(why: str) -> Word:
    """The host has said nothing that counts, and why not."""
    return Word(ready=False, reason=why, counts=False)


def judge(record: Mapping[str, object], *, user_data: bytes, launched: datetime | None, age: float = 0.0) -> Word:
    """What a host's record of that age (seconds) says, or why it does not count."""
    if record.get("user_data_sha256") != hashlib.sha256(user_data).hexdigest():
        return unheard("not configured with its current user data yet")
    try:
        said = datetime.fromisoformat(str(record.get("time")))
    except ValueError:
        return unheard("its readiness record has no time")
    if launched is not None and said.astimezone(UTC) < launched.astimezone(UTC):
        return unheard("starting; no word since its last start")
    state, reason = str(record.get("state")), str(record.get("reason", ""))
    if silent := not_heard(record, age):
        return Word(ready=False, reason=f"{silent}; then it said: {state}, {reason}", age=age)
    return Word(
        ready=state == "ready",
        reason=reason if state == "ready" else f"{state}: {reason}",
        age=age,
        facts=_texts(record.get("facts")),
        measures=_texts(record.get("measures")),
    )


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(name): str(text) for name, text in cast("dict[object, object]", value).items()}


def explain(word: Word | None, *, user_data: bytes, report: Report) -> Word:
    """The word of a running host, or what else is known of one that has said nothing that counts."""
    if word is not None and word.counts:
        return word
    why = word.reason if word else "no word from it yet"
    if report.complaints:
        return unheard(f"{why}; cloud-init: {report.complaints[0]}")
    if word is None and not user_data:
        return unheard("it has no user data, so nothing tells it what to be")
    if word is None and report.finished:
        return unheard("its user data was applied without an error, and it says nothing of itself")
    return unheard(why)


class Words:
    """Reads the hosts' words from the API. Blocking: call it in a thread."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._session = nobody()
        self._ec2: dict[str, EC2Client] = {}
        self._s3: S3Client = self._session.client("s3", endpoint_url=endpoint, region_name="us-east-1")

    def read(self, machines: Mapping[str, DesiredMachine]) -> dict[str, Word]:
        """The words of those machines that have said anything, by instance id."""
        words: dict[str, Word] = {}
        for bucket in self._s3.list_buckets()["Buckets"]:
            name = bucket.get("Name", "")
            for entry in self._s3.list_objects_v2(Bucket=name, Prefix=_FOLDER).get("Contents", []):
                key = entry.get("Key", "")
                machine = machines.get(key.rpartition(":")[2].removesuffix(".json"))
                if machine is None:
                    continue
                answer = self._s3.get_object(Bucket=name, Key=key)
                record = json.loads(answer["Body"].read())
                if isinstance(record, dict):
                    said = cast("dict[str, object]", record)
                    age = age_of(answer["LastModified"], answer["ResponseMetadata"]["HTTPHeaders"])
                    words[machine.instance_id] = judge(said, user_data=self.user_data(machine), launched=machine.launched, age=age)
        return words

    def user_data(self, machine: DesiredMachine) -> bytes:
        """What the API holds as the instance's user data."""
        if machine.region not in self._ec2:
            self._ec2[machine.region] = self._session.client("ec2", endpoint_url=self._endpoint, region_name=machine.region)
        answer = self._ec2[machine.region].describe_instance_attribute(InstanceId=machine.instance_id, Attribute="userData")
        return base64.b64decode(answer.get("UserData", {}).get("Value", ""))
