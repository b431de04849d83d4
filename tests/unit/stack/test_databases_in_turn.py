"""In the whole program, db-1 is changed only while db-2 serves: nothing of db-1 is registered before the wait for db-2 is over."""

import asyncio
import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from stack.cloud import InstanceState
from stack.outcomes import NotReadyError
from stack.readiness import Clock
from tests import program as program_files
from tests.unit.monitor import Program, StrictMonitor
from tests.unit.stack.conftest import RunMain

LAUNCHED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
EARLIER = "i-earlier"
"""The db-1 of before, as EC2 finds it by its tags."""


@dataclass(frozen=True)
class Fleet:
    """What AWS says: of db-1 that it runs and `serves`, of the others that they run; all but db-2 are ready, and that as told."""

    monitor: StrictMonitor
    serves: bool
    partner_ready: bool

    def running_host(self, own: Mapping[str, str], host: str) -> InstanceState | None:
        assert host == "db-1", "nobody else is held back"
        assert (own["project"], own["environment"]) == ("webstack", "dev")
        return self.instance(EARLIER) if self.serves else None

    def instance(self, instance_id: str) -> InstanceState:
        return InstanceState(id=instance_id, state="running", launched=LAUNCHED)

    def read(self, _bucket: str, key: str) -> bytes | None:
        instance = key.rpartition(":")[2].removesuffix(".json")
        told: dict[str, str] = {"state": "ready", "time": (LAUNCHED + timedelta(seconds=5)).isoformat()}
        if instance == EARLIER:
            return json.dumps(told).encode()
        (host,) = [item for item in self.monitor.program.of("ec2/instance:Instance") if self.monitor.ids[item.urn] == instance]
        if host.name == "dev-db-2" and not self.partner_ready:
            return None
        told["user_data_sha256"] = hashlib.sha256(host.inputs["userData"].encode()).hexdigest()
        if host.name == "dev-lb-1":
            applied = self.monitor.program.named("dev-lb-1-configuration").inputs["content"]
            told["configuration_sha256"] = hashlib.sha256(applied.encode()).hexdigest()
        return json.dumps(told).encode()


class Time:
    """A clock that goes a second further with each look, and leaves the program time for what it does besides."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def sleep(self, _: float) -> None:
        await asyncio.sleep(0.01)
        self.seconds += 1


@contextmanager
def aws(fleet: Fleet) -> Generator[None]:
    time = Time()
    with (
        mock.patch("stack.cloud.Cloud.running_host", side_effect=fleet.running_host),
        mock.patch("stack.cloud.Cloud.instance", side_effect=fleet.instance),
        mock.patch("stack.cloud.Cloud.read", side_effect=fleet.read),
        mock.patch("stack.readiness.Clock", return_value=Clock(now=lambda: time.seconds, sleep=time.sleep)),
    ):
        yield


def registered(main: RunMain, *, serves: bool, partner_ready: bool, fails: bool) -> Program:
    config = {**program_files.stack_config("dev"), "webstack:readiness": {"wait": True, "timeout": 60}}
    monitor = StrictMonitor()
    with aws(Fleet(monitor, serves=serves, partner_ready=partner_ready)):
        if fails:
            with pytest.raises(NotReadyError, match="db-2"):
                main("dev", config, monitor)
        else:
            main("dev", config, monitor)
    return monitor.program


def names(program: Program) -> set[str]:
    return {item.name for item in program.resources}


OF_DB_1 = {"dev-db-1-configuration", "dev-db-1"}


def test_a_db_1_that_serves_is_left_alone_while_db_2_is_not_ready(main: RunMain) -> None:
    program = registered(main, serves=True, partner_ready=False, fails=True)
    assert {"dev-db-2-configuration", "dev-db-2", "dev-lb-1", "dev-web-1", "dev-web-2"} <= names(program), "the rest goes on"
    assert not names(program) & OF_DB_1


def test_db_1_follows_once_db_2_is_ready(main: RunMain) -> None:
    program = registered(main, serves=True, partner_ready=True, fails=False)
    order = [item.name for item in program.resources if item.name in {"dev-db-2-configuration", "dev-db-2"} | OF_DB_1]
    assert order == ["dev-db-2-configuration", "dev-db-2", "dev-db-1-configuration", "dev-db-1"]


def test_a_db_1_that_serves_nothing_waits_for_nobody(main: RunMain) -> None:
    program = registered(main, serves=False, partner_ready=False, fails=True)
    assert names(program) >= OF_DB_1
