"""What the lab's commands do with the engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lab.engine import real_providers
from lab.engine.state_files import LostStateError
from lab.hypervisor import teardown
from lab.session import Session
from ops.engine_run import run
from ops.failures import UserError
from ops.options import Provider, Wanted
from ops.planning import live_engine, planning_engine, provider_for
from ops.progress import Planned, Progress
from ops.terminal import Terminal
from stack.site import ANSWERS, NOT_ASKED, UNREACHED

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What an `up` came to: where the site is, and how many resources were created, updated, replaced and deleted.

    `site` is its last sentence on whether the site answers visitors (stack/site.py).
    """

    url: str
    operations: Mapping[str, int]
    site: str

    @property
    def answers(self) -> bool:
        """Whether the site was asked and has answered."""
        return self.site.startswith(ANSWERS)

    def ending(self, seconds: float) -> str:
        """How it ended, in one line: nothing is called serving that was not asked."""
        if self.answers:
            return f"serving after {seconds:.0f} s: {self.site}"
        return f"ended after {seconds:.0f} s, whether it serves is not known: {self.site or 'nobody asked'}"


def up(session: Session, wanted: Wanted, console: Terminal, say: Say, *, refresh: bool = False) -> Applied:
    """Starts the lab where it is not running and applies the stack. Raises LabError.

    With `refresh` the engine first reads every resource anew: what is gone is made again.

    Where the engine's state and the API no longer speak of the same things, because one of them was killed, the lab starts afresh. Where
    the API server ends meanwhile, the error says so.
    """
    chosen = stack_for(session, wanted.stack)
    wanted = replace(wanted, provider=Provider(provider_for(session, wanted.provider)))
    if wanted.provider is Provider.REAL:
        real_providers.require(real_providers.plugin_folder())
    session.start(say)
    if session.api_was_lost():
        _start_afresh(session, "the lab's API server was restarted and knows nothing any more", say)
    try:
        progress, url = _apply(session, chosen, wanted, console, refresh=refresh)
    except LostStateError as error:
        _start_afresh(session, f"{error}; what exists nobody knows", say)
        progress, url = _apply(session, chosen, wanted, console)
    except UserError as error:
        if not session.api_was_lost():
            raise
        raise UserError(
            f"{error}\nThe lab's API server ended while this ran, and what it knew is lost: "
            f"`webstack lab up` again starts the lab afresh. The server's log: {session.names.api_log}"
        ) from None
    say(progress.summary())
    sentences = [text for text in progress.heard if text.startswith((ANSWERS, NOT_ASKED, UNREACHED))]
    return Applied(url=url, operations=progress.counts, site=sentences[-1] if sentences else "")


def preview(session: Session, wanted: Wanted, console: Terminal, *, diff: bool, color: str) -> tuple[str, list[Planned]]:
    """The engine's plan, as its text and step by step: against the running lab, else of everything. Raises LabError."""
    with planning_engine(session, wanted) as engine:
        lines: list[str] = []
        _, progress = run(
            engine, console, "preview", lambda listener: engine.preview(on_event=listener, on_output=lines.append, diff=diff, color=color)
        )
    return "\n".join(lines), progress.planned


def refresh(session: Session, wanted: Wanted, console: Terminal, *, color: str) -> tuple[str, Mapping[str, int]]:
    """Takes what the API says differently from the state into the state: the engine's text, and how many resources. Raises LabError."""
    with live_engine(session, stack_for(session, wanted.stack), wanted) as engine:
        lines: list[str] = []
        _, progress = run(
            engine, console, "refresh", lambda listener: engine.refresh(on_event=listener, on_output=lines.append, color=color)
        )
    return "\n".join(lines), progress.counts


def destroy(session: Session, wanted: Wanted, console: Terminal) -> tuple[str, Mapping[str, int]]:
    """Deletes the stack: a line on how much that was, and the same as numbers. Raises LabError."""
    chosen = stack_for(session, wanted.stack)
    with live_engine(session, chosen, wanted) as engine:
        _, progress = run(engine, console, f"destroy {chosen}", lambda listener: engine.destroy(on_event=listener))
    return progress.summary(), progress.counts


def take_down(session: Session) -> None:
    """Removes every trace of the lab; first what a crashed engine left running. Raises LabError."""
    session.end_engine()
    teardown.take_down(session.names)


def stack_for(session: Session, wanted: str | None) -> str:
    """The stack that a command means. Raises UserError where the lab holds another one."""
    held = session.remembered_stack()
    if held and wanted and held != wanted:
        raise UserError(
            f"--stack {wanted}: lab {session.names.name!r} holds stack {held!r}. "
            f"Give the other stack a lab of its own (--lab {wanted[:8]}), or take this one down first (webstack lab down)."
        )
    return wanted or held or "dev"


def _apply(session: Session, stack: str, wanted: Wanted, console: Terminal, *, refresh: bool = False) -> tuple[Progress, str]:
    session.remember(stack=stack, provider=provider_for(session, wanted.provider))
    with live_engine(session, stack, wanted) as engine:
        result, progress = run(engine, console, f"up {stack}", lambda listener: engine.up(on_event=listener, refresh=refresh))
    return progress, str(result.outputs["url"].value) if "url" in result.outputs else ""


def _start_afresh(session: Session, reason: str, say: Say) -> None:
    say(f"{reason}: starting afresh")
    take_down(session)
    session.start(say)
