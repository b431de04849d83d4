"""The running stack as a rotation sees it: its hosts and the secrets that they report, its bucket, the labels of its secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from botocore.exceptions import ClientError

from ops.errors import UserError
from ops.rotation.clients import AwsClients
from stack.aws_client import read_record_body
from stack.naming import PROJECT, SECRETS_CHANGED_KEY, secret_prefix
from stack.readiness_record import InvalidRecordError, ReadinessRecord, parse_record
from stack.tags import STACK_ID_TAG

TERMINATING_STATES: Final = ("shutting-down", "terminated")
ENGINE_STATE_LABEL: Final = "webstack-state"
"""The label of the version whose value is in the engine's state. A version without any label may be deleted by Secrets Manager, and the
engine would then make it again, as the current one: yesterday's value (docs/decisions/0020)."""


@dataclass(frozen=True, kw_only=True)
class StagingLabels:
    """Which version of a secret bears which label; empty where none does."""

    current: str
    pending: str = ""
    previous: str = ""
    in_engine_state: str = ""


@dataclass(frozen=True, kw_only=True)
class FleetHost:
    """A host and its last report: `secret_versions` are those that it uses and accepts by purpose, the one in use first."""

    name: str
    role: str
    instance_id: str
    state: str
    """EC2's word on the instance."""
    ready: bool = False
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    record_error: str = ""
    """Why its record cannot be read; empty where it can, or where there is none."""

    @property
    def secret_versions(self) -> dict[str, list[str]]:
        """Purpose → versions."""
        pairs = (part.partition("=") for part in self.facts.get("secrets", "").split())
        return {purpose: ids.split(",") for purpose, _, ids in pairs}

    @property
    def wait_reason(self) -> str:
        """Why it may not report what is waited for."""
        if self.state != "running":
            return f"it is {self.state}"
        if self.record_error:
            return self.record_error
        return "it has not reported it yet" if self.ready else "it does not serve"


