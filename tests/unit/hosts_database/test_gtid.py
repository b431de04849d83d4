"""Arithmetic of transaction sets, against sets of plain numbers."""

import pytest
from database_role.gtid import EMPTY, GtidSet
from hypothesis import given
from hypothesis import strategies as st

A, B = "aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002"

Plain = frozenset[tuple[str, str, int]]


@st.composite
def plain_sets(draw: st.DrawFn) -> Plain:
    """Few numbers of few sources, so that neighbours and overlaps are common."""
    item = st.tuples(st.sampled_from([A, B]), st.sampled_from(["", "batch"]), st.integers(1, 12))
    return draw(st.frozensets(item, max_size=20))


def as_set(plain: Plain) -> GtidSet:
    """The same as a GtidSet, from text with a number at a time."""
    return GtidSet.parse(",".join(f"{source}:{tag + ':' if tag else ''}{number}" for source, tag, number in sorted(plain)))


@given(plain_sets(), plain_sets())
def test_union_difference_and_containment_are_those_of_sets(left: Plain, right: Plain) -> None:
    assert as_set(left) | as_set(right) == as_set(left | right)
    assert as_set(left) - as_set(right) == as_set(left - right)
    assert (as_set(left) <= as_set(right)) == (left <= right)
    assert as_set(left).count() == len(left)


@given(plain_sets())
def test_what_is_written_is_read_back(plain: Plain) -> None:
    assert GtidSet.parse(str(as_set(plain))) == as_set(plain)


@given(plain_sets())
def test_without_a_source_nothing_of_it_is_left_and_all_else_is(plain: Plain) -> None:
    assert as_set(plain).without_source(A) == as_set(frozenset(item for item in plain if item[0] != A))


def test_mysqls_own_layout_is_read() -> None:
    found = GtidSet.parse(f"{A.upper()}:1-5:7,\n{B}:1-3:tag_1:2-4")
    assert found.count() == 5 + 1 + 3 + 3
    assert found.sources() == {A, B}
    assert str(found) == f"{A}:1-5:7,{B}:1-3,{B}:tag_1:2-4"


def test_nothing_is_the_empty_set() -> None:
    assert GtidSet.parse("") == EMPTY
    assert not GtidSet.parse(" \n")


@pytest.mark.parametrize("text", ["not-a-uuid:1", f"{A}:0", f"{A}:1-", f"{A}:1-2-3", f"{A}:Tag!"])
def test_what_is_not_a_set_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="not a set of transactions"):
        GtidSet.parse(text)
