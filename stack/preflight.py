"""The configuration beside what there is, before anything is registered: instance types, their zones, the volumes, the stack's network.

Whoever may not ask, or has no way to AWS, is told so in one line and loses nothing: AWS says the same later, in the middle of an `up`.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

import pulumi

from stack.addressing import AddressPlan
from stack.deployed import DeployedStack, change_problems
from stack.ec2_queries import Ec2Queries
from stack.problems import ConfigurationError, Problem
from stack.roles import SPECS, database
from stack.settings import NAMESPACE, Settings
from stack.tags import stack_tags
from stack.zones import pick_zone

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeInfoTypeDef

TIMEOUT: Final = 10.0
"""How long all questions together may take, whatever the network does."""

EXISTING_STATES: Final = ("pending", "running", "stopping", "stopped")
"""States of an instance that is there."""


@dataclass(frozen=True, kw_only=True)
class DesiredStack:
    """What a configuration asks for. `invalid_keys` are keys that are refused already; `zones` is empty where they are."""

    stack: str
    settings: Settings
    invalid_keys: frozenset[str]
    zones: tuple[str, ...]
    region_zones: tuple[str, ...]
    region: str


@dataclass(frozen=True, kw_only=True)
class _TierHosts:
    key: str
    instance_type: str
    hosts: Mapping[str, str]
    """Name → zone; an empty zone where the configuration of zones is wrong."""


def preflight_problems(
    desired: DesiredStack, deployed: DeployedStack, client_factory: "Callable[[], EC2Client]", *, timeout: float = TIMEOUT
) -> list[Problem]:
    """What would move what exists, and what AWS would refuse, as far as it can be asked.

    Without rights, credentials or a network nothing is raised: one line says so. All questions are asked side by side.
    """
    moves = list(change_problems(desired.settings, desired.invalid_keys, deployed))
    _warn_unavailable_zones(desired, deployed)
    try:
        zones = _host_zones(desired, deployed)
    except ConfigurationError as error:
        return [*moves, *error.problems]
    queries = Ec2Queries(client_factory, timeout)
    tiers = [tier for tier in _tiers(desired.settings, zones) if tier.key not in desired.invalid_keys]
    names = sorted({tier.instance_type for tier in tiers})
    types = queries.submit("instance types", lambda client: _describe_types(client, names)) if names else None
    offers = queries.submit("their zones", lambda client: _describe_offerings(client, names)) if names else None
    sizes = None
    if deployed.stack_id and f"{NAMESPACE}:database.volumeSize" not in desired.invalid_keys:
        sizes = queries.submit("data volumes", functools.partial(_volume_sizes, desired=desired, stack_id=deployed.stack_id))
    described, offered = queries.result(types), queries.result(offers)

    def type_and_zone_problems(tier_hosts: Sequence[_TierHosts]) -> list[Problem]:
        found = list(_type_problems(described, tier_hosts, desired.region)) if described is not None else []
        return found + (list(_zone_problems(offered, tier_hosts, desired.region)) if offered is not None else [])

    found = type_and_zone_problems(tiers)
    if found and deployed.stack_id:
        found = _problems_of_new_hosts(found, type_and_zone_problems, tiers, queries, desired, deployed.stack_id)
    volumes = queries.result(sizes)
    found += _volume_problems(volumes, desired) if volumes else []
    queries.log_skipped()
    return [*moves, *found]


def _problems_of_new_hosts(
    problems: Sequence[Problem],
    find_problems: Callable[[Sequence[_TierHosts]], list[Problem]],
    tiers: Sequence[_TierHosts],
    queries: Ec2Queries,
    desired: DesiredStack,
    stack_id: str,
) -> list[Problem]:
    """Of the problems those of hosts that are not there yet with this type. AWS withdraws types and offers; what runs goes on."""
    deployed_types = queries.result(queries.submit("hosts", functools.partial(_deployed_types, desired=desired, stack_id=stack_id)))
    new = [
        replace(tier, hosts={host: zone for host, zone in tier.hosts.items() if (deployed_types or {}).get(host) != tier.instance_type})
        for tier in tiers
    ]
    kept = find_problems([tier for tier in new if tier.hosts]) if deployed_types is not None else []
    refused = {problem.key for problem in kept}
    for problem in problems:
        if problem.key not in refused:
            consequence = (
                "its existing hosts stay, but AWS would not create new ones"
                if deployed_types is not None
                else "AWS would not create new hosts"
            )
            pulumi.log.warn(f"{problem.key} = {problem.value}: {consequence}. It is not {problem.rule}; {problem.remedy}")
    return kept


def _deployed_types(ec2: "EC2Client", desired: DesiredStack, stack_id: str) -> dict[str, str]:
    """Host → instance type, of the stack's instances that are there."""
    filters: list[FilterTypeDef] = [
        *_tag_filters(desired, stack_id),
        {"Name": "instance-state-name", "Values": list(EXISTING_STATES)},
    ]
    found: dict[str, str] = {}
    for page in ec2.get_paginator("describe_instances").paginate(Filters=filters):
        for instance in (one for reservation in page["Reservations"] for one in reservation.get("Instances", [])):
            tags = {tag.get("Key"): tag.get("Value") for tag in instance.get("Tags", [])}
            found[str(tags.get("host"))] = str(instance.get("InstanceType"))
    return found


