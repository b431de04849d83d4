"""The engine's events as people read them: what is being done, what each host says of itself, what failed and why.

On a terminal one line at the bottom moves and only news stays; elsewhere every piece of news is a plain line.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from pulumi import automation as auto
from rich.status import Status
from rich.text import Text

from ops.terminal import Terminal

HEARTBEAT_SECONDS = 10
"""Without a terminal, a line of progress after this many seconds without any other."""

_PAST_TENSE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "created",
    "delete-replaced": "deleted",
}
_STYLE = {"created": "green", "updated": "yellow", "replaced": "yellow", "deleted": "red"}


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step of a plan, in the engine's words: `create`, `update`, `delete`, `replace`, `create-replacement`, `delete-replaced`."""

    operation: str
    type: str
    name: str


class Progress:
    """Listens to one run of the engine. Use as a context around it; `failures` holds what went wrong, in the order it was said."""

    def __init__(self, console: Terminal, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._title = title
        self._clock = clock
        self._started = clock()
        self._last_line = self._started
        self._done = 0
        self.counts: dict[str, int] = {}
        """How many resources were created, updated, replaced and deleted."""
        self.planned: list[PlannedStep] = []
        """What a preview would do, in its order."""
        self._running: dict[str, str] = {}
        self._last_message: dict[str, str] = {}
        self._lock = threading.Lock()
        self._status: Status | None = None
        self.failures: list[str] = []
        self.messages: list[str] = []
        """What the program said, in order."""

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._status = self._console.status(Text(self._title))
            self._status.start()
        else:
            self._line(self._title)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, event: auto.EngineEvent) -> None:
        """Takes one event; called from the Automation API's thread."""
        with self._lock:
            if event.resource_pre_event is not None:
                self._on_start(event.resource_pre_event.metadata)
            elif event.res_outputs_event is not None:
                self._on_finish(event.res_outputs_event.metadata, planned=bool(event.res_outputs_event.planning))
            elif event.res_op_failed_event is not None:
                self._running.pop(event.res_op_failed_event.metadata.urn, None)
            elif event.diagnostic_event is not None:
                self._on_diagnostic(event.diagnostic_event)
            self._show()

    def summary(self) -> str:
        """What was done, in one line: `12 created, 1 updated in 31 s`."""
        parts = [f"{count} {name}" for name, count in self.counts.items()] or ["nothing to change"]
        return f"{', '.join(parts)} in {self._clock() - self._started:.0f} s"

    def _on_start(self, metadata: auto.StepEventMetadata) -> None:
        if metadata.op.value not in ("same", "read", "refresh"):
            self._running[metadata.urn] = metadata.op.value

    def _on_finish(self, metadata: auto.StepEventMetadata, *, planned: bool) -> None:
        self._running.pop(metadata.urn, None)
        if planned:
            if metadata.op.value not in ("same", "read", "refresh") and _is_resource(metadata.type):
                self.planned.append(PlannedStep(operation=metadata.op.value, type=metadata.type, name=_name(metadata.urn)))
            return
        verb = _PAST_TENSE.get(metadata.op.value)
        if verb is None or metadata.type == "pulumi:pulumi:Stack" or metadata.op.value == "replace" or not _is_resource(metadata.type):
            return
        self._done += 1
        self.counts[verb] = self.counts.get(verb, 0) + 1
        if metadata.type == "aws:ec2/instance:Instance":
            self._line(f"  {_name(metadata.urn):<8} instance {verb}", _STYLE.get(verb))

    def _on_diagnostic(self, event: auto.DiagnosticEvent) -> None:
        message = event.message.strip()
        if not message or event.severity == "debug":
            return
        self.messages.append(message)
        if event.severity in ("error", "info#err") or (event.severity == "warning" and not event.ephemeral):
            if message not in self.failures and event.severity != "warning":
                self.failures.append(message)
            if event.severity == "warning":
                self._line(f"  warning: {message}", "yellow")
            return
        name = _name(event.urn) if event.urn else ""
        if self._last_message.get(name) != message:
            self._last_message[name] = message
            self._line(f"  {name:<8} {message}" if name else f"  {message}")

    def _show(self) -> None:
        now = self._clock()
        text = f"{self._title}: {self._done} done"
        if self._running:
            names = [_name(urn) for urn in self._running]
            text += f", now {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        if self._status is not None:
            self._status.update(Text(text))
        elif now - self._last_line >= HEARTBEAT_SECONDS:
            self._line(f"  {text} ({now - self._started:.0f} s)")

    def _line(self, text: str, style: str | None = None) -> None:
        self._last_line = self._clock()
        self._console.print(text, style=style, soft_wrap=True)


def _is_resource(token: str) -> bool:
    """Whether a type is something in the cloud, not one of our components or a provider."""
    return not token.startswith(("webstack:", "pulumi:"))


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
