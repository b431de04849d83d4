"""The configuration beside what there is, before anything is registered: instance types, their zones, the volumes, the stack's network.

Whoever may not ask, or has no way to AWS, is told so in one line and loses nothing: AWS says the same later, in the middle of an `up`.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final, TypeVar

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from stack.addressing import AddressPlan
from stack.naming import host_name
from stack.problems import ConfigurationError, Problem
from stack.settings import NAMESPACE, Settings
from stack.tags import STACK_ID_TAG
from stack.zones import zone_of_new

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeInfoTypeDef

T = TypeVar("T")

LONGEST_SECONDS: Final = 10.0
"""How long all questions together may take, whatever the network does."""


@dataclass(frozen=True, kw_only=True)
class Existing:
    """What the stack's own state says of it: its id, the zones and the network that it is in. Nothing of a stack that is not made yet."""

    stack_id: str | None = None
    zones: tuple[str, ...] = ()
    network: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a configuration asks for. `wrong` are keys that are refused already; `zones` is empty where they are."""

    stack: str
    settings: Settings
    wrong: frozenset[str]
    zones: tuple[str, ...]
    region_zones: tuple[str, ...]
    region: str


@dataclass(frozen=True, kw_only=True)
class _Tier:
    key: str
    instance_type: str
    zones: tuple[str, ...]


def compare(wanted: Wanted, existing: Existing, ec2: "Callable[[], EC2Client]", *, seconds: float = LONGEST_SECONDS) -> list[Problem]:
    """What would move what exists, and what AWS would refuse, as far as it can be asked.

    Without rights, credentials or a network nothing is raised: one line says so.
    """
    moves = list(_network_problems(wanted, existing))
    try:
        zones = _zones(wanted, existing)
    except ConfigurationError as error:
        return [*moves, *error.problems]
    tiers = [tier for tier in _tiers(wanted.settings, zones) if tier.key not in wanted.wrong]
    questions: dict[str, Callable[[EC2Client], list[Problem]]] = {
        "instance types": lambda asked: list(_type_problems(asked, tiers, wanted.region)),
        "their zones": lambda asked: list(_zone_problems(asked, tiers, wanted.region)),
    }
    if existing.stack_id and f"{NAMESPACE}:database.volumeSize" not in wanted.wrong:
        stack_id = existing.stack_id
        questions["data volumes"] = lambda asked: list(_volume_problems(asked, wanted, stack_id))

    def ask() -> tuple[list[Problem], dict[str, list[str]]]:
        found: list[Problem] = []
        skipped: dict[str, list[str]] = {}
        door = ec2()
        for number, (what, question) in enumerate(questions.items()):
            try:
                found += question(door)
            except ClientError as error:
                skipped.setdefault(_reason(error), []).append(what)
            except (BotoCoreError, OSError) as error:
                skipped[_reason(error)] = list(questions)[number:]  # nobody answers: the next question would wait as long
                break
        return found, skipped

    try:
        found, skipped = _within(seconds, ask)
    except TimeoutError:
        found, skipped = [], {f"no answer within {seconds:g} seconds": list(questions)}
    except (BotoCoreError, ClientError, OSError) as error:
        found, skipped = [], {_reason(error): list(questions)}
    if skipped:
        reasons = "; ".join(f"{', '.join(what)}: {reason}" for reason, what in skipped.items())
        pulumi.log.info(f"not compared with what AWS says beforehand: {reasons}")
    return [*moves, *found]


def _network_problems(wanted: Wanted, existing: Existing) -> Iterator[Problem]:
    """A VPC keeps its addresses: `cidr_block` is ForceNew in terraform-provider-aws, internal/service/ec2/vpc_.go."""
    key, cidr = f"{NAMESPACE}:network.cidr", wanted.settings.network.cidr
    if existing.network and key not in wanted.wrong and IPv4Network(cidr) != IPv4Network(existing.network):
        yield Problem(
            key=key,
            value=cidr,
            rule=f"the network that the stack is in, {existing.network}: another one would replace every host at once",
            remedy="leave it as it was; another network is a new stack, and the data goes there by a copy",
        )


def _zones(wanted: Wanted, existing: Existing) -> tuple[str, ...]:
    """The zones that the stack's hosts are or will be in. Raises ConfigurationError where the region has no zone left."""
    zones = list(existing.zones[: len(wanted.zones)])
    for planned in wanted.zones[len(zones) :]:
        zones.append(zone_of_new(planned, zones, wanted.region_zones))
    return tuple(zones)


def _tiers(settings: Settings, zones: Sequence[str]) -> list[_Tier]:
    balancer, web, database = settings.load_balancer, settings.web, settings.database
    places: dict[str, set[int]] = {"loadBalancer": set(), "web": set(), "database": set()}
    if zones:
        plan = AddressPlan(IPv4Network(settings.network.cidr), len(zones))
        places["loadBalancer"] = {plan.load_balancer(number + 1).zone for number in range(balancer.count)}
        places["web"] = {plan.web_zone(number + 1) for number in range(web.count)}
        places["database"] = {plan.database(number).zone for number in ((1, 2) if database.replica else (1,))}
    types = {"loadBalancer": balancer.instance_type, "web": web.instance_type, "database": database.instance_type}
    return [
        _Tier(key=f"{NAMESPACE}:{tier}.instanceType", instance_type=types[tier], zones=tuple(zones[zone] for zone in sorted(found)))
        for tier, found in places.items()
    ]


