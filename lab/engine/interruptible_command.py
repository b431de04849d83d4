"""Runs the Pulumi CLI as a process that the lab can interrupt, and can find again after a crash."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error

from lab.files import PRIVATE_UMASK
from lab.processes import write_pid_file


class InterruptibleCommand(PulumiCommand):
    """A PulumiCommand in a session of its own.

    Ctrl-C at a terminal signals every process of the foreground group. On a second interrupt the engine stops at once and loses track of
    what it is creating. So it is kept out of that group and gets exactly one interrupt, from `interrupt()`.
    """

    def __init__(self, *, root: Path, pid_file: Path) -> None:
        super().__init__(root=str(root))
        self._pid_file = pid_file
        self._running: subprocess.Popen[str] | None = None

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        """Runs one CLI command. Raises the Automation API's CommandError if it fails."""
        command = [self.command, "--non-interactive", *args]
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true", "PULUMI_SKIP_UPDATE_CHECK": "true"}
        environment["PATH"] = f"{Path(self.command).parent}{os.pathsep}{environment.get('PATH', '')}"
        output: dict[str, list[str]] = {"stdout": [], "stderr": []}
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment,
            encoding="utf-8",
            start_new_session=True,
            umask=PRIVATE_UMASK,
        ) as process:
            self._running = process
            write_pid_file(self._pid_file, process.pid)
            readers = [
                threading.Thread(target=_read, args=(process.stdout, on_output, output["stdout"]), daemon=True),
                threading.Thread(target=_read, args=(process.stderr, on_error, output["stderr"]), daemon=True),
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            code = process.wait()
        self._running = None
        self._pid_file.unlink(missing_ok=True)
        result = CommandResult("\n".join(output["stdout"]), "\n".join(output["stderr"]), code)
        if code != 0:
            raise create_command_error(result)
        return result

    def interrupt(self) -> None:
        """Asks the running engine to cancel: it finishes what it is creating, saves the state and ends."""
        if self._running is not None:
            self._running.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kills the running engine; resources that it was creating may be missing from its state."""
        if self._running is not None:
            self._running.kill()


def _read(stream: Any, callback: Callable[[str], Any] | None, lines: list[str]) -> None:
    for line in stream:
        text = line.rstrip("\n")
        lines.append(text)
        if callback is not None:
            callback(text)
    stream.close()
