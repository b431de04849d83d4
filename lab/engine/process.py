"""The Pulumi CLI as a process that the lab can interrupt, and whose remains it can find after a crash."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error


class InterruptibleCommand(PulumiCommand):
    """A PulumiCommand in a session of its own.

    A Ctrl-C at the terminal reaches every process of the foreground group. The engine takes a second interrupt as "stop at once" and
    forgets what it is creating; so it is kept out of that group and given exactly one interrupt by `interrupt()`.
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
        """Runs one CLI command; raises the Automation API's CommandError where it fails."""
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
        ) as process:
            self._running = process
            record_process(self._pid_file, process.pid)
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
        """Asks the running engine to cancel: it waits for what it is creating, saves it and ends."""
        if self._running is not None:
            self._running.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Ends the running engine at once; what it was creating may be lost to its state."""
        if self._running is not None:
            self._running.kill()


def _read(stream: Any, callback: Callable[[str], Any] | None, lines: list[str]) -> None:
    for line in stream:
        text = line.rstrip("\n")
        lines.append(text)
        if callback is not None:
            callback(text)
    stream.close()


def record_process(pid_file: Path, pid: int) -> None:
    """Writes down a process so that a later run knows it again: its pid and its start time, as pids are used anew."""
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    pid_file.write_text(f"{pid} {start_time(pid) or 0}\n")


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def recorded_process(pid_file: Path) -> int | None:
    """The pid in a file of `record_process`, if that very process is still alive."""
    try:
        pid, started = (int(part) for part in pid_file.read_text().split())
    except (OSError, ValueError):
        return None
    return pid if start_time(pid) == started else None


def end_recorded_process(pid_file: Path, *, patience: float = 20) -> bool:
    """Ends what an earlier run left: SIGTERM, then SIGKILL after `patience` seconds. Says whether there was anything."""
    pid = recorded_process(pid_file)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while recorded_process(pid_file) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            if recorded_process(pid_file) is not None:
                os.kill(pid, signal.SIGKILL)
    pid_file.unlink(missing_ok=True)
    return pid is not None
