"""The engine for each command: on a running lab, or on an empty API in a folder that is thrown away."""

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from lab import admin_keys
from lab.engine import pulumi_cli
from lab.engine.engine import Engine, EngineOptions, ProviderKind
from lab.engine.workspace import Setting
from lab.lab_handle import LabHandle
from lab.paths import REPOSITORY
from lab.standalone_moto import standalone_moto
from ops.errors import UserError
from ops.options import EngineRequest, Provider


@contextlib.contextmanager
def lab_engine(session: LabHandle, stack: str, request: EngineRequest) -> Generator[Engine]:
    """The engine of a running lab. Raises SettingError, EngineBusyError, ProviderError, and AdminKeysError for all but root."""
    options = EngineOptions(
        home=session.engine_home,
        repository=REPOSITORY,
        stack=stack,
        endpoint=session.names.api_endpoint,
        pulumi_root=pulumi_cli.ensure(),
        config_file=request.config_file,
        provider=provider_for(session, request.provider),
        settings=[Setting.parse(text) for text in request.settings],
        keys=admin_keys.read_admin_key(session.names),
    )
    with Engine(options) as engine:
        yield engine


@contextlib.contextmanager
def preview_engine(session: LabHandle, request: EngineRequest) -> Generator[Engine]:
    """The engine for a plan: of the difference to the running lab that holds this stack, else of everything from nothing."""
    held = session.recorded_stack() if session.running() else None
    if held and request.stack in (None, held):
        with lab_engine(session, held, request) as engine:
            yield engine
        return
    with tempfile.TemporaryDirectory(prefix="webstack-preview-") as folder, standalone_moto(Path(folder)) as endpoint:
        options = EngineOptions(
            home=Path(folder) / "engine",
            repository=REPOSITORY,
            stack=request.stack or "dev",
            endpoint=endpoint,
            pulumi_root=pulumi_cli.ensure(),
            config_file=request.config_file,
            provider="real" if request.provider is Provider.REAL else "lab",
            settings=[Setting.parse(text) for text in request.settings],
        )
        with Engine(options) as engine:
            yield engine


def provider_for(session: LabHandle, requested: Provider | None) -> ProviderKind:
    """Whose provider a command means. Raises UserError where the lab's stack was made by the other one.

    What one wrote into the state the other reads differently (formats of ids, defaults): its plan would show changes that are none.
    """
    held = session.recorded_provider()
    if held and requested and held != requested:
        raise UserError(
            f"--provider {requested}: lab {session.names.name!r} was deployed with provider {held!r}, and a stack keeps its provider. "
            f"Give the other provider a lab of its own (--lab {requested}), or take this one down first (webstack lab down)."
        )
    return "real" if (requested or held) == "real" else "lab"
