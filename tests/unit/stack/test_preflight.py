"""The configuration beside AWS's answers: what is refused, and that nothing but an answer refuses."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from unittest import mock

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError
from moto.ec2.models.instance_types import INSTANCE_TYPES

from stack import configuration
from stack.aws_config import AwsConfig
from stack.deployed import DeployedStack
from stack.preflight import DesiredStack, preflight_problems
from stack.problems import ConfigurationError, Problem
from stack.settings import parse, parse_with_problems
from tests.unit.monitor import StrictMonitor, run

ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
TYPES = ("t3.small", "t3.medium", "m7i.large")
EXISTING = DeployedStack(stack_id="x7k2abcd", zones=ZONES[:2], vpc_cidr="10.20.0.0/16")

Page = dict[str, Any]


def described(name: str, **more: Any) -> Page:
    return {
        "InstanceType": name,
        "Hypervisor": "nitro",
        "BareMetal": False,
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "EbsInfo": {"NvmeSupport": "required"},
        **more,
    }


def offers(*zones: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(TYPES, zones or ZONES)


@dataclass
class FakeEc2:
    """EC2 as far as it is asked: answers by operation, in two pages; `errors` are raised instead."""

    types: Mapping[str, Page] = field(default_factory=lambda: {name: described(name) for name in TYPES})
    zones: Mapping[str, tuple[str, ...]] = field(default_factory=offers)
    volumes: list[Page] = field(default_factory=list[Page])
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Host → instance type, of the instances that are there."""
    errors: Mapping[str, Exception] = field(default_factory=dict[str, Exception])
    asked: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def get_paginator(self, operation: str) -> Any:
        ec2 = self

        class Paginator:
            def paginate(self, **arguments: Any) -> Iterator[Page]:
                ec2.asked[operation] = {**arguments, "Filters": {one["Name"]: one["Values"] for one in arguments["Filters"]}}
                if operation in ec2.errors:
                    raise ec2.errors[operation]
                yield from ec2.pages(operation, ec2.asked[operation]["Filters"])

        return Paginator()

    def pages(self, operation: str, filters: dict[str, list[str]]) -> Iterator[Page]:
        names = filters.get("instance-type", [])
        key, found = {
            "describe_instance_types": ("InstanceTypes", [one for name, one in self.types.items() if name in names]),
            "describe_instance_type_offerings": (
                "InstanceTypeOfferings",
                [{"InstanceType": name, "Location": zone} for name, zones in self.zones.items() if name in names for zone in zones],
            ),
            "describe_volumes": ("Volumes", self.volumes),
            "describe_instances": (
                "Reservations",
                [{"Instances": [{"InstanceType": one, "Tags": [{"Key": "host", "Value": host}]}]} for host, one in self.hosts.items()],
            ),
        }[operation]
        yield {key: found[:1]}
        yield {key: found[1:]}


def desired(
    raw: Mapping[str, object] | None = None, *, zones: tuple[str, ...] = ZONES[:2], wrong: frozenset[str] = frozenset()
) -> DesiredStack:
    return DesiredStack(stack="dev", settings=parse(raw or {}), invalid_keys=wrong, zones=zones, region_zones=ZONES, region="eu-central-1")


def run_preflight(
    ec2: FakeEc2 | Callable[[], Any], asked: DesiredStack | None = None, existing: DeployedStack = EXISTING, seconds: float = 30
) -> tuple[list[Problem], list[str]]:
    """The problems, and what the program logs."""
    found: list[Problem] = []

    def door() -> Any:
        return ec2 if isinstance(ec2, FakeEc2) else ec2()

    def body() -> None:
        found.extend(preflight_problems(asked or desired(), existing, cast("Any", door), timeout=seconds))

    return found, run(body, monitor=StrictMonitor(preview=True)).log


STACK_FILTERS = {"tag:project": ["webstack"], "tag:environment": ["dev"], "tag:stack-id": ["x7k2abcd"]}
"""By which the stack's own are asked for."""


def test_what_aws_offers_is_accepted_without_a_word() -> None:
    volumes = [{"VolumeId": "vol-1", "Size": 20}, {"VolumeId": "vol-2", "Size": 20}]
    ec2 = FakeEc2(volumes=volumes)
    assert run_preflight(ec2) == ([], [])
    assert ec2.asked["describe_instance_type_offerings"]["LocationType"] == "availability-zone"
    assert ec2.asked["describe_volumes"]["Filters"] == {
        **STACK_FILTERS,
        "tag:Name": ["dev-db-1-data", "dev-db-2-data"],
        "status": ["creating", "available", "in-use"],
    }


