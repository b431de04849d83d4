"""Runs other programs with a time limit and readable errors."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from webstack_host.errors import PermanentError

LAST_LINES = 15
"""The lines of a failed program's output that the error contains."""


class CommandError(RuntimeError):
    """A program failed; the message contains the command, how it ended and its last lines."""


def run(
    command: Sequence[str | Path],
    *,
    check: bool = True,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    timeout: float | None = 120,
) -> subprocess.CompletedProcess[str]:
    """Runs a program and returns its result with stdout and stderr as text.

    `env` replaces the environment, `timeout` is in seconds. Raises CommandError if the program is missing, takes too long or, with `check`,
    does not exit with 0.
    """
    words = [str(word) for word in command]
    line = " ".join(words)
    try:
        done = subprocess.run(
            words,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env=env,
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"{line}: {error.filename} is not there") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{line}: still running after {timeout} s") from error
    if check and done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:]
        raise CommandError("\n".join([f"{line}: exit code {done.returncode}", *lines]))
    return done


def validate(command: Sequence[str | Path]) -> None:
    """Runs a program's own check of its configuration. Raises PermanentError with its last lines if it fails."""
    try:
        run(command)
    except CommandError as error:
        raise PermanentError(str(error)) from error
