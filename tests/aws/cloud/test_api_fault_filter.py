"""An API that throttles, is slow or is down: whom it strikes, how often, and what clients see of it."""

import asyncio
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from lab.cloud.api_fault_filter import ApiFaultFilter
from lab.cloud.api_gateway import ApiGateway, loopback_listener
from lab.cloud.calls import Call
from lab.cloud.certificates import CertificateIssuer, ensure_ca
from lab.hypervisor.faults.kinds.api import ApiDown, ApiSlow, ApiThrottle
from tests.aws.cloud.support import REGION, LoopThread, client

_DESCRIBE = Call(service="ec2", action="DescribeVpcs")
_GET = Call(service="s3", action="GetObject")

DELAY = 432.1 / 1000
"""Seconds that nothing else waits."""


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_fault_every_call_goes_its_way() -> None:
    outcome = ApiFaultFilter().evaluate(_DESCRIBE)
    assert (outcome.delay, outcome.throttled, outcome.drop_connection) == (0, False, False)


def test_a_share_of_the_calls_is_struck_as_the_lot_falls() -> None:
    lots = iter([0.0, 0.29, 0.3, 0.99])
    faults = ApiFaultFilter(rng=lambda: next(lots))
    faults.set_faults([ApiThrottle(percent=30)])
    assert [faults.evaluate(_DESCRIBE).throttled for _ in range(4)] == [True, True, False, False]


def test_a_fault_of_one_service_leaves_the_others_alone() -> None:
    faults = ApiFaultFilter()
    faults.set_faults([ApiDown(service="s3"), ApiSlow(service="ec2", milliseconds=2000)])
    assert (faults.evaluate(_GET).drop_connection, faults.evaluate(_GET).delay) == (True, 0)
    assert (faults.evaluate(_DESCRIBE).drop_connection, faults.evaluate(_DESCRIBE).delay) == (False, 2)


def test_a_rate_lets_a_second_of_calls_through_and_then_as_many_as_it_says() -> None:
    clock = Clock()
    faults = ApiFaultFilter(clock=clock)
    fault = ApiThrottle(rate=4)
    faults.set_faults([fault])

    def passed(calls: int, call: Call = _DESCRIBE) -> int:
        return sum(not faults.evaluate(call).throttled for _ in range(calls))

    assert passed(10) == 4
    assert passed(10, _GET) == 4, "each service has a limit of its own, as on AWS"
    clock.now += 0.5
    assert passed(10) == 2
    faults.set_faults([fault, ApiSlow(milliseconds=1000)])
    assert passed(10) == 0, "another fault beside it does not fill the bucket"
    clock.now += 60
    assert passed(10) == 4, "what is not used is not saved up"


def test_a_rate_below_one_lets_a_call_through_now_and_then() -> None:
    clock = Clock()
    faults = ApiFaultFilter(clock=clock)
    faults.set_faults([ApiThrottle(rate=0.5)])
    seen: list[bool] = []
    for _ in range(5):
        seen.append(not faults.evaluate(_DESCRIBE).throttled)
        clock.now += 1
    assert seen == [True, False, True, False, True]


def test_delays_add_up_and_a_fault_taken_back_is_gone() -> None:
    faults = ApiFaultFilter()
    faults.set_faults([ApiSlow(milliseconds=1000), ApiSlow(service="ec2", milliseconds=2000)])
    assert (faults.evaluate(_DESCRIBE).delay, faults.evaluate(_GET).delay) == (3, 1)
    faults.set_faults([])
    assert faults.evaluate(_DESCRIBE).delay == 0


# What clients see, at a real door.


class GatewayHarness:
    """A front with two doors, and the faults that a test gives it. By its clock half a second passes from one look to the next."""

    def __init__(self, api: str, loop: LoopThread, folder: Path) -> None:
        self.faults = ApiFaultFilter(clock=itertools.count(step=0.5).__next__)
        self.told: list[str] = []
        self.log_file = folder / "calls.jsonl"
        front = ApiGateway(api, on_change=self._changed, faults=self.faults, log_file=self.log_file)
        self.certificate, key = ensure_ca(folder)
        loop.run(front.start())
        loop.add_cleanup(front.stop)
        plain, secured = loopback_listener(0), loopback_listener(0)
        self.url = f"http://127.0.0.1:{plain.getsockname()[1]}"
        self.tls_url = f"https://localhost:{secured.getsockname()[1]}"
        loop.run(front.add_listener(plain))
        loop.run(front.add_listener(secured, CertificateIssuer(self.certificate, key).server_context("amazonaws.com")))

    def _changed(self, *, region: str, service: str, action: str, parameters: object) -> None:
        del region, service, parameters
        self.told.append(action)