class Fleet:
    """One stack of AWS or of a lab."""

    def __init__(self, clients: AwsClients, stack: str) -> None:
        self._clients, self._stack = clients, stack

    @cached_property
    def secret_prefix(self) -> str:
        """The beginning of the names of the stack's secrets. Raises UserError where no host bears its tags, or those of several."""
        found = {tags.get(STACK_ID_TAG, "") for tags in (_tags(one) for one in self._instances())} - {""}
        if len(found) != 1:
            what = f"hosts of several stacks ({', '.join(sorted(found))})" if found else "no host"
            raise UserError(
                f"--stack {self._stack}: found {what} tagged project={PROJECT}, environment={self._stack}; "
                "give the name of a deployed stack, and use its account and region"
            )
        return secret_prefix(self._stack, found.pop())

    def hosts(self) -> list[FleetHost]:
        """All hosts that are not being terminated, with their last reports, by name."""
        records = self._records()
        hosts: list[FleetHost] = []
        for one in self._instances():
            tags, identifier = _tags(one), str(one["InstanceId"])
            found = records.get(identifier)
            # A record from before the launch is about another boot; status asks the same (stack/host_status.py).
            record = found if isinstance(found, ReadinessRecord) and found.time is not None and found.time > one["LaunchTime"] else None
            hosts.append(
                FleetHost(
                    name=tags.get("host", identifier),
                    role=tags.get("role", ""),
                    instance_id=identifier,
                    state=one["State"]["Name"],
                    ready=record is not None and record.state == "ready",
                    facts=record.facts if record is not None else {},
                    record_error=found if isinstance(found, str) else "",
                )
            )
        return sorted(hosts, key=lambda host: (host.name, host.instance_id))

    def staging_labels(self, purpose: str) -> StagingLabels:
        """The labels of the secret for a purpose."""
        stages = self._clients.secrets.describe_secret(SecretId=self._name(purpose)).get("VersionIdsToStages", {})

        def at(label: str) -> str:
            return next((version for version, found in stages.items() if label in found), "")

        current, pending = at("AWSCURRENT"), at("AWSPENDING")
        return StagingLabels(
            current=current,
            pending="" if pending == current else pending,
            previous=at("AWSPREVIOUS"),
            in_engine_state=at(ENGINE_STATE_LABEL),
        )

    def put_pending(self, purpose: str, value: str) -> None:
        """Puts a value as the pending one."""
        self._clients.secrets.put_secret_value(SecretId=self._name(purpose), SecretString=value, VersionStages=["AWSPENDING"])
        self.notify_hosts()

    def promote(self, purpose: str, labels: StagingLabels) -> None:
        """Makes the pending version the current one; the one before is the previous then, by Secrets Manager itself."""
        if not labels.in_engine_state:
            self._move(purpose, ENGINE_STATE_LABEL, to_version=labels.current)
        self._move(purpose, "AWSCURRENT", to_version=labels.pending, from_version=labels.current)
        self._move(purpose, "AWSPENDING", from_version=labels.pending)
        self.notify_hosts()

    def retire_previous(self, purpose: str, labels: StagingLabels) -> None:
        """Takes the previous version's label away: no host accepts it any longer."""
        self._move(purpose, "AWSPREVIOUS", from_version=labels.previous)
        self.notify_hosts()

    def notify_hosts(self) -> None:
        """Tells running hosts to look at their secrets now."""
        self._clients.s3.put_object(Bucket=self.bucket, Key=SECRETS_CHANGED_KEY, Body=datetime.now().astimezone().isoformat().encode())

    @cached_property
    def bucket(self) -> str:
        """The artifact bucket: the one of its name in which the hosts' records are."""
        ids = {str(one["InstanceId"]) for one in self._instances()}
        for bucket in self._clients.s3.list_buckets().get("Buckets", []):
            name = bucket.get("Name", "")
            if name.startswith(f"{self._stack}-artifacts-") and any(_instance(key) in ids for key in self._keys(name)):
                return name
        raise UserError(f"--stack {self._stack}: no bucket {self._stack}-artifacts-… holds a record of its hosts; deploy the stack first")

    def _move(self, purpose: str, label: str, *, to_version: str = "", from_version: str = "") -> None:
        moved = {"MoveToVersionId": to_version} if to_version else {}
        removed = {"RemoveFromVersionId": from_version} if from_version else {}
        self._clients.secrets.update_secret_version_stage(SecretId=self._name(purpose), VersionStage=label, **moved, **removed)

    def _name(self, purpose: str) -> str:
        return f"{self.secret_prefix}/{purpose}"

    def _instances(self) -> list[Any]:
        filters = {"tag:project": PROJECT, "tag:environment": self._stack}
        pages = self._clients.ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": name, "Values": [value]} for name, value in filters.items()]
        )
        found: list[Any] = [one for page in pages for reservation in page["Reservations"] for one in reservation.get("Instances", [])]
        return [one for one in found if one["State"]["Name"] not in TERMINATING_STATES]

    def _records(self) -> dict[str, ReadinessRecord | str]:
        """Instance → its record, or why that cannot be read."""
        records: dict[str, ReadinessRecord | str] = {}
        for key in self._keys(self.bucket):
            try:
                records[_instance(key)] = parse_record(read_record_body(self._clients.s3.get_object(Bucket=self.bucket, Key=key)["Body"]))
            except InvalidRecordError as error:
                records[_instance(key)] = str(error)
            except ClientError:
                continue  # gone meanwhile: its host is waited for
        return records

    def _keys(self, bucket: str) -> list[str]:
        pages = self._clients.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="hosts/")
        return [entry.get("Key", "") for page in pages for entry in page.get("Contents", [])]


def _instance(key: str) -> str:
    """The instance id in the key of a record (`stack.host_status.record_key`)."""
    return key.rpartition(":")[2].removesuffix(".json")


def _tags(instance: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