INCOMPATIBLE = [
    (None, "AWS knows none of this name there"),
    (described("m7i.large", ProcessorInfo={"SupportedArchitectures": ["arm64"]}), "AWS says arm64"),
    (described("m7i.large", Hypervisor="xen"), "hypervisor xen"),
    (described("m7i.large", EbsInfo={"NvmeSupport": "unsupported"}), "NVMe unsupported"),
]


@pytest.mark.parametrize(("answer", "rule"), INCOMPATIBLE, ids=["unknown", "arm64", "xen", "no-nvme"])
def test_a_type_that_does_not_fit_is_named_for_every_tier_that_has_it(answer: Page | None, rule: str) -> None:
    types = {name: described(name) for name in TYPES if name != "m7i.large"} | ({"m7i.large": answer} if answer else {})
    raw = {"web": {"instanceType": "m7i.large"}, "database": {"instanceType": "m7i.large"}}
    found, log = run_preflight(FakeEc2(types=types), desired(raw))
    assert [(one.key, one.value) for one in found] == [
        ("webstack:web.instanceType", "m7i.large"),
        ("webstack:database.instanceType", "m7i.large"),
    ]
    assert rule in found[0].rule
    assert found[0].remedy.startswith("choose")
    assert log == []


def test_bare_metal_has_no_hypervisor_and_fits() -> None:
    metal = described("m7i.metal-24xl", BareMetal=True)
    del metal["Hypervisor"]
    ec2 = FakeEc2(types={"t3.small": described("t3.small"), "t3.medium": described("t3.medium"), "m7i.metal-24xl": metal}, zones={})
    assert run_preflight(ec2, desired({"web": {"instanceType": "m7i.metal-24xl"}})) == ([], [])


def test_a_type_must_be_offered_where_the_tiers_hosts_are() -> None:
    ec2 = FakeEc2(zones=offers() | {"m7i.large": ZONES[:1]})
    (found,) = run_preflight(ec2, desired({"web": {"instanceType": "m7i.large"}}))[0]
    assert (found.key, found.value) == ("webstack:web.instanceType", "m7i.large")
    assert "it is in eu-central-1a, not in eu-central-1b" in found.rule
    # The one load balancer is in the first zone only, and so is a database without a replica.
    assert run_preflight(ec2, desired({"loadBalancer": {"instanceType": "m7i.large"}}))[0] == []
    assert run_preflight(ec2, desired({"database": {"instanceType": "m7i.large", "replica": False}}))[0] == []


def test_a_stack_is_judged_by_the_zones_that_it_is_in_not_by_the_regions_list_of_today() -> None:
    ec2 = FakeEc2(zones=offers(*ZONES[1:]))
    assert len(run_preflight(ec2, existing=DeployedStack())[0]) == 3
    assert run_preflight(ec2, existing=DeployedStack(zones=ZONES[1:]))[0] == []
    three = desired({"network": {"zones": 3}, "web": {"count": 3}}, zones=ZONES)
    assert [one.key for one in run_preflight(ec2, three, DeployedStack(zones=ZONES[1:]))[0]] == ["webstack:web.instanceType"]


def test_a_volume_smaller_than_the_one_that_is_there_is_refused_in_words() -> None:
    volumes = [{"VolumeId": "vol-1", "Size": 20}, {"VolumeId": "vol-2", "Size": 24}]
    (found,) = run_preflight(FakeEc2(volumes=volumes))[0]
    assert (found.key, found.value) == ("webstack:database.volumeSize", 20)
    assert "vol-2 has 24 GiB" in found.rule
    assert "vol-1" not in found.rule
    assert found.remedy.startswith("set 24 or more")


def test_volumes_are_asked_for_by_the_stacks_id_alone() -> None:
    ec2 = FakeEc2(volumes=[{"VolumeId": "vol-1", "Size": 999}])
    assert run_preflight(ec2, existing=DeployedStack()) == ([], [])
    assert "describe_volumes" not in ec2.asked


def test_another_network_than_the_one_that_the_stack_is_in_is_refused_in_words() -> None:
    moved = desired({"network": {"cidr": "10.40.0.0/16"}})
    (found,), _ = run_preflight(FakeEc2(), moved)
    assert (found.key, found.value) == ("webstack:network.cidr", "10.40.0.0/16")
    assert "the network that the stack is in, 10.20.0.0/16" in found.rule
    assert "a new stack" in found.remedy
    assert run_preflight(FakeEc2(), moved, DeployedStack())[0] == [], "a stack that is not made yet may have any"
    wrong = desired({"network": {"cidr": "10.40.0.0/16"}}, wrong=frozenset({"webstack:network.cidr"}))
    assert run_preflight(FakeEc2(), wrong)[0] == [], "what is wrong already is no second mistake"


