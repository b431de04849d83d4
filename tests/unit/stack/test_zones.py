"""A stack stays in its zones: nothing moves because AWS's list changes, and a configuration that names others is refused."""

from collections.abc import Mapping

import pytest

from stack.addressing import TIERS
from stack.problems import ConfigurationError
from stack.settings import parse
from stack.zones import choose_zones, pick_zone, require_zones_unchanged
from tests.unit.stack.conftest import ProgramRunner


def test_a_stack_in_the_zones_that_are_named_or_in_any_is_sound() -> None:
    require_zones_unchanged(("a", "b"), ("a", "b"))
    require_zones_unchanged(("b", "a"), ())


def test_every_zone_that_would_have_to_move_is_a_mistake_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match="2 mistakes; nothing was moved") as raised:
        require_zones_unchanged(("a", "b", "c"), ("b", "a", "c"))
    found = raised.value.problems
    assert [(problem.key, problem.value) for problem in found] == [
        ("webstack:network.zoneNames[0]", "b"),
        ("webstack:network.zoneNames[1]", "a"),
    ]
    assert "the zone that the stack is in, a:" in found[0].rule
    assert "a new stack" in found[0].remedy


def test_a_zone_more_is_one_where_the_stack_is_not_yet() -> None:
    assert pick_zone("c", ("a", "b"), ("a", "b", "c")) == "c"
    assert pick_zone("b", ("a", "b"), ("d", "a", "c", "b")) == "c"
    with pytest.raises(ConfigurationError, match="the stack is in a, b, and the region has no other zone"):
        pick_zone("b", ("a", "b"), ("a", "b"))


def test_a_zone_that_aws_takes_off_its_list_is_still_the_stacks() -> None:
    region, three = "eu-central-1", {"zones": 3}

    def chosen(network: Mapping[str, object], available: tuple[str, ...], standing: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
        zones, problems = choose_zones(parse({"network": network}), region, available, standing)
        return zones, [problem.key.removeprefix("webstack:network.") for problem in problems]

    assert chosen(three, ("a", "b"), ("a", "b", "c")) == (("a", "b", "c"), [])
    assert chosen(three, (), ("c", "a", "b")) == (("c", "a", "b"), [])
    assert chosen({"zones": 2}, ("b",), ("a", "b")) == (("a", "b"), [])
    assert chosen({**three, "zoneNames": ["a", "b", "c"]}, ("a", "c"), ("a", "b", "c")) == (("a", "b", "c"), [])
    assert chosen(three, ("b", "d"), ("a", "b")) == (("a", "b", "d"), []), "a zone more is one that is available"
    assert chosen({"zones": 4}, ("b", "d"), ("a", "b"))[1] == ["zones"]
    assert chosen({**three, "zoneNames": ["a", "b", "c"]}, ("b", "d"), ("a", "b"))[1] == ["zoneNames[2]"]
    assert chosen({"zones": 2}, ("b",), ())[1] == ["zones"], "no stack is made in a zone that is not available"


def test_in_a_new_stack_the_tiers_share_their_zones(program: ProgramRunner) -> None:
    result = program("prod")
    for number in (1, 2, 3):
        zones = {result.by_name(f"prod-{tier}-{number}", "Subnet").inputs["availabilityZone"] for tier in TIERS}
        assert zones == {f"eu-central-1{'abc'[number - 1]}"}


def test_subnets_keep_their_zone_and_volumes_take_theirs_from_their_subnet(program: ProgramRunner) -> None:
    result = program("dev")
    for subnet in result.by_type("ec2/subnet:Subnet"):
        assert subnet.ignore_changes == ("availabilityZone",), subnet.name
    for number in (1, 2):
        volume, subnet = result.by_name(f"dev-db-{number}-data", "Volume"), result.by_name(f"dev-data-{number}")
        assert volume.property_dependencies["availabilityZone"] == {subnet.urn}
        assert volume.inputs["availabilityZone"] == subnet.inputs["availabilityZone"]
