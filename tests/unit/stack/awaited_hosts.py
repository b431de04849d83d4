"""Hosts that are waited for: their records, an AWS that answers from a script, and the wait itself."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi

from stack.aws_client import InstanceState, StoredObject
from stack.host_status import MAX_MISSED_RENEWALS, RENEWAL_GRACE_SECONDS, record_key
from stack.readiness import AwaitedHost, ReadinessWaiter
from stack.tags import stack_tags
from stack.wait_result import WaitResult
from tests.unit.monitor import StrictMonitor, run
from tests.unit.stack.fake_clock import FakeClock

LAUNCHED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
OWN = stack_tags("dev", "x7k2")
TEXT = "#cloud-config\n"
SHA = hashlib.sha256(TEXT.encode()).hexdigest()
RUNNING = InstanceState(id="i-1", state="running", launch_time=LAUNCHED)


def record(state: str = "ready", *, sha: str = SHA, after: float = 5, reason: str = "serves", detail: tuple[str, ...] = ()) -> bytes:
    moment = (LAUNCHED + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"state": state, "reason": reason, "detail": detail, "user_data_sha256": sha, "time": moment}).encode()


def serving_record(in_force: str | None, problem: dict[str, Any] | None = None) -> bytes:
    told = json.loads(record())
    return json.dumps({**told, "configuration_sha256": in_force, "configuration_problem": problem}).encode()


RENEWED = 70
LATE = MAX_MISSED_RENEWALS * RENEWED + RENEWAL_GRACE_SECONDS


def renewed_record(state: str = "ready", **changes: Any) -> bytes:
    """The word of a host that renews it."""
    return json.dumps({**json.loads(record(state, **changes)), "heartbeat_seconds": RENEWED}).encode()


NEW, OLD = "1" * 64, "2" * 64


@dataclass
class FakeHostApi:
    """Answers from a script: `records` by key, as functions of the time."""

    now: Callable[[], float] = lambda: 0.0
    instances: dict[str, InstanceState] = field(default_factory=dict[str, InstanceState])
    records: dict[str, Callable[[float], bytes | None]] = field(default_factory=dict[str, Callable[[float], bytes | None]])
    hosts: dict[str, InstanceState] = field(default_factory=dict[str, InstanceState])
    broken_until: float = -1
    unknown_until: float = -1
    started: list[str] = field(default_factory=list[str])
    starts_until: float = float("inf")
    written: float | None = None
    """When the records were written; None: just now."""

    def start_instance(self, instance_id: str) -> None:
        if self.now() < self.broken_until:
            raise ConnectionError("no route")
        self.started.append(instance_id)
        if self.now() < self.starts_until:
            self.instances[instance_id] = InstanceState(id=instance_id, state="pending", launch_time=LAUNCHED + timedelta(seconds=1))

    def describe_instance(self, instance_id: str) -> InstanceState | None:
        if self.now() < self.broken_until:
            raise ConnectionError("no route")
        if self.now() < self.unknown_until:
            return None
        return self.instances.get(instance_id, InstanceState(id=instance_id, state="running", launch_time=LAUNCHED))

    def find_running_host(self, stack_tags: Mapping[str, str], host: str) -> InstanceState | None:
        if self.now() < self.broken_until:
            raise ConnectionError("no route")
        assert stack_tags == OWN
        return self.hosts.get(host)

    def get_object(self, bucket: str, key: str) -> StoredObject | None:
        assert bucket == "artifacts"
        body = self.records.get(key, lambda _: None)(self.now())
        return None if body is None else StoredObject(body=body, age=0 if self.written is None else self.now() - self.written)


def readiness(aws: FakeHostApi, time: FakeClock, *, enabled: bool = True, timeout: float = 60) -> ReadinessWaiter:
    aws.now = lambda: time.seconds
    return ReadinessWaiter(client_factory=lambda: aws, enabled=enabled, timeout=timeout, clock=time.clock)


def target(host: str = "web-1", instance: str = "i-1") -> AwaitedHost:
    return AwaitedHost(host=host, instance_id=instance, bucket="artifacts", role_id="AROA", user_data_sha256=SHA)


def available_at(seconds: float, content: bytes, before: bytes | None = None) -> Callable[[float], bytes | None]:
    return lambda now: content if now >= seconds else before


KEY = record_key("AROA", "i-1")


def log_hint(instance: str) -> str:
    """The line that says where a host's whole log is."""
    return f"    full log: `aws ssm start-session --target {instance}`, then `journalctl -b`; in the lab `webstack lab logs {instance}`"


def failing_every(seconds: float, *, until: float = float("inf")) -> Callable[[float], bytes]:
    """The word of a host that has failed long ago and tries again, at last with success."""
    return lambda now: record(after=now) if now >= until else record("failed", after=100 + now // seconds, reason="no bundle")


def stopped() -> dict[str, InstanceState]:
    return {"i-1": InstanceState(id="i-1", state="stopped", launch_time=LAUNCHED)}


def run_program(body: Callable[[], None], *, preview: bool = False) -> Any:
    return run(body, monitor=StrictMonitor(preview=preview))


def wait_for(wait: ReadinessWaiter, host: str, instance: pulumi.Input[str], *, replaceable: bool = False) -> pulumi.Output[WaitResult]:
    text = pulumi.Output.from_input
    return wait.wait(
        host, instance=text(instance), bucket=text("artifacts"), role_id=text("AROA"), user_data=text(TEXT), replaceable=replaceable
    )


def flapping_record(*, until: float) -> Callable[[float], bytes]:
    """The words of a host that served, does not, and serves again from then on."""

    def word(now: float) -> bytes:
        return renewed_record("ready" if now >= until else "failed" if now >= 10 else "unready", after=5 + now // 15)

    return word


DB_1 = InstanceState(id="i-1", state="running", launch_time=LAUNCHED)
