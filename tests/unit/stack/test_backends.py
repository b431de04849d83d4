"""The wait for load balancers that send requests to every web host: what of their word counts, and what is said where it does not come."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest

from stack.aws_client import InstanceState, StoredObject
from stack.backends import TIMEOUT, BackendsNotReadyError, BackendWaiter, backend_status
from stack.readiness_record import parse_record
from tests.unit.monitor import RecordedProgram, StrictMonitor, run
from tests.unit.stack.fake_clock import FakeClock

WEB_HOSTS = {"web-1": "10.20.64.5", "web-2": "10.20.80.5"}
KEY = "hosts/AROA:i-1.json"


class FakeHostApi:
    """Records of load balancers by their keys, as they are at a time."""

    def __init__(self, time: FakeClock, records: Mapping[str, Callable[[float], bytes | None]]) -> None:
        self.time, self.records = time, records
        self.reads = 0

    def get_object(self, bucket: str, key: str) -> StoredObject | None:
        assert bucket == "artifacts"
        assert threading.current_thread() is not threading.main_thread(), "a blocking call in the program's thread stops everything else"
        self.reads += 1
        content = self.records[key](self.time.seconds)
        return None if content is None else StoredObject(body=content, age=1.0)

    def describe_instance(self, instance_id: str) -> InstanceState | None:
        raise AssertionError("nobody asks")

    def start_instance(self, instance_id: str) -> None:
        raise AssertionError("nobody asks")

    def find_running_host(self, stack_tags: Mapping[str, str], host: str) -> InstanceState | None:
        raise AssertionError("nobody asks")


def record(up: str, down: str = "", **facts: Any) -> bytes:
    return json.dumps({"state": "ready", "facts": {"servers_up": up, "servers_down": down, **facts}}).encode()


BOTH = " ".join(WEB_HOSTS.values())
OLD = "10.20.64.4 10.20.80.4"


def run_wait(time: FakeClock, records: Mapping[str, Callable[[float], bytes | None]], *, timeout: float = 900) -> RecordedProgram:
    """A program that only waits; what it logged."""
    bucket = FakeHostApi(time, records)

    def body() -> None:
        text = pulumi.Output.from_input
        BackendWaiter(client_factory=lambda: bucket, enabled=True, timeout=timeout, clock=time.clock).require_ready(
            {f"lb-{number}": (text("AROA"), text(f"i-{number}")) for number, _ in enumerate(records, start=1)},
            {host: text(address) for host, address in WEB_HOSTS.items()},
            bucket=text("artifacts"),
            depends_on=[text(None)],
        )

    return run(body, config={}, stack_name="dev", monitor=StrictMonitor())


def test_a_load_balancer_that_has_them_all_up_is_not_waited_for() -> None:
    time = FakeClock()
    assert run_wait(time, {KEY: lambda _: record(f"10.20.64.4 {BOTH}")}).log == []
    assert time.seconds == 0


def test_the_wait_ends_once_every_load_balancer_has_every_web_host_up_and_says_what_it_waits_for() -> None:
    time = FakeClock()

    def first(now: float) -> bytes:
        return record(OLD if now < 5 else WEB_HOSTS["web-1"] if now < 8 else BOTH, "" if now < 5 else "10.20.80.5: L7STS 503")

    program = run_wait(time, {KEY: first, "hosts/AROA:i-2.json": lambda now: record(BOTH if now >= 20 else OLD)})
    assert 20 <= time.seconds < 25
    lines = [line for line in program.log if line.startswith("lb-1")]
    begins = "lb-1: does not send requests to all web hosts yet: "
    assert lines == [
        f"{begins}web-1: does not know it yet (10.20.64.5); web-2: does not know it yet (10.20.80.5)",
        f"{begins}web-2: L7STS 503 (10.20.80.5)",
        "lb-1: sends requests to web-1, web-2",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (record("", "10.20.64.5: L7STS 400; 10.20.80.5: L4TOUT"), ["web-1 after 60 s: L7STS 400 (10", "web-2 after 60 s: L4TOUT (10"]),
        (record(WEB_HOSTS["web-1"], "10.20.80.5: L4CON Connection refused"), ["web-2 after 60 s: L4CON Connection refused (10.20.80.5)"]),
        (record(OLD), ["web-1 after 60 s: does not know it yet", "web-2 after 60 s: does not know it yet"]),
        (None, ["web-1 after 60 s: its record does not say", "web-2"]),
        (b"{", ["web-1 after 60 s: its record cannot be read: it is not JSON", "web-2"]),
        (b"[" * 200_000, ["web-1 after 60 s: its record cannot be read: it is not JSON", "web-2"]),
        (b"[]", ["web-1 after 60 s: its record cannot be read: it is not a JSON object", "web-2"]),
        (b'{"facts": []}', ["web-1 after 60 s: its record cannot be read: `facts` is not a JSON object", "web-2"]),
        (b'{"facts": {"servers_up": 3}}', ["web-1 after 60 s: its record cannot be read: `facts.servers_up` is not text", "web-2"]),
        (json.dumps({"facts": {"active": "true"}}).encode(), ["web-1 after 60 s: its record does not say", "web-2"]),
    ],
    ids=[
        "refused",
        "one is away",
        "only the old ones",
        "no record",
        "half a record",
        "no end",
        "a list",
        "no facts",
        "a number",
        "an older host",
    ],
)
def test_what_a_load_balancer_says_of_a_web_host_that_it_sends_nothing_to_ends_the_up(content: bytes | None, told: list[str]) -> None:
    time = FakeClock()
    with pytest.raises(BackendsNotReadyError) as failed:
        run_wait(time, {KEY: lambda _: content}, timeout=60)
    assert time.seconds == 60
    lines = str(failed.value).splitlines()
    assert [line.startswith(f"lb-1 sends no requests to {begins}") for line, begins in zip(lines, told, strict=False)] == [True] * len(told)
    assert lines[len(told)] == ""
    assert "Nothing was deleted" in lines[-1]


def test_an_api_that_does_not_answer_is_asked_again() -> None:
    time = FakeClock()

    def broken(now: float) -> bytes:
        if now < 10:
            raise ConnectionError("no route")
        return record(BOTH)

    program = run_wait(time, {KEY: broken})
    assert "AWS does not answer: ConnectionError: no route" in program.log[0]
    assert time.seconds == 10


def test_nobody_waits_for_longer_than_a_load_balancer_needs() -> None:
    time = FakeClock()
    with pytest.raises(BackendsNotReadyError):
        run_wait(time, {KEY: lambda _: record(OLD)}, timeout=7200)
    assert time.seconds == TIMEOUT


def test_nothing_is_asked_where_nobody_waits() -> None:
    def never() -> FakeHostApi:
        raise AssertionError("AWS was asked")

    async def asked() -> None:
        text = pulumi.Output.from_input
        done = BackendWaiter(client_factory=never, enabled=False, timeout=60).require_ready(
            {"lb-1": (text("AROA"), text("i-1"))}, {"web-1": text("10.20.64.5")}, bucket=text("artifacts"), depends_on=[]
        )
        assert await done.future() is None

    asyncio.run(asked())


def test_a_word_is_read_as_load_balancers_write_it() -> None:
    word = backend_status(parse_record(record(BOTH, "10.20.64.9: L7STS 400; 10.20.64.10: L4CON Connection refused")))
    assert word is not None
    assert word.up == set(WEB_HOSTS.values())
    assert (word.down_reason("10.20.64.9"), word.down_reason("10.20.64.10")) == ("L7STS 400", "L4CON Connection refused")
