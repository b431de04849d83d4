"""Availability zones: which ones a stack uses, and that it stays in them. Pure; no Pulumi in it.

A subnet, a volume and an instance cannot move to another zone: on AWS that is a new one in the place of the old one. So what exists keeps
its zone whatever the region's list says, and a configuration that names other zones than the stack is in is refused.
"""

from collections.abc import Sequence

from stack.problems import ConfigurationError, Problem
from stack.settings import NAMESPACE, Settings
from stack.suggestions import closest_match


def choose_zones(
    settings: Settings, region: str, available: Sequence[str], deployed: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[Problem]]:
    """The zones to use: those named, or those that the stack is in and then the region's first by name; and what is wrong with them.

    AWS takes a zone off its list of those that are `available` while it is impaired
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AvailabilityZone.html, zoneState). `deployed`, the zones that the stack
    is in, count all the same.
    """
    known = sorted({*available, *deployed})
    count, named = settings.network.zones, settings.network.zone_names
    problems: list[Problem] = []
    if count > len(known):
        problems.append(
            Problem(
                key=f"{NAMESPACE}:network.zones",
                value=count,
                rule=f"at most {len(known)}: {region} has {', '.join(known) or 'no zones'}",
                remedy=f"set {len(known)} or less, or choose another aws:region" if len(known) > 1 else "choose another aws:region",
            )
        )
    for index, name in enumerate(named):
        if name not in known:
            choice = closest_match(name, known)
            problems.append(
                Problem(
                    key=f"{NAMESPACE}:network.zoneNames[{index}]",
                    value=name,
                    rule=f"a zone of {region} that needs no opt-in: {', '.join(known)}",
                    remedy=f"did you mean {choice}?" if choice else "name one of these",
                )
            )
    return tuple(named or [*deployed, *(zone for zone in known if zone not in deployed)][:count]), problems


def pick_zone(planned: str, used: Sequence[str], available: Sequence[str]) -> str:
    """The zone of a new part of the stack: the planned one, or the first of the region's where the stack is in that one already.

    Raises ConfigurationError where it is in all of them.
    """
    for zone in (planned, *sorted(available)):
        if zone not in used:
            return zone
    problem = Problem(
        key=f"{NAMESPACE}:network.zones",
        value=len(used) + 1,
        rule=f"at most {len(used)}: the stack is in {', '.join(used)}, and the region has no other zone",
        remedy=f"set {len(used)}",
    )
    raise ConfigurationError([problem], effect="no subnet was made")


def require_zones_unchanged(actual: Sequence[str], named: Sequence[str]) -> None:
    """Raises ConfigurationError where the zones that the stack is in are not those that the configuration names."""
    problems = [
        Problem(
            key=f"{NAMESPACE}:network.zoneNames[{number}]",
            value=name,
            rule=f"the zone that the stack is in, {zone}: subnets, volumes and hosts cannot move",
            remedy="name the zones as they were; for other zones, create a new stack and copy the data there",
        )
        for number, (zone, name) in enumerate(zip(actual, named, strict=False))
        if zone != name
    ]
    if problems:
        raise ConfigurationError(problems, effect="nothing was moved")
