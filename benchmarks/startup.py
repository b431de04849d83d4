"""From `webstack lab up` to serving, and what the time goes into.

Nothing is instrumented: every moment is read afterwards from what the parts record anyway. The engine's state holds when each resource
was created, the artifact bucket is versioned and so holds every word of the hosts' readiness, systemd, cloud-init and MySQL keep their
own times. The steps of the critical path follow one another, so they add up to the whole.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

import boto3

from benchmarks.bench_lab import BenchLab, BenchmarkError
from benchmarks.results import Measurement
from lab import admin_keys
from lab.engine.engine import isolated_aws_environment
from lab.names import LabNames

REGION = "eu-central-1"

FIRST_DATABASE = "db-1"
SECOND_DATABASE = "db-2"

_PROBE = """
import json, subprocess, time
shift = time.time() - time.monotonic()
def shown(name, *unit):
    out = subprocess.run(["systemctl", "show", "--value", "-p", name, *unit], capture_output=True, text=True, check=True).stdout
    return shift + int(out) / 1e6
stages = json.load(open("/run/cloud-init/status.json"))["v1"]
boot = time.time() - float(open("/proc/uptime").read().split()[0])
print(json.dumps({
    "userspace": shown("UserspaceTimestampMonotonic"),
    "cloud_init": boot + stages["init-local"]["start"],
    "user_script": boot + stages["modules-final"]["start"],
    "mysqld": shown("ActiveEnterTimestampMonotonic", "mysql.service"),
}))
"""
"""Run on a host. systemd's monotonic clock and cloud-init's uptime are this machine's own: its kernel is the hosts'."""

_CLONE = "SELECT UNIX_TIMESTAMP(BEGIN_TIME), UNIX_TIMESTAMP(END_TIME) FROM performance_schema.clone_status"


@dataclass(frozen=True, kw_only=True)
class ReadinessRecord:
    """One readiness record of a host."""

    host: str
    state: Literal["starting", "ready", "failed"]
    reason: str
    time: float


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """When the engine created what: resources by their name, and its end."""

    created: Mapping[str, float]
    types: Mapping[str, str]
    finished: float

    @property
    def started(self) -> float:
        """When the program registered its first resource."""
        return min(self.created.values())

    def of_kind(self, kind: str) -> dict[str, float]:
        """Creation times of the resources of one type."""
        return {name: time for name, time in self.created.items() if self.types[name] == kind}


def measure(lab: BenchLab) -> list[Measurement]:
    """The whole, the critical path's steps in order, and what went on beside it. Raises BenchmarkError."""
    state = engine_state(lab.names)
    records = readiness_records(lab.names)
    ready = {word.host: word.time for word in records if word.state == "ready"}
    first_database_records = [word for word in records if word.host == FIRST_DATABASE]
    probe: dict[str, float] = json.loads(lab.run_on(FIRST_DATABASE, "python3", "-c", _PROBE))
    webs = [time for host, time in ready.items() if host.startswith("web-")]
    instances = state.of_kind("aws:ec2/instance:Instance")
    instance = lab.run_on(FIRST_DATABASE, "cat", "/run/cloud-init/.instance-id").strip()
    path = [
        ("the command was given", lab.up_started),
        ("daemon: the lab's daemon answers", daemon_started(lab.names)),
        ("engine start: its first resource", state.started),
        ("resources: db-1's instance begins to boot", log_time(lab.names.daemon_log, f"{instance}: boot")),
        ("boot: db-1's systemd runs", probe["userspace"]),
        ("boot: cloud-init begins", probe["cloud_init"]),
        ("cloud-init: its last stage begins", probe["user_script"]),
        ("cloud-init: packages, the role's bundle", first_database_records[0].time),
        ("MySQL: data volume mounted, database to be made", first_time(first_database_records, "the stack has no data yet")),
        ("MySQL: database made", first_time(first_database_records, "a database begun here is not claimed yet")),
        ("MySQL: mysqld runs", probe["mysqld"]),
        ("MySQL: db-1 open for writes, accounts made", ready[FIRST_DATABASE]),
        ("web: migrations, Gunicorn; the last web host is ready", max(webs)),
        ("readiness: the engine has seen it and put it into DNS", max(state.of_kind("aws:route53/record:Record").values())),
        ("load balancer: serves HTTPS", ready["lb-1"]),
        ("readiness: the engine has seen it and ended", state.finished),
        ("the command returned", lab.up_finished),
    ]
    begin, end = (float(text) for text in lab.run_on(SECOND_DATABASE, "mysql", "-BNe", _CLONE).split())
    boots = max(instances.values()) - state.started
    return [
        Measurement(
            name="lab up, until the command returned", value=lab.up_finished - lab.up_started, unit="s", note="packages and caches warm"
        ),
        Measurement(name="lab up, until HTTPS is served", value=ready["lb-1"] - lab.up_started, unit="s", note="by lb-1's own check"),
        *steps(path),
        Measurement(name=f"beside: all {len(state.created)} resources up to the last instance", value=boots, unit="s"),
        Measurement(name="beside: clone of db-1's data by db-2", value=end - begin, unit="s"),
        Measurement(name="beside: from the clone to a ready replica", value=ready[SECOND_DATABASE] - end, unit="s", note="mysqld restarts"),
        Measurement(name="beside: db-2 ready", value=ready[SECOND_DATABASE] - lab.up_started, unit="s", note="since the command"),
    ]