def _type_problems(ec2: "EC2Client", tiers: Sequence[_Tier], region: str) -> Iterator[Problem]:
    names = sorted({tier.instance_type for tier in tiers})
    if not names:
        return
    # By a filter: named outright, a type that the region has not is an error that hides the others.
    pages = ec2.get_paginator("describe_instance_types").paginate(Filters=[{"Name": "instance-type", "Values": names}])
    known = {str(one.get("InstanceType")): one for page in pages for one in page["InstanceTypes"]}
    for tier in tiers:
        described = known.get(tier.instance_type)
        rule, remedy = (
            (f"an instance type of {region}: AWS knows none of this name there", "choose another such as t3.small")
            if described is None
            else _unfit(described)
        )
        if rule:
            yield Problem(key=tier.key, value=tier.instance_type, rule=rule, remedy=remedy)


def _unfit(described: "InstanceTypeInfoTypeDef") -> tuple[str, str]:
    """Which rule a type breaks, and the remedy; empty where none.

    Fields: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceTypeInfo.html. Bare metal has no hypervisor and shows volumes
    as NVMe devices (https://docs.aws.amazon.com/ebs/latest/userguide/nvme-ebs-volumes.html).
    """
    architectures = [str(one) for one in described.get("ProcessorInfo", {}).get("SupportedArchitectures", [])]
    if architectures and "x86_64" not in architectures:
        return (
            f"an x86-64 instance type: MySQL's own packages are x86-64 only, and AWS says {', '.join(architectures)}",
            "choose one such as t3",
        )
    hypervisor, metal = described.get("Hypervisor"), described.get("BareMetal")
    nvme = described.get("EbsInfo", {}).get("NvmeSupport")
    if (hypervisor not in (None, "nitro") and not metal) or nvme == "unsupported":
        told = f"AWS says hypervisor {hypervisor or 'none'}, NVMe {nvme or 'unknown'}"
        return f"an instance type of AWS's Nitro system: a data volume is found by its NVMe name, and {told}", "choose one such as t3.small"
    return "", ""


def _zone_problems(ec2: "EC2Client", tiers: Sequence[_Tier], region: str) -> Iterator[Problem]:
    names = sorted({tier.instance_type for tier in tiers})
    if not names:
        return
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": names}]
    )
    offered: dict[str, set[str]] = {}
    for page in pages:
        for one in page["InstanceTypeOfferings"]:
            offered.setdefault(str(one.get("InstanceType")), set()).add(str(one.get("Location")))
    for tier in tiers:
        there = offered.get(tier.instance_type)
        missing = [zone for zone in tier.zones if there is not None and zone not in there]
        if there and missing:  # a type that is offered nowhere is one that the region does not know
            rule = f"an instance type that AWS offers in the zones of its hosts; in {region} it is in {', '.join(sorted(there))}"
            rule += f", not in {', '.join(missing)}"
            yield Problem(
                key=tier.key, value=tier.instance_type, rule=rule, remedy="choose another type, or a new stack's network.zoneNames"
            )


def _volume_problems(ec2: "EC2Client", wanted: Wanted, stack_id: str) -> Iterator[Problem]:
    """A volume grows and never shrinks: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html (Size)."""
    database = wanted.settings.database
    names = [f"{wanted.stack}-{host_name('database', number)}-data" for number in ((1, 2) if database.replica else (1,))]
    pages = ec2.get_paginator("describe_volumes").paginate(
        Filters=[
            {"Name": f"tag:{STACK_ID_TAG}", "Values": [stack_id]},
            {"Name": "tag:Name", "Values": names},
            {"Name": "status", "Values": ["creating", "available", "in-use"]},
        ]
    )
    sizes = {str(one.get("VolumeId")): one.get("Size", 0) for page in pages for one in page["Volumes"]}
    larger = {volume: size for volume, size in sizes.items() if size > database.volume_size}
    if larger:
        there = ", ".join(f"{volume} has {size} GiB" for volume, size in sorted(larger.items()))
        yield Problem(
            key=f"{NAMESPACE}:database.volumeSize",
            value=database.volume_size,
            rule=f"at least the size of the volumes that are there: {there}, and EBS makes none smaller",
            remedy=f"set {max(larger.values())} or more; less is a new stack, and the data goes there by a copy",
        )


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or error)
    return " ".join(str(error).split())


def _within(seconds: float, ask: Callable[[], T]) -> T:
    """What `ask` gives. Raises TimeoutError after so long: its thread is left to itself, since no name server or proxy can be hurried."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:  # handed to whoever waits
            answer.set_exception(error)

    threading.Thread(target=run, name="offered", daemon=True).start()
    return answer.result(seconds)
