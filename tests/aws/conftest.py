"""Applies dev and prod once, each to an API of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.api import Listing
from tests.aws.harness import Stack, empty_stack
from tests.program_files import copy_program


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the end of the shared stacks behind all that looks at them."""
    items.sort(key=lambda item: item.path == Path(__file__).parent / "test_destroy.py")


@pytest.fixture(scope="package")
def untouched() -> Iterator[Stack]:
    """The dev stack before its first `up`."""
    with empty_stack("dev") as opened:
        yield opened


@pytest.fixture(scope="package")
def fresh(untouched: Stack) -> Listing:
    """What the API of dev lists before anything is made in it."""
    return untouched.api.listing()


@pytest.fixture(scope="package")
def dev(untouched: Stack, fresh: Listing) -> Stack:
    """The dev stack, applied. A test that changes it puts it back."""
    assert fresh["instances"] == []
    untouched.up()
    return untouched


@pytest.fixture(scope="package")
def prod() -> Iterator[Stack]:
    """The prod stack, applied."""
    with empty_stack("prod") as opened:
        opened.up()
        yield opened


@pytest.fixture(scope="package", params=["dev", "prod"])
def each(request: pytest.FixtureRequest) -> Stack:
    """Both stacks, one after the other."""
    chosen: Stack = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the program that a test may change."""
    return copy_program(tmp_path)
