"""The API server's process. It is started once per lab and outlives the daemon, so that AWS's state survives a daemon's crash."""

import asyncio
import subprocess
import sys
from pathlib import Path

from lab.names import LabNames
from lab.processes import Process, read_pid_file, write_pid_file

START_DEADLINE = 60.0
"""Seconds after which an API server that does not listen counts as failed; it usually takes one or two."""
_STOP_GRACE = 2.0


class MotoServerError(Exception):
    """The API server did not start; the message contains the end of its log."""


class MotoProcess:
    """The API server of one lab."""

    def __init__(self, names: LabNames) -> None:
        self._names = names
        self._pid_file = names.pid_file("api")
        self._socket = names.moto_socket
        self._log = names.moto_log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The moto server's address: `lab.moto_address`."""
        return self._names.moto_address

    async def start(self) -> bool:
        """Starts the server unless it is running. Returns True if it was already running. Raises `MotoServerError`."""
        process = read_pid_file(self._pid_file)
        found = process is not None
        if process is None:
            process = self._spawn()
        deadline = asyncio.get_running_loop().time() + START_DEADLINE
        while not self._socket.exists():  # it exists once the server listens
            if self._exited(process) or asyncio.get_running_loop().time() > deadline:
                await self.stop()
                raise MotoServerError(f"The AWS API server did not start. The end of {self._log}:\n{_log_tail(self._log)}")
            await asyncio.sleep(0.05)
        return found

    async def stop(self) -> None:
        """Ends the server. Its state is lost."""
        process = read_pid_file(self._pid_file)
        if process is not None:
            await asyncio.to_thread(process.stop, grace=_STOP_GRACE)
        if self._child is not None:
            self._child.poll()
        for file in (self._pid_file, self._socket):
            file.unlink(missing_ok=True)

    def _spawn(self) -> Process:
        self._socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "lab.cloud.moto_server", "--machines", "--public-range", str(self._names.public_network)]
        command += ["--socket", str(self._socket)]
        with self._log.open("ab") as log:
            # A new session, so that signals to the daemon's group do not end the server.
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        write_pid_file(self._pid_file, self._child.pid)
        return Process.of(self._child.pid)

    def _exited(self, process: Process) -> bool:
        return not process.alive() or (self._child is not None and self._child.poll() is not None)


def _log_tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""