@pytest.fixture
def door(api: str, loop: LoopThread, tmp_path: Path) -> GatewayHarness:
    return GatewayHarness(api, loop, tmp_path)


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code", "status"),
    [
        ("ec2", "describe_vpcs", {}, "RequestLimitExceeded", 503),
        ("s3", "list_buckets", {}, "SlowDown", 503),
        ("sts", "get_caller_identity", {}, "Throttling", 400),
        ("iam", "list_roles", {}, "Throttling", 400),
        ("route53", "list_hosted_zones", {}, "Throttling", 400),
        ("secretsmanager", "list_secrets", {}, "ThrottlingException", 400),
        ("ssm", "describe_parameters", {}, "ThrottlingException", 400),
        ("logs", "describe_log_groups", {}, "ThrottlingException", 400),
        ("cloudwatch", "list_metrics", {}, "ThrottlingException", 400),
    ],
)
def test_each_service_throttles_in_its_own_words(
    door: GatewayHarness, service: str, operation: str, arguments: dict[str, str], code: str, status: int
) -> None:
    door.faults.set_faults([ApiThrottle(percent=100)])
    with pytest.raises(ClientError) as caught:
        getattr(client(service, door.url), operation)(**arguments)
    assert caught.value.response.get("Error", {}).get("Code") == code
    assert caught.value.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == status
    door.faults.set_faults([])
    getattr(client(service, door.url), operation)(**arguments)


def test_a_throttled_call_is_not_done_and_not_told(door: GatewayHarness) -> None:
    ec2 = client("ec2", door.url)
    before = len(ec2.describe_vpcs()["Vpcs"])
    door.faults.set_faults([ApiThrottle(percent=100)])
    with pytest.raises(ClientError):
        ec2.create_vpc(CidrBlock="10.20.0.0/16")
    door.faults.set_faults([])
    assert (len(ec2.describe_vpcs()["Vpcs"]), door.told) == (before, [])


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
def test_an_api_that_is_down_closes_without_an_answer_and_does_nothing(door: GatewayHarness, secured: bool) -> None:
    calm = client("ec2", door.url)
    before = len(calm.describe_vpcs()["Vpcs"])
    ec2 = client("ec2", door.tls_url, verify=door.certificate) if secured else calm
    door.faults.set_faults([ApiDown(service="ec2")])
    with pytest.raises(ConnectionClosedError):
        ec2.create_vpc(CidrBlock="10.20.0.0/16")
    client("s3", door.url).list_buckets()
    door.faults.set_faults([])
    assert (len(ec2.describe_vpcs()["Vpcs"]), door.told) == (before, [])


def test_boto3s_own_retries_get_through_an_api_that_throttles_many_calls(door: GatewayHarness) -> None:
    patient = boto3.client(
        "ec2",
        endpoint_url=door.url,
        region_name=REGION,
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret-of-the-test",
        config=Config(retries={"total_max_attempts": 8, "mode": "standard"}),
    )
    door.faults.set_faults([ApiThrottle(rate=1)])
    retried: list[int] = []
    for _ in range(3):
        retried.append(patient.describe_vpcs()["ResponseMetadata"].get("RetryAttempts", 0))
    assert retried == [0, 1, 1], "by its clock a call comes each half second, and every other one is refused"


def test_a_slow_api_answers_late_and_side_by_side(door: GatewayHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls wait until four of them do: one after the other they would wait for ever."""
    four = asyncio.Barrier(4)
    waited: list[float] = []
    sleep = asyncio.sleep

    async def meet(delay: float) -> None:
        if delay != DELAY:
            await sleep(delay)
            return
        await four.wait()
        waited.append(delay)

    monkeypatch.setattr(asyncio, "sleep", meet)
    ec2 = client("ec2", door.url)
    door.faults.set_faults([ApiSlow(milliseconds=432.1)])
    with ThreadPoolExecutor(4) as threads:
        for call in [threads.submit(ec2.describe_vpcs) for _ in range(4)]:
            call.result()
    assert waited == [DELAY] * 4
    door.faults.set_faults([])
    assert {line["status"] for line in map(json.loads, door.log_file.read_text().splitlines())} == {200}
