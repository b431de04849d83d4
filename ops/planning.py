"""The engine for each command: on a running lab, or on an empty API in a folder that is thrown away."""

import contextlib
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

from lab.empty_api import empty_api
from lab.engine import pulumi_cli
from lab.engine.engine import Engine, EngineOptions
from lab.engine.workspace import Setting
from lab.paths import REPOSITORY
from lab.session import Session


@contextlib.contextmanager
def live_engine(session: Session, stack: str, settings: Sequence[str]) -> Generator[Engine]:
    """The engine of a running lab. Raises SettingError, EngineBusyError, ProviderError."""
    options = EngineOptions(
        home=session.engine_home,
        repository=REPOSITORY,
        stack=stack,
        endpoint=session.names.api_endpoint,
        pulumi_root=pulumi_cli.ensure(),
        settings=[Setting.parse(text) for text in settings],
    )
    with Engine(options) as engine:
        yield engine


@contextlib.contextmanager
def planning_engine(session: Session, stack: str | None, settings: Sequence[str]) -> Generator[Engine]:
    """The engine for a plan: of the difference to the running lab that holds this stack, else of everything from nothing."""
    held = session.remembered_stack() if session.running() else None
    if held and stack in (None, held):
        with live_engine(session, held, settings) as engine:
            yield engine
        return
    with tempfile.TemporaryDirectory(prefix="webstack-preview-") as folder, empty_api(Path(folder)) as endpoint:
        options = EngineOptions(
            home=Path(folder) / "engine",
            repository=REPOSITORY,
            stack=stack or "dev",
            endpoint=endpoint,
            pulumi_root=pulumi_cli.ensure(),
            settings=[Setting.parse(text) for text in settings],
        )
        with Engine(options) as engine:
            yield engine
