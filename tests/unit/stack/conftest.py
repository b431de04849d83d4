"""The program, run whole on the strict monitor (once for each case, since nothing in it depends on a test), and a site to be asked."""

import functools
import json
import runpy
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from stack.bundles import BuiltBundle
from tests import program_files as program_files
from tests.unit.monitor import RecordedProgram, StrictMonitor, run
from tests.unit.stack.fake_site import FakeSite, serve, write_certificate

REPOSITORY = Path(__file__).resolve().parents[3]
APP_HASH = "a" * 64

ProgramRunner = Callable[..., RecordedProgram]
MainRunner = Callable[..., RecordedProgram]


def stack_config(name: str) -> dict[str, Any]:
    """The stack file's configuration; readiness is off, since nothing boots here."""
    return {**program_files.stack_config(name), "webstack:readiness": {"wait": False}}


@pytest.fixture(scope="session")
def main(tmp_path_factory: pytest.TempPathFactory) -> MainRunner:
    """`main("dev", config, monitor)`: runs the whole program on a monitor, with an app that nobody has to build."""
    folder = tmp_path_factory.mktemp("bundles")
    bundle = folder / "app.tar.gz"
    bundle.write_bytes(b"an app")

    def app(_: Path, *, build: bool) -> BuiltBundle:
        return BuiltBundle(key=f"app/{APP_HASH}.tar.gz", sha256=APP_HASH, path=bundle if build else None)

    def call(stack: str, config: dict[str, Any], monitor: StrictMonitor) -> RecordedProgram:
        with (
            mock.patch("stack.bundles.app_bundle", app),
            mock.patch("stack.aws_client.AwsClient.has_object", return_value=False),
            mock.patch("stack.aws_client.AwsClient.put_object"),  # what it puts there, the program's log says
            mock.patch.dict("os.environ", {"WEBSTACK_CACHE": str(folder)}),
        ):
            return run(_main, config=config, stack_name=stack, monitor=monitor)

    return call


@pytest.fixture(scope="session")
def program(main: MainRunner) -> ProgramRunner:
    """`program("dev", preview=True, web={"count": 3})`: what the program registers, with changes to sections of the stack file."""

    @functools.cache
    def once(stack: str, preview: bool, changes: str) -> RecordedProgram:
        config = stack_config(stack)
        for section, values in json.loads(changes).items():
            config[f"webstack:{section}"] = {**config.get(f"webstack:{section}", {}), **values}
        return main(stack, config, StrictMonitor(preview=preview))

    def call(stack: str = "dev", *, preview: bool = False, **changes: dict[str, Any]) -> RecordedProgram:
        return once(stack, preview, json.dumps(changes, sort_keys=True))

    return call


@pytest.fixture(scope="session")
def site_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the site's name with its key, good for two days."""
    return write_certificate(tmp_path_factory.mktemp("site") / "tls.pem", until=timedelta(days=2))


@pytest.fixture
def fake_site(site_certificate: Path) -> Iterator[FakeSite]:
    """A site that answers."""
    with serve(site_certificate) as site:
        yield site


def _main() -> None:
    runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")
