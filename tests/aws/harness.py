"""A stack in an API that has no machines behind it: what the real engine plans and does."""

import contextlib
import functools
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from pulumi import automation as auto

from lab.engine import pulumi_cli, workspace
from lab.engine.engine import Engine, EngineOptions, lab_config
from lab.engine.workspace import Setting
from lab.paths import REPOSITORY
from lab.standalone_moto import standalone_moto
from tests.aws.api import Api, tags
from tests.program_files import stack_file

Step = tuple[str, str]
"""An operation of the engine and the name of its resource."""

BASE_SETTINGS = ("readiness.wait=false",)
"""Nobody boots hosts here, so nothing waits for them."""

PROGRAM_PACKAGES = ("stack", "userdata")
"""The packages of the program; a copy of the repository has its own."""

IGNORED_OPS = frozenset({"same", "read", "refresh", "replace"})
"""Steps that change nothing, and the engine's own summary of a replacement whose parts it tells as well."""


@dataclass
class RunResult:
    """What one run of the engine told: the steps that change something in the cloud, and the errors."""

    steps: list[Step] = field(default_factory=list[Step])
    resource_types: list[str] = field(default_factory=list[str])
    registered: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])

    def __call__(self, event: auto.EngineEvent) -> None:
        """Takes one event."""
        begun, done = event.resource_pre_event, event.res_outputs_event
        if begun is not None:
            self.registered.append(begun.metadata.urn.rpartition("::")[2])
        if done is not None and done.metadata.op.value not in IGNORED_OPS and not done.metadata.type.startswith(("webstack:", "pulumi:")):
            self.steps.append((done.metadata.op.value, done.metadata.urn.rpartition("::")[2]))
            self.resource_types.append(done.metadata.type)
        if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            self.errors.append(event.diagnostic_event.message)


@dataclass
class Stack:
    """One stack, its engine open. Every operation takes settings in place of the stack file's, and the folder that holds the program."""

    name: str
    api: Api
    engine: Engine
    base_settings: tuple[str, ...] = BASE_SETTINGS
    """Settings of every operation."""

    def up(self, *settings: str, repository: Path = REPOSITORY, refresh: bool = False, replace: Sequence[str] = ()) -> list[Step]:
        """Applies; gives what was done, sorted."""
        return sorted(self.up_result(*settings, repository=repository, refresh=refresh, replace=replace).steps)

    def up_result(self, *settings: str, repository: Path = REPOSITORY, refresh: bool = False, replace: Sequence[str] = ()) -> RunResult:
        """Applies; gives all that was told, its steps in the order of their ends.

        With `refresh` after reading every resource anew, and with the resources whose URNs are in `replace` made anew.
        """
        told = RunResult()
        with self._program(settings, repository):
            self.engine.up(on_event=told, refresh=refresh, replace=replace)
        return told

    def plan(self, *settings: str, repository: Path = REPOSITORY) -> list[Step]:
        """What `up` would do, sorted."""
        return sorted(self.plan_result(*settings, repository=repository).steps)

    def plan_result(self, *settings: str, repository: Path = REPOSITORY) -> RunResult:
        """All that a plan told."""
        told = RunResult()
        with self._program(settings, repository):
            self.engine.preview(on_event=told)
        return told

    def failed_up_result(self, *settings: str) -> RunResult:
        """An `up` that must fail; gives what it told."""
        told = RunResult()
        with self._program(settings, REPOSITORY):
            try:
                self.engine.up(on_event=told)
            except auto.CommandError:
                return told
        raise AssertionError(f"up with {', '.join(settings)} did not fail")

    def urns(self) -> list[str]:
        """The URN of every resource in the engine's state."""
        deployment = self.engine.stack.export_stack().deployment or {}
        return [one["urn"] for one in deployment["resources"]]

    def resource_types(self) -> list[str]:
        """The type of every resource in the engine's state but components and the engine's own."""
        deployment = self.engine.stack.export_stack().deployment or {}
        found: list[dict[str, str]] = deployment["resources"]
        return [one["type"] for one in found if not one["type"].startswith(("webstack:", "pulumi:"))]

    def stack_id(self) -> str:
        """What tells this stack from another of its name."""
        (found,) = {tags(one)["stack-id"] for one in self.api.instances()}
        return found

    def refresh(self) -> None:
        """Reads every resource anew into the engine's state."""
        with self._program((), REPOSITORY):
            self.engine.refresh()

    @contextlib.contextmanager
    def _program(self, settings: tuple[str, ...], repository: Path) -> Generator[None]:
        options = self.engine.options
        workspace.write_workspace(
            options.home / "workspace",
            repository=repository,
            stack=self.name,
            config_file=options.config_file if repository == REPOSITORY else None,
            settings=[Setting.parse(text) for text in (*self.base_settings, *settings)],
            lab_config=lab_config(options.endpoint),
        )
        self.engine.options = replace(options, repository=repository)
        try:
            with program_modules(repository):
                yield
        finally:
            self.engine.options = options


@contextlib.contextmanager
def program_modules(repository: Path) -> Generator[None]:
    """The program's packages are those of `repository` inside: a copy's modules have the names of ours."""
    if repository == REPOSITORY:
        yield
        return
    ours = _unload_program()
    sys.path.insert(0, str(repository))
    try:
        yield
    finally:
        sys.path.remove(str(repository))
        _unload_program()
        sys.modules.update(ours)


@contextlib.contextmanager
def open_stack(name: str, api: Api, home: Path, *, endpoint: str = "") -> Generator[Stack]:
    """A stack with nothing in it yet. `endpoint`: where the engine finds the API, if not where the auditor does."""
    options = EngineOptions(
        home=home,
        repository=REPOSITORY,
        stack=name,
        endpoint=endpoint or api.endpoint,
        pulumi_root=_pulumi(),
        config_file=stack_file(name),
        settings=[Setting.parse(text) for text in BASE_SETTINGS],
        checkpoints=False,
    )
    with Engine(options) as engine:
        yield Stack(name=name, api=api, engine=engine)


@contextlib.contextmanager
def empty_stack(name: str, *, passphrase: Path | None = None) -> Generator[Stack]:
    """A stack with nothing in it yet, in an API of its own with nothing in it; `passphrase`: the file that its secrets are sealed by."""
    with tempfile.TemporaryDirectory() as folder, standalone_moto(Path(folder)) as endpoint:
        home = Path(folder) / "engine"
        if passphrase is not None:
            home.mkdir(mode=0o700)
            shutil.copy(passphrase, home / "passphrase")
        with open_stack(name, Api(endpoint), home) as opened:
            yield opened


def replaced(*names: str) -> list[Step]:
    """The steps of replacements that make the new one before they delete the old one."""
    return [(op, name) for op in ("create-replacement", "delete-replaced") for name in names]


def updated(*names: str) -> list[Step]:
    """The steps of updates in place."""
    return [("update", name) for name in names]


def _unload_program() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in PROGRAM_PACKAGES]
    return {name: sys.modules.pop(name) for name in names}


@functools.cache
def _pulumi() -> Path:
    return pulumi_cli.ensure()
