"""Runs the real Pulumi engine through the Automation API: the same program as `pulumi up`, against an endpoint on this machine."""

import contextlib
import fcntl
import os
import runpy
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from pulumi import automation as auto

from lab.admin_keys import DUMMY_KEY, AccessKey
from lab.aws_services import SERVICES
from lab.engine import real_providers, workspace
from lab.engine.backend import Backend
from lab.engine.interruptible_command import InterruptibleCommand
from lab.engine.provider_process import ProviderProcess
from lab.engine.state_errors import LostStateError, translate_state_errors
from lab.engine.workspace import PROJECT, Setting
from lab.errors import LabError
from lab.processes import stop_from_pid_file

Listener = Callable[[auto.EngineEvent], None]
OutputCallback = Callable[[str], None]

ProviderKind = Literal["lab", "real"]


class EngineBusyError(LabError):
    """Another process is using this engine."""


class EngineError(LabError):
    """The engine cannot open its stack; the message contains the engine's own."""


class InterruptedRunError(LostStateError):
    """An earlier run was killed while the engine was creating resources, so its state does not show what exists."""

    def __init__(self, urns: Sequence[str]) -> None:
        super().__init__("The engine was killed while it worked on: " + ", ".join(urn.rpartition("::")[2] for urn in urns))
        self.urns = tuple(urns)


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The options of one engine.

    `home` contains backend, passphrase and scratch folder; `pulumi_root` contains `bin/pulumi`; `endpoint` is the URL of the AWS API.
    `keys` sign the calls; dummies suffice unless the endpoint checks them.
    `provider` is `lab` for the lab's own providers, or `real` for Pulumi's plugins, which must then be installed.
    `config_file` is the stack's configuration; the default is the repository's `Pulumi.<stack>.yaml`.
    `checkpoints=False` saves the state only at the end: ten times as fast for a thousand resources, but a killed run loses it.
    """

    home: Path
    repository: Path
    stack: str
    endpoint: str
    pulumi_root: Path
    config_file: Path | None = None
    provider: ProviderKind = "lab"
    settings: Sequence[Setting] = ()
    keys: AccessKey = DUMMY_KEY
    checkpoints: bool = True


class Engine:
    """One stack of the program in one backend. Use it as a context manager, which takes its lock and starts its provider."""

    def __init__(self, options: EngineOptions) -> None:
        self.options = options
        self._stack: auto.Stack | None = None
        self._command: InterruptibleCommand | None = None
        self._checked_pending = False
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> "Engine":
        with contextlib.ExitStack() as stack:
            self._open(stack)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _open(self, exit_stack: contextlib.ExitStack) -> None:
        options = self.options
        home = options.home
        with translate_state_errors(home):
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            exit_stack.enter_context(_exclusive_lock(home / "engine.lock"))
            stop_from_pid_file(home / "pulumi.pid", grace=60)
        backend = Backend(folder=home / "backend", passphrase_file=home / "passphrase")
        backend.prepare(PROJECT, options.stack)
        exit_stack.enter_context(isolated_aws_environment(options.endpoint, options.keys))
        provider: ProviderProcess | None = None
        if options.provider == "real":
            real_providers.check_installed(real_providers.plugin_folder())
            with translate_state_errors(home):
                real_providers.link_plugins(home / "pulumi-home", real_providers.plugin_folder())
        else:
            provider = ProviderProcess(endpoint=options.endpoint, folder=home)
            exit_stack.callback(provider.stop)
            provider.start()
        folder = home / "workspace"
        workspace.write_workspace(
            folder,
            repository=options.repository,
            stack=options.stack,
            config_file=options.config_file,
            settings=options.settings,
            lab_config=lab_config(options.endpoint, options.provider),
        )
        self._command = InterruptibleCommand(root=options.pulumi_root, pid_file=home / "pulumi.pid")
        attached = {"PULUMI_DEBUG_PROVIDERS": provider.debug_providers()} if provider else {"PULUMI_IGNORE_AMBIENT_PLUGINS": "true"}
        try:
            self._stack = auto.create_or_select_stack(
                stack_name=options.stack,
                project_name=PROJECT,
                program=self._program,
                opts=auto.LocalWorkspaceOptions(
                    work_dir=str(folder),
                    pulumi_home=str(home / "pulumi-home"),
                    pulumi_command=self._command,
                    env_vars={
                        "PULUMI_BACKEND_URL": backend.url,
                        "PULUMI_CONFIG_PASSPHRASE_FILE": str(backend.passphrase_file),
                        **attached,
                        # The providers are already here. Otherwise every run would first look for the real ones on the internet: a download
                        # of 200 MB, or 2.4 s of retries without a connection.
                        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                        "PULUMI_SKIP_CHECKPOINTS": "false" if options.checkpoints else "true",
                    },
                ),
            )
        except auto.CommandError as error:
            raise EngineError(f"The engine cannot open stack {options.stack!r} in {home}:\n{str(error).strip()}") from None

    def _program(self) -> None:
        repository = str(self.options.repository)
        if repository not in sys.path:
            sys.path.insert(0, repository)
        runpy.run_path(str(self.options.repository / "__main__.py"), run_name="__main__")

    @property
    def stack(self) -> auto.Stack:
        """The Automation API's stack. Available while the context is open."""
        if self._stack is None:
            raise RuntimeError("the engine is not open: use it as a context")
        return self._stack

    def up(
        self,
        on_event: Listener | None = None,
        on_output: OutputCallback | None = None,
        *,
        refresh: bool = False,
        replace: Sequence[str] = (),
    ) -> auto.UpResult:
        """Creates and updates what differs. `refresh` first reads every resource, like `pulumi up --refresh`.

        The resources whose URNs are in `replace` are replaced, like `pulumi up --replace`.

        Raises auto.CommandError, and InterruptedRunError if an earlier run was killed.
        """
        self.check_interrupted()
        return self.stack.up(
            on_event=on_event, on_output=on_output, color="never", show_secrets=False, refresh=refresh, replace=list(replace)
        )

    def preview(
        self, on_event: Listener | None = None, on_output: OutputCallback | None = None, *, diff: bool = False, color: str = "never"
    ) -> auto.PreviewResult:
        """Plans without changing anything; `on_output` receives the engine's output."""
        return self.stack.preview(on_event=on_event, on_output=on_output, diff=diff, color=color)

    def refresh(
        self, on_event: Listener | None = None, on_output: OutputCallback | None = None, *, color: str = "never"
    ) -> auto.RefreshResult:
        """Reads every resource from the API into the state."""
        return self.stack.refresh(on_event=on_event, on_output=on_output, color=color, show_secrets=False)

    def destroy(self, on_event: Listener | None = None, on_output: OutputCallback | None = None) -> auto.DestroyResult:
        """Deletes every resource in the state. If one is protected, raises auto.CommandError and deletes nothing."""
        # Without a plan first (the CLI makes one, the Automation API does not) the engine deletes everything that is not protected.
        self.stack.preview_destroy(on_event=_diagnostics_only(on_event), color="never")
        return self.stack.destroy(on_event=on_event, on_output=on_output, color="never", show_secrets=False)

    def check_interrupted(self) -> None:
        """Raises InterruptedRunError if the state has an unfinished creation, as a killed engine leaves it."""
        if self._checked_pending:
            return
        deployment = self.stack.export_stack().deployment or {}
        pending: list[dict[str, object]] = deployment.get("pending_operations") or deployment.get("pendingOperations") or []
        urns: list[str] = []
        for operation in pending:
            resource = operation.get("resource")
            if isinstance(resource, dict):
                urns.append(str(resource.get("urn", "?")))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        if urns:
            raise InterruptedRunError(urns)
        self._checked_pending = True

    def interrupt(self) -> None:
        """Asks a running operation to end gracefully. For other threads and signal handlers."""
        if self._command is not None:
            self._command.interrupt()

    def kill(self) -> None:
        """Kills a running operation."""
        self._checked_pending = False
        if self._command is not None:
            self._command.kill()


def _diagnostics_only(listener: Listener | None) -> Listener | None:
    """Passes on only a plan's diagnostics, so that its steps are not mistaken for changes."""
    if listener is None:
        return None
    return lambda event: listener(event) if event.diagnostic_event is not None else None


def lab_config(endpoint: str, provider: ProviderKind = "lab") -> dict[str, object]:
    """Returns the `aws:` settings that point the provider and the program at the lab's endpoint instead of AWS."""
    settings: dict[str, object] = {"aws:endpoints": [dict.fromkeys(SERVICES, endpoint)], "aws:s3UsePathStyle": True}
    return settings | (real_providers.settings(endpoint) if provider == "real" else {})


@contextlib.contextmanager
def isolated_aws_environment(endpoint: str, keys: AccessKey = DUMMY_KEY) -> Generator[None]:
    """Removes the user's AWS settings from the environment, so that nothing in the lab can reach a real account by mistake."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for name in kept:
        del os.environ[name]
    ours = {
        **keys.environment(),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
        os.environ.update(kept)


@contextlib.contextmanager
def _exclusive_lock(path: Path) -> Generator[IO[str]]:
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise EngineBusyError(f"another run drives this engine (process {holder}); wait for it or end it with Ctrl-C there") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock
