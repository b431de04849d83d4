"""Runs other programs from an argument list; an error names the command and quotes its last output."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

_LAST_LINES = 15


class CommandError(LabError):
    """A program could not be started or failed; the message names it and quotes its last lines."""

    def __init__(self, argv: Sequence[str], how: str, output: str) -> None:
        last = "\n".join(f"    {line}" for line in output.strip().splitlines()[-_LAST_LINES:])
        super().__init__(f"`{' '.join(argv)}` {how}" + (f":\n{last}" if last else ""))
        self.how = how
        self.output = output


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 600,
    accept: Sequence[int] = (0,),
) -> str:
    """Runs a program to its end and returns its standard output.

    `env` is added to this process's own; `timeout` is in seconds; an exit status outside `accept` raises `CommandError`.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(words, "is not installed", str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(words, f"did not end within {timeout:g} s", str(error.stdout or "")) from error
    if done.returncode not in accept:
        raise CommandError(words, f"ended with status {done.returncode}", done.stdout + done.stderr)
    return done.stdout
