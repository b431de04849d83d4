"""Processes identified by pid and start time, so that a pid which the kernel has reused is not mistaken for the old process."""

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process, which stays identifiable after it has ended."""

    pid: int
    start_ticks: int
    """Clock ticks between the machine's boot and the process's start (field 22 of /proc/PID/stat)."""

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Returns the process that has this pid now. Raises `ProcessLookupError` if there is none."""
        started = _start_time(pid)
        if started is None:
            raise ProcessLookupError(f"no process has pid {pid}")
        return cls(pid=pid, start_ticks=started)

    def alive(self) -> bool:
        """Whether this process still runs; a zombie does not count."""
        return _start_time(self.pid) == self.start_ticks

    def stop(self, *, grace: float) -> None:
        """Sends SIGTERM, and SIGKILL after `grace` seconds; returns when the process is gone."""
        for sign, timeout in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            if not self.alive():
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sign)
            deadline = time.monotonic() + timeout
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.02)


def environment_without_aws() -> dict[str, str]:
    """Returns this process's environment without AWS variables, for the lab's own processes, which must not use the user's credentials.

    A profile alone (`AWS_PROFILE`) can keep boto3 from starting.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def write_pid_file(path: Path, pid: int) -> None:
    """Writes `PID START`, the start time in clock ticks since boot."""
    process = Process.of(pid)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(f"{process.pid} {process.start_ticks}\n")
    scratch.rename(path)


def read_pid_file(path: Path) -> Process | None:
    """Returns the process that the file names if it still runs, else None."""
    try:
        pid, started = (int(word) for word in path.read_text().split())
    except (OSError, ValueError):
        return None
    process = Process(pid=pid, start_ticks=started)
    return process if process.alive() else None


async def wait_for_exit(process: Process) -> None:
    """Returns when the process has ended, and reaps it if it is a child of this process."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    exited = asyncio.Event()
    try:
        if process.alive():
            loop.add_reader(descriptor, exited.set)
            await exited.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


def _start_time(pid: int) -> int | None:
    try:
        # The second field is the program's name in parentheses, which may contain spaces and parentheses itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def stop_from_pid_file(pid_file: Path, *, grace: float = 20) -> None:
    """Ends the process that the file names, if it still runs: SIGTERM, then SIGKILL after `grace` seconds."""
    process = read_pid_file(pid_file)
    if process is not None:
        process.stop(grace=grace)
    pid_file.unlink(missing_ok=True)
