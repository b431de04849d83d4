"""Starts and finds a lab's daemon, as commands must before they can use its control API."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import control_client
from lab.errors import LabError
from lab.files import private_opener, write_atomic
from lab.names import LabNames
from lab.processes import environment_without_aws, read_pid_file, stop_from_pid_file

START_DEADLINE = 60
"""Seconds after which a daemon that does not answer counts as failed; it usually answers within two."""


class DaemonError(LabError):
    """The lab's daemon did not start, with the last lines of its log in the message, or is not running."""


@dataclass(frozen=True, kw_only=True)
class LabHandle:
    """One lab on this machine."""

    names: LabNames

    @classmethod
    def of(cls, name: str) -> "LabHandle":
        """Returns the lab of that name, running or not. Raises LabNameError."""
        return cls(names=LabNames.of(name))

    @property
    def engine_home(self) -> Path:
        """The folder in which the engine keeps the lab's stack."""
        return self.names.state_dir / "engine"

    def running(self) -> bool:
        """Whether the lab's daemon answers."""
        with contextlib.suppress(control_client.ControlError):
            control_client.status(self.names)
            return True
        return False

    def start(self, on_progress: Callable[[str], None], *options: str) -> None:
        """Starts the daemon (with `options`) unless it is running, and waits until it answers. Raises DaemonError."""
        if self.running():
            return
        on_progress("starting the lab's daemon")
        self.names.make_state_dir()
        with open(self.names.daemon_log, "ab", opener=private_opener) as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lab.daemon", *options, self.names.name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env=environment_without_aws(),
            )
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline and process.poll() is None:
            if self.running():
                return
            time.sleep(0.05)
        raise DaemonError(f"The daemon of lab {self.names.name!r} did not start. The end of its log:\n{self.log_tail()}")

    def require_running(self) -> None:
        """Raises DaemonError with the remedy if the daemon is not running, or if the caller may not find out."""
        if os.geteuid() != 0:
            raise DaemonError(f"lab {self.names.name!r} can only be reached by root: run this as root (sudo)")
        if not self.running():
            raise DaemonError(f"lab {self.names.name!r} is not running. Start it: webstack lab up --lab {self.names.name}")

    def log_tail(self, lines: int = 20) -> str:
        """Returns the last lines of the daemon's log."""
        path = self.names.daemon_log
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"

    def stop_engine(self) -> None:
        """Ends processes that a crashed engine run left: first its CLI, which saves its state, then its provider."""
        for name in ("pulumi", "provider"):
            stop_from_pid_file(self.engine_home / f"{name}.pid")

    # Records what the lab holds, so that the next run knows whether the engine's state belongs to the running API server.

    def record_stack(self, *, stack: str, provider: str) -> None:
        """Records the stack that this lab holds, the provider that made it (`lab` or `real`) and the API server's process."""
        self._record_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._record_file, json.dumps({"stack": stack, "provider": provider, "api": self._moto_run_id()}))

    def recorded_stack(self) -> str | None:
        """The name of the stack that this lab holds, if any."""
        return self._read_record().get("stack")

    def recorded_provider(self) -> str | None:
        """The provider that made that stack: `lab` or `real`."""
        return self._read_record().get("provider")

    def moto_was_restarted(self) -> bool:
        """Whether the API server that the stack was made in is gone, and its state with it."""
        known = self._read_record().get("api")
        return known is not None and known != self._moto_run_id()

    @property
    def _record_file(self) -> Path:
        return self.engine_home / "lab.json"

    def _read_record(self) -> dict[str, str]:
        try:
            return json.loads(self._record_file.read_text())
        except (OSError, ValueError):
            return {}

    def _moto_run_id(self) -> str:
        process = read_pid_file(self.names.pid_file("api"))  # the file outlasts a server that has just died
        return f"{process.pid} {process.start_ticks}" if process is not None else ""
