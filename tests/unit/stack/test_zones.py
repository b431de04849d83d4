"""A stack stays in its zones: nothing moves because AWS's list changes, and a configuration that names others is refused."""

import pytest

from stack.addressing import TIERS
from stack.problems import ConfigurationError
from stack.zones import require_zones, zone_of_new
from tests.unit.stack.conftest import RunProgram


def test_a_stack_in_the_zones_that_are_named_or_in_any_is_sound() -> None:
    require_zones(("a", "b"), ("a", "b"))
    require_zones(("b", "a"), ())


def test_every_zone_that_would_have_to_move_is_a_mistake_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match="2 mistakes; nothing was moved") as raised:
        require_zones(("a", "b", "c"), ("b", "a", "c"))
    found = raised.value.problems
    assert [(problem.key, problem.value) for problem in found] == [
        ("webstack:network.zoneNames[0]", "b"),
        ("webstack:network.zoneNames[1]", "a"),
    ]
    assert "the zone that the stack is in, a:" in found[0].rule
    assert "a new stack" in found[0].remedy


def test_a_zone_more_is_one_where_the_stack_is_not_yet() -> None:
    assert zone_of_new("c", ("a", "b"), ("a", "b", "c")) == "c"
    assert zone_of_new("b", ("a", "b"), ("d", "a", "c", "b")) == "c"
    with pytest.raises(ConfigurationError, match="it is in a, b and the region has no other"):
        zone_of_new("b", ("a", "b"), ("a", "b"))


def test_in_a_new_stack_the_tiers_share_their_zones(program: RunProgram) -> None:
    result = program("prod")
    for number in (1, 2, 3):
        zones = {result.named(f"prod-{tier}-{number}", "Subnet").inputs["availabilityZone"] for tier in TIERS}
        assert zones == {f"eu-central-1{'abc'[number - 1]}"}


def test_subnets_keep_their_zone_and_volumes_take_theirs_from_their_subnet(program: RunProgram) -> None:
    result = program("dev")
    for subnet in result.of("ec2/subnet:Subnet"):
        assert subnet.ignore_changes == ("availabilityZone",), subnet.name
    for number in (1, 2):
        volume, subnet = result.named(f"dev-db-{number}-data", "Volume"), result.named(f"dev-data-{number}")
        assert volume.property_dependencies["availabilityZone"] == {subnet.urn}
        assert volume.inputs["availabilityZone"] == subnet.inputs["availabilityZone"]
