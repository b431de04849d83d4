"""In the whole program: nothing of db-1 is registered before the wait for db-2 is over, nor of lb-1 before that for the web hosts."""

import asyncio
import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from stack.aws_client import InstanceState, StoredObject
from stack.readiness import Clock
from stack.wait_result import HostsNotReadyError
from tests import program_files as program_files
from tests.unit.monitor import RecordedProgram, StrictMonitor
from tests.unit.stack.conftest import MainRunner

LAUNCHED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
NAMES_OF_WEB_HOSTS = {"dev-web-name", "dev-web-standby-name"}
DEPLOYED_INSTANCE = "i-earlier"
"""The db-1 or lb-1 of before, as EC2 finds it by its tags."""


@dataclass(frozen=True)
class FakeFleet:
    """What AWS says: of db-1 and lb-1 that they run and serve where `serving`, of the others that they run; all but `unready` are ready."""

    monitor: StrictMonitor
    serving: bool
    unready: str

    def find_running_host(self, stack_tags: Mapping[str, str], host: str) -> InstanceState | None:
        assert host in {"db-1", "lb-1"}, "nobody else is held back"
        assert (stack_tags["project"], stack_tags["environment"]) == ("webstack", "dev")
        return self.describe_instance(DEPLOYED_INSTANCE) if self.serving else None

    def describe_instance(self, instance_id: str) -> InstanceState:
        return InstanceState(id=instance_id, state="running", launch_time=LAUNCHED)

    def get_object(self, _bucket: str, key: str) -> StoredObject | None:
        instance = key.rpartition(":")[2].removesuffix(".json")
        told: dict[str, Any] = {"state": "ready", "time": (LAUNCHED + timedelta(seconds=5)).isoformat()}
        if instance == DEPLOYED_INSTANCE:
            return StoredObject(body=json.dumps(told).encode(), age=1.0)
        (host,) = [item for item in self.monitor.program.by_type("ec2/instance:Instance") if self.monitor.ids[item.urn] == instance]
        if host.name == f"dev-{self.unready}":
            return None
        told["user_data_sha256"] = hashlib.sha256(host.inputs["userData"].encode()).hexdigest()
        if host.name == "dev-lb-1":
            applied = self.monitor.program.by_name("dev-lb-1-configuration").inputs["content"]
            told["configuration_sha256"] = hashlib.sha256(applied.encode()).hexdigest()
            named = [item.inputs["records"] for item in self.monitor.program.resources if item.name in NAMES_OF_WEB_HOSTS]
            told["facts"] = {"servers_up": " ".join(address for addresses in named for address in addresses)}
        return StoredObject(body=json.dumps(told).encode(), age=1.0)


class TickingClock:
    """A clock that goes a second further with each look, and leaves the program time for what it does besides."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def sleep(self, _: float) -> None:
        await asyncio.sleep(0.01)
        self.seconds += 1


@contextmanager
def patched_aws(fleet: FakeFleet) -> Generator[None]:
    time = TickingClock()
    with (
        mock.patch("stack.aws_client.AwsClient.find_running_host", side_effect=fleet.find_running_host),
        mock.patch("stack.aws_client.AwsClient.describe_instance", side_effect=fleet.describe_instance),
        mock.patch("stack.aws_client.AwsClient.get_object", side_effect=fleet.get_object),
        mock.patch("stack.readiness.Clock", return_value=Clock(now=lambda: time.seconds, sleep=time.sleep)),
        mock.patch("stack.backends.Clock", return_value=Clock(now=lambda: time.seconds, sleep=time.sleep)),
    ):
        yield


def run_stack(main: MainRunner, *, serves: bool, unready: str = "") -> RecordedProgram:
    config = {**program_files.stack_config("dev"), "webstack:readiness": {"wait": True, "timeout": 60, "site": False}}
    monitor = StrictMonitor()
    with patched_aws(FakeFleet(monitor, serving=serves, unready=unready)):
        if unready:
            with pytest.raises(HostsNotReadyError, match=unready):
                main("dev", config, monitor)
        else:
            main("dev", config, monitor)
    return monitor.program


def resource_names(program: RecordedProgram) -> set[str]:
    return {item.name for item in program.resources}


DB_1_RESOURCES = {"dev-db-1-configuration", "dev-db-1"}


def test_a_db_1_that_serves_is_left_alone_while_db_2_is_not_ready(main: MainRunner) -> None:
    program = run_stack(main, serves=True, unready="db-2")
    assert {"dev-db-2-configuration", "dev-db-2", "dev-lb-1", "dev-web-1", "dev-web-2"} <= resource_names(program), "the rest goes on"
    assert not resource_names(program) & DB_1_RESOURCES


def test_db_1_follows_once_db_2_is_ready(main: MainRunner) -> None:
    program = run_stack(main, serves=True)
    order = [item.name for item in program.resources if item.name in {"dev-db-2-configuration", "dev-db-2"} | DB_1_RESOURCES]
    assert order == ["dev-db-2-configuration", "dev-db-2", "dev-db-1-configuration", "dev-db-1"]


def test_a_db_1_that_serves_nothing_waits_for_nobody(main: MainRunner) -> None:
    program = run_stack(main, serves=False, unready="db-2")
    assert resource_names(program) >= DB_1_RESOURCES


LB_1_RESOURCES = {"dev-lb-1-configuration", "dev-lb-1"}


def test_a_load_balancer_that_serves_is_left_alone_while_a_web_host_is_not_ready(main: MainRunner) -> None:
    program = run_stack(main, serves=True, unready="web-2")
    assert {"dev-web-1", "dev-web-2", "dev-db-1"} <= resource_names(program), "the rest goes on"
    assert not resource_names(program) & LB_1_RESOURCES, (
        "another domain's certificate would be served before a web host answers to that name"
    )


def test_a_load_balancer_that_serves_nothing_waits_for_nobody(main: MainRunner) -> None:
    assert resource_names(run_stack(main, serves=False, unready="web-2")) >= LB_1_RESOURCES