def test_a_zone_of_the_stack_that_aws_does_not_list_is_a_line_and_no_mistake() -> None:
    ec2 = FakeEc2(zones=offers(*ZONES, "eu-central-1x"))
    problems, lines = run_preflight(ec2, existing=DeployedStack(zones=("eu-central-1x", "eu-central-1b")))
    assert problems == []
    (line,) = lines
    assert "AWS does not list eu-central-1x as available in eu-central-1 now" in line
    assert run_preflight(ec2, existing=DeployedStack(zones=("eu-central-1a", "eu-central-1b", "eu-central-1x"))) == ([], []), (
        "it goes with this `up`"
    )


def test_what_is_refused_already_is_not_asked_for() -> None:
    tiers = ("loadBalancer", "web", "database")
    keys = frozenset({"webstack:database.volumeSize", *(f"webstack:{tier}.instanceType" for tier in tiers)})
    ec2 = FakeEc2()
    assert run_preflight(ec2, desired(wrong=keys)) == ([], [])
    assert ec2.asked == {}


def test_a_right_that_is_missing_leaves_the_other_questions() -> None:
    refused = ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeVolumes")
    found, log = run_preflight(FakeEc2(types={}, errors={"describe_volumes": refused}))
    assert len(found) == 3
    assert log == ["not compared with what AWS says beforehand: data volumes: UnauthorizedOperation"]


def test_where_nobody_answers_one_line_says_so() -> None:
    away = ConnectTimeoutError(endpoint_url="https://ec2.example.com")
    questions = ("describe_instance_types", "describe_instance_type_offerings", "describe_volumes")
    ec2 = FakeEc2(errors=dict.fromkeys(questions, away))
    found, (line,) = run_preflight(ec2)
    assert found == []
    assert "instance types, their zones, data volumes: Connect timeout" in line


def test_all_is_asked_side_by_side_by_one_client() -> None:
    """No answer comes before the last question has been asked."""
    made: list[FakeEc2] = []
    together = threading.Barrier(3)

    class Meeting(FakeEc2):
        def pages(self, operation: str, filters: dict[str, list[str]]) -> Iterator[Page]:
            together.wait(30)
            return super().pages(operation, filters)

    def door() -> Any:
        made.append(Meeting())
        return made[-1]

    assert run_preflight(door) == ([], [])
    assert len(made) == 1


DEPLOYED_TYPES = {"lb-1": "t3.small", "web-1": "m7i.large", "web-2": "m7i.large", "db-1": "m7i.large", "db-2": "t3.medium"}
UNCHANGED_TYPES = {"web": {"instanceType": "m7i.large"}, "database": {"instanceType": "m7i.large"}}


def test_a_type_that_aws_withdraws_refuses_only_what_would_be_made_of_it() -> None:
    types = {name: described(name) for name in TYPES if name != "m7i.large"}
    ec2 = FakeEc2(types=types, hosts=DEPLOYED_TYPES)
    found, log = run_preflight(ec2, desired(UNCHANGED_TYPES))
    # db-2 would become one; the web hosts are some already.
    assert [one.key for one in found] == ["webstack:database.instanceType"]
    (line,) = log
    assert line.startswith("webstack:web.instanceType = m7i.large: its existing hosts stay, but AWS would not create new ones.")
    assert STACK_FILTERS.items() <= ec2.asked["describe_instances"]["Filters"].items()
    assert "shutting-down" not in ec2.asked["describe_instances"]["Filters"]["instance-state-name"]
    # One host more would be a new one.
    more = desired({**UNCHANGED_TYPES, "web": {"instanceType": "m7i.large", "count": 3}})
    assert [one.key for one in run_preflight(ec2, more)[0]] == ["webstack:web.instanceType", "webstack:database.instanceType"]
    # A new stack has no hosts, and nobody asks for them.
    fresh = FakeEc2(types=types, hosts=DEPLOYED_TYPES)
    assert [one.key for one in run_preflight(fresh, desired(UNCHANGED_TYPES), DeployedStack())[0]] == [
        "webstack:web.instanceType",
        "webstack:database.instanceType",
    ]
    assert "describe_instances" not in fresh.asked


