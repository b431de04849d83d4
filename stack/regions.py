"""Which names AWS's regions have: judged before AWS is asked, since a name that does not exist is an address that does not answer."""

import functools
import re
from typing import Any, Final, cast

from botocore.loaders import create_loader

from stack.problems import Problem
from stack.suggestions import closest_match

REGION_KEY: Final = "aws:region"


def region_problem(region: str) -> Problem | None:
    """What is wrong with a region's name. One that botocore does not list yet is sound where it is made as all of its partition are."""
    if region in known_regions() or (_is_well_formed(region) and _location(region) in {_location(known) for known in known_regions()}):
        return None
    return unknown_region(region, "the name of a region of AWS, such as eu-central-1")


def unknown_region(region: str, rule: str) -> Problem:
    """The mistake of a region that is none, with the nearest name that is one."""
    choice = closest_match(region, known_regions())
    remedy = f"did you mean {choice}?" if choice else "choose one of https://docs.aws.amazon.com/general/latest/gr/rande.html"
    return Problem(key=REGION_KEY, value=region, rule=rule, remedy=remedy)


@functools.cache
def known_regions() -> tuple[str, ...]:
    """Every region that botocore lists, of all partitions, without its words for services that have none (`aws-global`)."""
    return tuple(sorted(region for one in _partitions() for region in one["regions"] if _is_well_formed(region)))


@functools.cache
def _partitions() -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", create_loader().load_data("partitions")["partitions"])


def _is_well_formed(region: str) -> bool:
    return any(re.fullmatch(one["regionRegex"], region, re.ASCII) for one in _partitions())


def _location(region: str) -> str:
    """`central` of `eu-central-1`: AWS names a region by its part of the world, where in it, and a number."""
    return region.split("-")[-2]