def steps(path: Sequence[tuple[str, float]]) -> list[Measurement]:
    """The seconds between each moment and the one before it; a negative one shows that the two did not wait for each other."""
    return [
        Measurement(name=f"path {number:2}: {name}", value=time - before, unit="s")
        for number, ((_, before), (name, time)) in enumerate(itertools.pairwise(path), start=1)
    ]


def first_time(records: Sequence[ReadinessRecord], reason: str) -> float:
    """When a host first gave a reason that begins so. Raises BenchmarkError where it never did."""
    for record in records:
        if record.reason.startswith(reason):
            return record.time
    raise BenchmarkError(f"no readiness record begins with {reason!r}; there are: {', '.join(word.reason for word in records)}")


def engine_state(names: LabNames) -> EngineState:
    """Reads the engine's backend. Raises BenchmarkError where it holds not exactly one stack."""
    files = [path for path in (names.state_dir / "engine" / "backend" / ".pulumi" / "stacks").rglob("*.json") if path.is_file()]
    if len(files) != 1:
        raise BenchmarkError(f"{len(files)} stacks in the lab's backend, not one: {files}")
    latest = cast("dict[str, Any]", json.loads(files[0].read_text())["checkpoint"]["latest"])
    resources = cast("list[dict[str, str]]", latest["resources"])
    # A URN is unique with its chain of types; the name alone is not.
    by_name = {"::".join(resource["urn"].split("::")[2:]): resource for resource in resources}
    return EngineState(
        created={name: seconds(resource["created"]) for name, resource in by_name.items()},
        types={name: resource["type"] for name, resource in by_name.items()},
        finished=seconds(str(latest["manifest"]["time"])),
    )


def readiness_records(names: LabNames) -> list[ReadinessRecord]:
    """Every record that hosts wrote, in the order of time: the bucket keeps the versions. Raises what the API raises."""
    records: list[ReadinessRecord] = []
    with isolated_aws_environment(names.api_endpoint, admin_keys.read_admin_key(names)):
        client = boto3.client("s3", region_name=REGION)
        for bucket in client.list_buckets()["Buckets"]:
            name = bucket.get("Name", "")
            for page in client.get_paginator("list_object_versions").paginate(Bucket=name, Prefix="hosts/"):
                for version in page.get("Versions", []):
                    record: dict[str, Any] = json.loads(
                        client.get_object(Bucket=name, Key=version.get("Key", ""), VersionId=version.get("VersionId", ""))["Body"].read()
                    )
                    records.append(
                        ReadinessRecord(host=record["host"], state=record["state"], reason=record["reason"], time=seconds(record["time"]))
                    )
    return sorted(records, key=lambda word: word.time)


def daemon_started(names: LabNames) -> float:
    """When the daemon said in its log that it runs. Raises BenchmarkError."""
    return log_time(names.daemon_log, "lab.daemon INFO")


def log_time(path: Path, text: str) -> float:
    """The time of the first line of a log that holds `text`; its times are local and have milliseconds after a comma."""
    for line in path.read_text(errors="replace").splitlines():
        if text in line:
            return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
    raise BenchmarkError(f"{path} has no line with {text!r}")


def seconds(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time in UTC; digits beyond the microsecond are let go."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{fraction or 0}")
