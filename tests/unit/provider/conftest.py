"""An AWS in this process with the lab's additions, empty for each test."""

from collections.abc import Generator

import pytest
from moto import mock_aws

from lab.cloud import emulator
from tests.unit.provider.engine import Engine, World, world


@pytest.fixture(scope="session", autouse=True)
def _emulator() -> None:  # pyright: ignore[reportUnusedFunction]
    emulator.install()


@pytest.fixture
def engine() -> Generator[Engine]:
    """A provider instance for `aws`."""
    with mock_aws():
        yield Engine()


@pytest.fixture
def small(engine: Engine) -> World:
    """A VPC with a subnet and a group."""
    return world(engine)
