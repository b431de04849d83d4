"""Rules for every test: its tier is its folder, a unit test reaches neither network nor programs, and in CI nothing may be skipped."""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# From here on the hosts' own packages can be imported.
import userdata  # noqa: F401  # pyright: ignore[reportUnusedImport]

TESTS = Path(__file__).parent
# How long an example takes says how busy the machine is.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


SERVER_FOLDERS = frozenset(("cloud", "hosts"))
"""Folders of tests/aws whose tests start servers of their own, with neither engine nor stack."""

_OWN_STACKS = "audit_repository cli configuration damage deployer deployer_prod real_provider same_name state table_of_changes"
ISOLATED = SERVER_FOLDERS | {f"test_{what}.py" for what in _OWN_STACKS.split()}
"""Of tests/aws, what does not look at the stacks which the others share (the first one makes a stack of its own for that)."""


class GroupScheduling(LoadScopeScheduling):
    """Gives each worker whole groups of tests that share fixtures or ports."""

    def _split_scope(self, nodeid: str) -> str:
        tier, folder = nodeid.partition("::")[0].removeprefix("tests/").split("/")[:2]
        return f"{tier}/{folder}" if tier in ("unit", "lab") or folder in ISOLATED else tier


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Shares tests out among workers, in the order of the collection: the longest piece of work first."""
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks each test with the tier whose folder it is in."""
    tier = _tier(item)
    if tier in ("aws", "lab"):
        item.add_marker(tier)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the quick tiers first; with several workers the engine's tests, which are the longest piece of work."""
    workers = hasattr(config, "workerinput")
    order = {"unit": 0, "aws": -1 if workers else 1, "lab": 2}
    items.sort(key=lambda item: order.get(_tier(item), 0))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failure: there everything that a test may need is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped: list[object] = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") and skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says why CI fails when only skips are to blame."""
    skipped = len(terminalreporter.stats.get("skipped", []))
    if os.environ.get("CI") and skipped:
        terminalreporter.write_line(f"CI: {skipped} skipped, and here nothing may be", red=True)


@pytest.fixture(autouse=True)
def _isolate_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Keeps unit tests to themselves: no connection but loopback's, no other program unless marked `programs`.

    Tests of `SERVER_FOLDERS` likewise, but for the programs.
    """
    with_programs = request.node.get_closest_marker("programs") is not None
    if _tier(request.node) != "unit":
        if not SERVER_FOLDERS.intersection(Path(request.node.path).relative_to(TESTS).parts[1:2]):
            return
        with_programs = True
    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a unit test reaches for {address}: use a fake, or put the test into another tier")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if with_programs:
        return

    def no_program(self: object, args: Any, *_: Any, **__: Any) -> None:
        raise AssertionError(f"a unit test runs {args}: mark it `programs` if that is what it is about")

    monkeypatch.setattr(subprocess.Popen, "__init__", no_program)


def _tier(item: Any) -> str:
    path = Path(item.path)
    return path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""