def test_an_offer_that_ends_in_a_zone_refuses_only_hosts_that_would_be_made_there() -> None:
    ec2 = FakeEc2(zones=offers() | {"m7i.large": ZONES[:1]}, hosts={"web-1": "m7i.large", "web-2": "m7i.large"})
    web = {"instanceType": "m7i.large"}
    found, (line,) = run_preflight(ec2, desired({"web": web}))
    assert found == []
    assert "not in eu-central-1b" in line
    ec2.hosts = {"web-2": "m7i.large"}
    assert run_preflight(ec2, desired({"web": web}))[0] == [], "web-1's zone has it"
    ec2.hosts = {"web-1": "m7i.large"}
    assert [one.key for one in run_preflight(ec2, desired({"web": web}))[0]] == ["webstack:web.instanceType"]


def test_where_nobody_tells_which_hosts_there_are_an_existing_stack_is_not_refused() -> None:
    refused = ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeInstances")
    ec2 = FakeEc2(types={}, errors={"describe_instances": refused})
    found, log = run_preflight(ec2)
    assert found == []
    assert [line.partition(" = ")[0] for line in log[:3]] == [
        f"webstack:{tier}.instanceType" for tier in ("loadBalancer", "web", "database")
    ]
    assert log[3] == "not compared with what AWS says beforehand: hosts: UnauthorizedOperation"


def test_without_credentials_one_line_says_so() -> None:
    def door() -> Any:
        raise NoCredentialsError

    found, (line,) = run_preflight(door)
    assert found == []
    assert line.endswith("instance types, their zones, data volumes: Unable to locate credentials")


def test_an_answer_is_not_waited_for_without_end() -> None:
    over = threading.Event()

    def door() -> Any:
        over.wait()
        raise NoCredentialsError

    try:
        found, (line,) = run_preflight(door, seconds=0.01)
    finally:
        over.set()
    assert found == []
    assert line.endswith("no answer within 0.01 seconds")


def test_the_program_knows_its_stack_by_the_outputs_of_its_last_run() -> None:
    ec2 = FakeEc2(volumes=[{"VolumeId": "vol-1", "Size": 24}], zones=offers(*ZONES[1:]))

    def load(earlier: dict[str, Any]) -> list[str]:
        def body() -> None:
            with mock.patch("stack.configuration.ec2_client", return_value=ec2):
                configuration.load()

        with pytest.raises(ConfigurationError) as raised:
            run(body, config={"aws:region": "eu-central-1"}, monitor=StrictMonitor(preview=True, previous_outputs=earlier))
        return [problem.key for problem in raised.value.problems]

    earlier: dict[str, Any] = {"stack_id": "x7k2abcd", "zones": ["eu-central-1b", "eu-central-1c"], "network": "10.50.0.0/16"}
    assert load(earlier) == ["webstack:network.cidr", "webstack:database.volumeSize"]
    assert STACK_FILTERS.items() <= ec2.asked["describe_volumes"]["Filters"].items()
    assert load({**earlier, "allowed_networks": [f"192.0.2.{number}/32" for number in range(30)]})[1:2] == [
        "webstack:loadBalancer.allowedCidrs"
    ]
    assert load({}) == [f"webstack:{tier}.instanceType" for tier in ("loadBalancer", "web", "database")]


def test_aws_is_asked_as_the_stacks_settings_say_and_not_as_somebody_else() -> None:
    asked: list[AwsConfig] = []

    def client(reached: AwsConfig) -> Any:
        asked.append(reached)
        raise NoCredentialsError

    def body() -> None:
        with mock.patch("stack.configuration.ec2_client", client):
            configuration.load()

    run(body, config={"aws:region": "eu-central-1", "aws:accessKey": "AKIA-of-the-stack", "aws:secretKey": "x"}, monitor=StrictMonitor())
    assert [(one.region, one.access_key) for one in asked] == [("eu-central-1", "AKIA-of-the-stack")]


def test_the_table_of_families_agrees_with_ec2s_own_data_of_every_type() -> None:
    """moto's `instance_types.json` is what DescribeInstanceTypes answered, gathered by its scripts/ec2_get_instance_types.py."""
    refused = {name for name in INSTANCE_TYPES if parse_with_problems({"database": {"instanceType": name}})[1]}
    unfit = {
        name
        for name, one in INSTANCE_TYPES.items()
        if "x86_64" not in one["ProcessorInfo"]["SupportedArchitectures"] or one.get("Hypervisor") == "xen" or name.startswith("mac")
    }
    assert len(unfit) > 100
    assert refused == unfit
