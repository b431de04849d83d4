"""The engine operations behind the lab's commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lab.engine import real_providers
from lab.engine.state_errors import LostStateError
from lab.hypervisor import teardown
from lab.lab_handle import LabHandle
from ops.engine_factory import lab_engine, preview_engine, provider_for
from ops.engine_run import run
from ops.errors import UserError
from ops.options import EngineRequest, Provider
from ops.progress import PlannedStep, Progress
from ops.terminal import Terminal
from stack.site_check import SITE_SKIPPED, SITE_UNREACHABLE, SITE_UP

ProgressCallback = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class UpResult:
    """What an `up` came to: where the site is, and how many resources were created, updated, replaced and deleted.

    `site_message` is its last sentence on whether the site answers visitors (stack/site_check.py).
    """

    url: str
    operations: Mapping[str, int]
    site_message: str

    @property
    def site_answers(self) -> bool:
        """Whether the site was asked and has answered."""
        return self.site_message.startswith(SITE_UP)

    def summary(self, seconds: float) -> str:
        """The result in one line. Only a site that was asked and answered is called serving."""
        if self.site_answers:
            return f"serving after {seconds:.0f} s: {self.site_message}"
        return f"finished after {seconds:.0f} s, not known to serve: {self.site_message or 'the site was not asked'}"


def up(session: LabHandle, request: EngineRequest, console: Terminal, on_progress: ProgressCallback, *, refresh: bool = False) -> UpResult:
    """Starts the lab where it is not running and applies the stack. Raises LabError.

    With `refresh` the engine first reads every resource anew: what is gone is made again.

    Where the engine's state and the API no longer speak of the same things, because one of them was killed, the lab starts afresh. Where
    the API server ends meanwhile, the error says so.
    """
    chosen = stack_for(session, request.stack)
    request = replace(request, provider=Provider(provider_for(session, request.provider)))
    if request.provider is Provider.REAL:
        real_providers.check_installed(real_providers.plugin_folder())
    session.start(on_progress)
    if session.moto_was_restarted():
        _reset_lab(session, "the lab's API server was restarted and has lost its state", on_progress)
    try:
        progress, url = _apply(session, chosen, request, console, refresh=refresh)
    except LostStateError as error:
        _reset_lab(session, f"{error}; what exists is unknown", on_progress)
        progress, url = _apply(session, chosen, request, console)
    except UserError as error:
        if not session.moto_was_restarted():
            raise
        raise UserError(
            f"{error}\nThe lab's API server ended during this command and its state is lost: "
            f"run `webstack lab up` again to start the lab afresh. The server's log: {session.names.moto_log}"
        ) from None
    on_progress(progress.summary())
    sentences = [text for text in progress.messages if text.startswith((SITE_UP, SITE_SKIPPED, SITE_UNREACHABLE))]
    return UpResult(url=url, operations=progress.counts, site_message=sentences[-1] if sentences else "")


def preview(session: LabHandle, request: EngineRequest, console: Terminal, *, diff: bool, color: str) -> tuple[str, list[PlannedStep]]:
    """The engine's plan, as its text and step by step: against the running lab, else of everything. Raises LabError."""
    with preview_engine(session, request) as engine:
        lines: list[str] = []
        _, progress = run(
            engine, console, "preview", lambda listener: engine.preview(on_event=listener, on_output=lines.append, diff=diff, color=color)
        )
    return "\n".join(lines), progress.planned


def refresh(session: LabHandle, request: EngineRequest, console: Terminal, *, color: str) -> tuple[str, Mapping[str, int]]:
    """Takes what the API says differently from the state into the state: the engine's text, and how many resources. Raises LabError."""
    with lab_engine(session, stack_for(session, request.stack), request) as engine:
        lines: list[str] = []
        _, progress = run(
            engine, console, "refresh", lambda listener: engine.refresh(on_event=listener, on_output=lines.append, color=color)
        )
    return "\n".join(lines), progress.counts


def destroy(session: LabHandle, request: EngineRequest, console: Terminal) -> tuple[str, Mapping[str, int]]:
    """Deletes the stack: a line on how much that was, and the same as numbers. Raises LabError."""
    chosen = stack_for(session, request.stack)
    with lab_engine(session, chosen, request) as engine:
        _, progress = run(engine, console, f"destroy {chosen}", lambda listener: engine.destroy(on_event=listener))
    return progress.summary(), progress.counts


def take_down(session: LabHandle) -> None:
    """Removes every trace of the lab; first what a crashed engine left running. Raises LabError."""
    session.stop_engine()
    teardown.take_down(session.names)


def stack_for(session: LabHandle, requested: str | None) -> str:
    """The stack that a command means. Raises UserError where the lab holds another one."""
    held = session.recorded_stack()
    if held and requested and held != requested:
        raise UserError(
            f"--stack {requested}: lab {session.names.name!r} holds stack {held!r}. "
            f"Give the other stack a lab of its own (--lab {requested[:8]}), or take this one down first (webstack lab down)."
        )
    return requested or held or "dev"


def _apply(session: LabHandle, stack: str, name_or_id: EngineRequest, console: Terminal, *, refresh: bool = False) -> tuple[Progress, str]:
    session.record_stack(stack=stack, provider=provider_for(session, name_or_id.provider))
    with lab_engine(session, stack, name_or_id) as engine:
        result, progress = run(engine, console, f"up {stack}", lambda listener: engine.up(on_event=listener, refresh=refresh))
    return progress, str(result.outputs["url"].value) if "url" in result.outputs else ""


def _reset_lab(session: LabHandle, reason: str, on_progress: ProgressCallback) -> None:
    on_progress(f"{reason}: starting afresh")
    take_down(session)
    session.start(on_progress)
