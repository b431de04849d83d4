"""What a stack is already limits what its next `up` may be told: the networks that it allows, old and new ones together."""

from hypothesis import given
from hypothesis import strategies as st

from stack.deployed import DeployedStack, change_problems, transition_steps
from stack.firewall import max_allowed_cidrs
from stack.problems import Problem
from stack.settings import parse

LIMIT = max_allowed_cidrs()


def networks(first: int, count: int) -> list[str]:
    return [f"192.0.2.{number}/32" for number in range(first, first + count)]


def check_change(old: list[str], new: list[str], wrong: frozenset[str] = frozenset()) -> list[Problem]:
    return list(change_problems(parse({"loadBalancer": {"allowedCidrs": new}}), wrong, DeployedStack(allowed_cidrs=tuple(old))))


def test_old_and_new_networks_together_have_room_in_a_group_or_are_refused_with_the_way() -> None:
    assert check_change(networks(0, 15), networks(15, 15)) == []
    assert check_change([], networks(0, 30)) == [], "a stack that is not made yet allows nobody"
    assert check_change(networks(0, 30), networks(0, 1)) == []
    (found,) = check_change(["0.0.0.0/0"], networks(0, 30))
    assert (found.key, found.value) == ("webstack:loadBalancer.allowedCidrs", "30 networks")
    assert "at most 30 networks together with those that the stack allows now: that would be 31" in found.rule
    assert found.remedy == "change it by several `up`: first with 29 of those that come, then with the whole list"
    (found,) = check_change(networks(0, 16), networks(1, 30))
    assert found.remedy.endswith("first with the 15 that stay and 14 of those that come, then with the whole list")
    (found,) = check_change(networks(0, 30), networks(30, 30))
    assert found.remedy.endswith("first with 1 of those that are allowed now, then with 29 of the new ones alone, then with the whole list")


def test_what_is_wrong_by_itself_is_no_second_mistake() -> None:
    for wrong in ("webstack:loadBalancer.allowedCidrs", "webstack:loadBalancer.allowedCidrs[3]"):
        assert check_change(["0.0.0.0/0"], networks(0, 30), frozenset({wrong})) == []


@given(old=st.integers(1, LIMIT), new=st.integers(1, LIMIT), both=st.integers(0, LIMIT))
def test_the_way_fits_at_every_step_and_shuts_nobody_out_who_stays(old: int, new: int, both: int) -> None:
    first = networks(0, old)
    wanted = networks(old - min(old, new, both), new)
    found = check_change(first, wanted)
    assert bool(found) == (len({*first, *wanted}) > LIMIT)
    if not found:
        return
    before, stay = set(first), set(first) & set(wanted)
    way = [set(names) for names, _ in transition_steps(first, wanted, LIMIT)]
    assert 2 <= len(way) <= 3
    for names in way:
        assert names
        assert len(before | names) <= LIMIT
        assert stay <= names <= {*first, *wanted}
        before = names
    assert before == set(wanted)