def _host_zones(desired: DesiredStack, existing: DeployedStack) -> tuple[str, ...]:
    """The zones that the stack's hosts are or will be in. Raises ConfigurationError where the region has no zone left."""
    zones = list(existing.zones[: len(desired.zones)])
    for planned in desired.zones[len(zones) :]:
        zones.append(pick_zone(planned, zones, desired.region_zones))
    return tuple(zones)


def _warn_unavailable_zones(desired: DesiredStack, existing: DeployedStack) -> None:
    """Says where AWS has taken a zone of the stack off its list, as in an outage: all there stays, and nothing is refused for it."""
    gone = [zone for zone in existing.zones[: len(desired.zones)] if desired.region_zones and zone not in desired.region_zones]
    if gone:
        consequence = (
            "what the stack has there stays, but AWS may refuse to create hosts or volumes there, and a release creates new web hosts"
        )
        pulumi.log.warn(f"AWS does not list {', '.join(gone)} as available in {desired.region} now: {consequence}")


def _tiers(settings: Settings, zones: Sequence[str]) -> list[_TierHosts]:
    # Without zones, which are wrong then, the names alone: any number of zones gives the same.
    plan = AddressPlan(IPv4Network(settings.network.cidr), len(zones) or 1)
    return [
        _TierHosts(
            key=spec.instance_type_key,
            instance_type=spec.settings(settings).instance_type,
            hosts={spec.host_name(number): zones[plan.zone_of(number)] if zones else "" for number in spec.numbers(settings)},
        )
        for spec in SPECS
    ]


def _describe_types(ec2: "EC2Client", names: Sequence[str]) -> "dict[str, InstanceTypeInfoTypeDef]":
    """Of these types those that the region has. By a filter: named outright, one that it has not is an error that hides the others."""
    pages = ec2.get_paginator("describe_instance_types").paginate(Filters=[{"Name": "instance-type", "Values": list(names)}])
    return {str(one.get("InstanceType")): one for page in pages for one in page["InstanceTypes"]}


def _type_problems(known: "Mapping[str, InstanceTypeInfoTypeDef]", tiers: Sequence[_TierHosts], region: str) -> Iterator[Problem]:
    for tier in tiers:
        described = known.get(tier.instance_type)
        rule, remedy = (
            (f"an instance type of {region}: AWS knows none of this name there", "choose another such as t3.small")
            if described is None
            else _incompatibility(described)
        )
        if rule:
            yield Problem(key=tier.key, value=tier.instance_type, rule=rule, remedy=remedy)


def _incompatibility(described: "InstanceTypeInfoTypeDef") -> tuple[str, str]:
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
        reported = f"AWS says hypervisor {hypervisor or 'none'}, NVMe {nvme or 'unknown'}"
        return (
            f"an instance type of AWS's Nitro system: a data volume is found by its NVMe name, and {reported}",
            "choose one such as t3.small",
        )
    return "", ""


def _describe_offerings(ec2: "EC2Client", names: Sequence[str]) -> dict[str, set[str]]:
    """Type → zones that AWS offers it in."""
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(names)}]
    )
    offered: dict[str, set[str]] = {}
    for page in pages:
        for one in page["InstanceTypeOfferings"]:
            offered.setdefault(str(one.get("InstanceType")), set()).add(str(one.get("Location")))
    return offered


def _zone_problems(offered: Mapping[str, set[str]], tiers: Sequence[_TierHosts], region: str) -> Iterator[Problem]:
    for tier in tiers:
        there = offered.get(tier.instance_type)
        missing = sorted({zone for zone in tier.hosts.values() if zone and there is not None and zone not in there})
        if there and missing:  # a type that is offered nowhere is one that the region does not know
            rule = f"an instance type that AWS offers in the zones of its hosts; in {region} it is in {', '.join(sorted(there))}"
            rule += f", not in {', '.join(missing)}"
            yield Problem(
                key=tier.key, value=tier.instance_type, rule=rule, remedy="choose another type, or a new stack's network.zoneNames"
            )


def _tag_filters(desired: DesiredStack, stack_id: str) -> "list[FilterTypeDef]":
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in stack_tags(desired.stack, stack_id).items()]


def _volume_sizes(ec2: "EC2Client", desired: DesiredStack, stack_id: str) -> dict[str, int]:
    """Data volume → GiB, of those that there are."""
    names = [f"{desired.stack}-{host}-data" for host in database.SPEC.host_names(desired.settings)]
    pages = ec2.get_paginator("describe_volumes").paginate(
        Filters=[
            *_tag_filters(desired, stack_id),
            {"Name": "tag:Name", "Values": names},
            {"Name": "status", "Values": ["creating", "available", "in-use"]},
        ]
    )
    return {str(one.get("VolumeId")): one.get("Size", 0) for page in pages for one in page["Volumes"]}


def _volume_problems(sizes: Mapping[str, int], desired: DesiredStack) -> list[Problem]:
    """A volume grows and never shrinks: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html (Size)."""
    size = desired.settings.database.volume_size
    larger = {volume: there for volume, there in sizes.items() if there > size}
    if not larger:
        return []
    there = ", ".join(f"{volume} has {size} GiB" for volume, size in sorted(larger.items()))
    return [
        Problem(
            key=f"{NAMESPACE}:database.volumeSize",
            value=size,
            rule=f"at least the size of the volumes that are there: {there}, and EBS cannot shrink a volume",
            remedy=f"set {max(larger.values())} or more; for less, create a new stack and copy the data there",
        )
    ]
