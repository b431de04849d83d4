"""Strings in statements."""

from database_role.mysql import quote


def test_a_string_cannot_leave_its_quotes() -> None:
    assert quote("a'; DROP DATABASE app; -- \\") == "'a\\'; DROP DATABASE app; -- \\\\'"
