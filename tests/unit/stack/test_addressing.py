"""The address plan, swept over every network and number of zones it takes."""

from collections import Counter
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.addressing import MAX_PREFIX_LENGTH, MAX_ZONES, MIN_PREFIX_LENGTH, RESERVED_FIRST_ADDRESSES, TIERS, AddressPlan
from stack.roles import SPECS, database, load_balancer

networks = st.integers(MIN_PREFIX_LENGTH, MAX_PREFIX_LENGTH).flatmap(
    lambda prefix: st.integers(0, 2**prefix - 1).map(lambda high: IPv4Network((high << (32 - prefix), prefix)))
)
plans = st.builds(AddressPlan, networks, st.integers(1, MAX_ZONES))


@given(plans)
def test_subnets_lie_in_the_network_apart_from_each_other_and_are_no_smaller_than_ec2_allows(plan: AddressPlan) -> None:
    subnets = [plan.subnet(tier, zone) for tier in TIERS for zone in range(plan.zones)]
    assert all(subnet.subnet_of(plan.network) for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))
    assert all(subnet.prefixlen <= 28 for subnet in subnets)


@given(plans)
def test_fixed_addresses_are_different_in_their_subnets_and_none_that_aws_keeps(plan: AddressPlan) -> None:
    places = [spec.placement(plan, number) for spec in SPECS if spec.is_fixed for number in (1, 2)]
    assert len({place.address for place in places}) == len(places) >= 4
    for place in places:
        subnet = plan.subnet(place.tier, place.zone)
        offset = int(place.address) - int(subnet.network_address)
        assert RESERVED_FIRST_ADDRESSES <= offset < subnet.num_addresses - 1, f"{place.address} in {subnet}"


@given(plans)
def test_a_nat_gateway_is_in_its_public_subnet_and_is_no_host(plan: AddressPlan) -> None:
    hosts = {spec.placement(plan, number).address for spec in SPECS if spec.is_fixed for number in (1, 2)}
    for zone in range(plan.zones):
        subnet = plan.subnet("public", zone)
        offset = int(plan.nat(zone)) - int(subnet.network_address)
        assert RESERVED_FIRST_ADDRESSES <= offset < subnet.num_addresses - 1
        assert plan.nat(zone) not in hosts


@given(networks, st.integers(2, MAX_ZONES - 1))
def test_a_zone_more_moves_no_subnet_and_no_fixed_address(network: IPv4Network, zones: int) -> None:
    before, after = AddressPlan(network, zones), AddressPlan(network, zones + 1)
    for tier in TIERS:
        assert [before.subnet(tier, zone) for zone in range(zones)] == [after.subnet(tier, zone) for zone in range(zones)]
    assert [database.SPEC.placement(before, number) for number in (1, 2)] == [database.SPEC.placement(after, number) for number in (1, 2)]
    assert [load_balancer.SPEC.placement(before, number) for number in (1, 2)] == [
        load_balancer.SPEC.placement(after, number) for number in (1, 2)
    ]


@given(plans, st.integers(1, 50))
def test_web_hosts_go_round_the_zones(plan: AddressPlan, number: int) -> None:
    assert plan.zone_of(number) == (number - 1) % plan.zones
    assert plan.zone_of(1) == 0


@pytest.mark.parametrize(("cidr", "zones"), [("10.0.0.0/22", 2), ("10.0.0.0/22", 3), ("10.0.0.0/22", 4), ("10.0.0.0/20", 2)])
def test_so_many_web_hosts_are_there_twice_in_their_subnets_and_not_one_more(cidr: str, zones: int) -> None:
    plan = AddressPlan(IPv4Network(cidr), zones)

    def fullest(count: int) -> int:
        places = Counter(plan.zone_of(number) for number in range(1, count + 1))
        return 2 * max(places.values())

    addresses = plan.subnet("app", 0).num_addresses - 5
    assert fullest(plan.max_web_hosts) <= addresses < fullest(plan.max_web_hosts + 1)


def test_the_plan_of_dev() -> None:
    plan = AddressPlan(IPv4Network("10.20.0.0/16"), 2)
    assert {(tier, zone): str(plan.subnet(tier, zone)) for tier in TIERS for zone in (0, 1)} == {
        ("public", 0): "10.20.0.0/20",
        ("public", 1): "10.20.16.0/20",
        ("app", 0): "10.20.64.0/20",
        ("app", 1): "10.20.80.0/20",
        ("data", 0): "10.20.128.0/20",
        ("data", 1): "10.20.144.0/20",
    }
    assert load_balancer.SPEC.placement(plan, 1).address == IPv4Address("10.20.0.10")
    assert load_balancer.SPEC.placement(plan, 2).address == IPv4Address("10.20.16.10")
    assert database.SPEC.placement(plan, 1).address == IPv4Address("10.20.128.10")
    assert database.SPEC.placement(plan, 2).address == IPv4Address("10.20.144.10")


@pytest.mark.parametrize(("cidr", "zones"), [("10.0.0.0/23", 2), ("10.0.0.0/15", 2), ("10.0.0.0/16", 0), ("10.0.0.0/16", 5)])
def test_a_network_or_a_number_of_zones_without_room_is_refused(cidr: str, zones: int) -> None:
    with pytest.raises(ValueError, match=r"the plan (takes|has room)"):
        AddressPlan(IPv4Network(cidr), zones)


def test_what_has_no_place_is_refused() -> None:
    plan = AddressPlan(IPv4Network("10.20.0.0/16"), 2)
    with pytest.raises(ValueError, match="zone 2: the plan has zones 0 to 1"):
        plan.subnet("app", 2)
    with pytest.raises(ValueError, match="host number 3"):
        database.SPEC.placement(plan, 3)
