"""One operation of the engine, from the command line's point of view: progress, Ctrl-C, and a failure's message."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from pulumi import automation as auto

from lab.engine.engine import Engine
from ops.errors import UserError, clean_messages
from ops.progress import Progress
from ops.terminal import Terminal

T = TypeVar("T")

CANCEL_TIMEOUT = 90
"""Seconds that a cancelled engine gets to end what it is creating; a wait for hosts ends at once."""


def run(engine: Engine, console: Terminal, title: str, operation: Callable[[Progress], T]) -> tuple[T, Progress]:
    """Runs `operation` with its progress shown.

    The first Ctrl-C cancels in order (what is being created is awaited and kept), a second one ends it at once. Raises UserError with the
    engine's own messages where it fails, KeyboardInterrupt where it was interrupted.
    """
    with Progress(console, title) as progress:
        try:
            return interruptible(engine, console, lambda: operation(progress)), progress
        except auto.CommandError as error:
            lines = clean_messages(progress.failures) or [_last_lines(str(error))]
            raise UserError("\n".join([f"{title}: failed.", *lines])) from None


def interruptible(engine: Engine, console: Terminal, operation: Callable[[], T]) -> T:
    """Runs a blocking engine call so that Ctrl-C and SIGTERM cancel it in order."""
    results: list[T] = []
    errors: list[BaseException] = []
    ended = threading.Event()
    interrupts = 0

    def work() -> None:
        try:
            results.append(operation())
        except BaseException as error:  # handed to the thread that asked
            errors.append(error)
        finally:
            ended.set()

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts == 1:
            console.print("cancelling: waiting for resources that are being created (once more to stop at once)")
            engine.interrupt()
        else:
            engine.kill()

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        threading.Thread(target=work, daemon=True).start()
        cancelled_for = 0.0
        while not ended.wait(0.2):
            cancelled_for += 0.2 if interrupts else 0
            if cancelled_for > CANCEL_TIMEOUT:
                engine.kill()
                break
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if interrupts:
        raise KeyboardInterrupt
    if errors:
        raise errors[0]
    return results[0]


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])
