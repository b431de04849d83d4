"""Applies dev and prod once, each to an API of its own."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.empty_api import empty_api
from tests.aws.api import Api, Listing
from tests.aws.harness import Stack, stack
from tests.program import copy_program


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the end of the shared stacks behind all that looks at them."""
    items.sort(key=lambda item: item.path == Path(__file__).parent / "test_destroy.py")


@contextmanager
def _empty(name: str) -> Generator[Stack]:
    with (
        tempfile.TemporaryDirectory() as folder,
        empty_api(Path(folder)) as endpoint,
        stack(name, Api(endpoint), Path(folder) / "engine") as opened,
    ):
        yield opened


@pytest.fixture(scope="package")
def untouched() -> Iterator[Stack]:
    """The dev stack before its first `up`."""
    with _empty("dev") as opened:
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
    with _empty("prod") as opened:
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
