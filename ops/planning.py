"""The engine for each command: on a running lab, or on an empty API in a folder that is thrown away."""

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from lab import keys
from lab.empty_api import empty_api
from lab.engine import pulumi_cli
from lab.engine.engine import Engine, EngineOptions, ProviderKind
from lab.engine.workspace import Setting
from lab.paths import REPOSITORY
from lab.session import Session
from ops.failures import UserError
from ops.options import Provider, Wanted


@contextlib.contextmanager
def live_engine(session: Session, stack: str, wanted: Wanted) -> Generator[Engine]:
    """The engine of a running lab. Raises SettingError, EngineBusyError, ProviderError, and KeysError for all but root."""
    options = EngineOptions(
        home=session.engine_home,
        repository=REPOSITORY,
        stack=stack,
        endpoint=session.names.api_endpoint,
        pulumi_root=pulumi_cli.ensure(),
        config_file=wanted.config_file,
        provider=provider_for(session, wanted.provider),
        settings=[Setting.parse(text) for text in wanted.settings],
        keys=keys.read(session.names),
    )
    with Engine(options) as engine:
        yield engine


@contextlib.contextmanager
def planning_engine(session: Session, wanted: Wanted) -> Generator[Engine]:
    """The engine for a plan: of the difference to the running lab that holds this stack, else of everything from nothing."""
    held = session.remembered_stack() if session.running() else None
    if held and wanted.stack in (None, held):
        with live_engine(session, held, wanted) as engine:
            yield engine
        return
    with tempfile.TemporaryDirectory(prefix="webstack-preview-") as folder, empty_api(Path(folder)) as endpoint:
        options = EngineOptions(
            home=Path(folder) / "engine",
            repository=REPOSITORY,
            stack=wanted.stack or "dev",
            endpoint=endpoint,
            pulumi_root=pulumi_cli.ensure(),
            config_file=wanted.config_file,
            provider="real" if wanted.provider is Provider.REAL else "lab",
            settings=[Setting.parse(text) for text in wanted.settings],
        )
        with Engine(options) as engine:
            yield engine


def provider_for(session: Session, wanted: Provider | None) -> ProviderKind:
    """Whose provider a command means. Raises UserError where the lab's stack was made by the other one.

    What one wrote into the state the other reads differently (formats of ids, defaults): its plan would show changes that are none.
    """
    held = session.remembered_provider()
    if held and wanted and held != wanted:
        raise UserError(
            f"--provider {wanted}: what lab {session.names.name!r} holds was made by provider {held!r}, and one state is not for two. "
            f"Give the other one a lab of its own (--lab {wanted}), or take this one down first (webstack lab down)."
        )
    return "real" if (wanted or held) == "real" else "lab"
