"""An AWS in this process with the lab's additions, empty for each test."""

from collections.abc import Generator

import pytest
from moto import mock_aws

from lab.cloud import emulator
from tests.unit.provider.fake_engine import FakeEngine, NetworkFixture, make_network


@pytest.fixture(scope="session", autouse=True)
def _emulator() -> None:  # pyright: ignore[reportUnusedFunction]
    emulator.install()


@pytest.fixture
def engine() -> Generator[FakeEngine]:
    """A provider instance for `aws`."""
    with mock_aws():
        yield FakeEngine()


@pytest.fixture
def small_network(engine: FakeEngine) -> NetworkFixture:
    """A VPC with a subnet and a group."""
    return make_network(engine)
