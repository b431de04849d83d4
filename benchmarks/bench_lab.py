"""The lab that is measured: one of its own, stood up by the command that people type, and always taken away."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from types import FrameType

from lab.errors import LabError
from lab.names import LabNames
from lab.paths import REPOSITORY

NAME = "bench"

HIGH_LIMITS = tuple(
    f"--set=loadBalancer.limits.{limit}"
    for limit in ("connections=6000", "connectionRate=1000000", "requestRate=1000000", "requestConcurrency=6000")
)
"""Limits of an address that nothing here meets: all load comes from one, and is not to be refused."""

_FOLDER = "/"
"""Where commands run: not in the clone, and in no folder that another user could put a module into for Python to find."""

DEADLINE = 1800
"""Seconds that any one command may take."""


class BenchmarkError(LabError):
    """A measurement could not be made; the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class BenchLab:
    """The running lab; wall-clock times in seconds since the epoch."""

    names: LabNames
    up_started: float
    up_finished: float

    def command(self, *arguments: str) -> str:
        """Runs `webstack lab …` on this lab and gives what it printed. Raises BenchmarkError."""
        return webstack(*arguments)

    def configure(self, setting: str) -> None:
        """`up` with one setting more than the lab's own. Raises BenchmarkError."""
        webstack("up", *HIGH_LIMITS, f"--set={setting}")

    def run_on(self, host: str, *command: str) -> str:
        """Runs a command on a host as root and gives what it printed. Raises BenchmarkError."""
        return webstack("exec", host, "--", *command)


@contextlib.contextmanager
def bench_lab() -> Generator[BenchLab]:
    """Stands the lab up from nothing and takes it away at the end, also where the user interrupts. Raises BenchmarkError."""
    _down()
    webstack("setup", lab=False)
    began = time.time()
    try:
        webstack("up", *HIGH_LIMITS)
        yield BenchLab(names=LabNames.of(NAME), up_started=began, up_finished=time.time())
    finally:
        with _deferred_interrupts():
            _down()


@contextlib.contextmanager
def _deferred_interrupts() -> Generator[None]:
    """Answers Ctrl-C and SIGTERM with a word: an impatient second one must not leave half a lab."""

    def answer(signum: int, frame: FrameType | None) -> None:
        print(f"taking lab {NAME} away first", file=sys.stderr)

    previous = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def webstack(*arguments: str, lab: bool = True) -> str:
    """Runs `webstack lab …` and gives what it printed. Raises BenchmarkError with the end of what it said."""
    first, *rest = arguments
    line = [sys.executable, "-m", "ops", "lab", first, *(("--lab", NAME) if lab else ()), *rest]
    result = subprocess.run(line, capture_output=True, text=True, check=False, timeout=DEADLINE, cwd=_FOLDER, env=_environment())
    if result.returncode != 0:
        raise BenchmarkError(
            f"webstack lab {' '.join(arguments)}: status {result.returncode}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
        )
    return result.stdout


def _down() -> None:
    # In a session of its own, out of a Ctrl-C's reach.
    line = [sys.executable, "-m", "ops", "lab", "down", "--lab", NAME]
    result = subprocess.run(
        line,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
        cwd=_FOLDER,
        env=_environment(),
        start_new_session=True,
    )
    if result.returncode != 0:
        raise BenchmarkError(f"webstack lab down --lab {NAME}: status {result.returncode}\n{result.stderr[-4000:]}")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"}
