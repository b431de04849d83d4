"""Starts and finds a lab's daemon: what a command needs before it can ask the lab anything."""

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
"""Seconds until a daemon that does not answer counts as failed; it answers after about two."""


class DaemonError(LabError):
    """The lab's daemon did not start, or none runs; the message says which and holds the end of its log."""


@dataclass(frozen=True, kw_only=True)
class LabHandle:
    """One lab on this machine."""

    names: LabNames

    @classmethod
    def of(cls, name: str) -> "LabHandle":
        """The lab of that name, running or not. Raises LabNameError."""
        return cls(names=LabNames.of(name))

    @property
    def engine_home(self) -> Path:
        """Where the engine keeps the lab's stack."""
        return self.names.state_dir / "engine"

    def running(self) -> bool:
        """Whether the lab's daemon answers."""
        with contextlib.suppress(control_client.ControlError):
            control_client.status(self.names)
            return True
        return False

    def start(self, on_progress: Callable[[str], None], *options: str) -> None:
        """Starts the daemon (with `options`) where none runs, and waits until it answers. Raises DaemonError."""
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
        """Raises DaemonError, saying what to do, where no daemon runs, and to whoever may not know."""
        if os.geteuid() != 0:
            raise DaemonError(f"lab {self.names.name!r} is root's, if it runs: run this as root (sudo)")
        if not self.running():
            raise DaemonError(f"lab {self.names.name!r} is not running. Start it: webstack lab up --lab {self.names.name}")

    def log_tail(self, lines: int = 20) -> str:
        """The end of the daemon's log."""
        path = self.names.daemon_log
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"

    def stop_engine(self) -> None:
        """Ends what a crashed run of the engine left: its CLI first, which saves its state, then its provider."""
        for name in ("pulumi", "provider"):
            stop_from_pid_file(self.engine_home / f"{name}.pid")

    # What stands in the lab, so that the next run knows whether the engine's state still speaks of this API.

    def record_stack(self, *, stack: str, provider: str) -> None:
        """Writes down which stack this lab holds, by whose provider (`lab` or `real`) and in which run of the API server it was made."""
        self._record_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._record_file, json.dumps({"stack": stack, "provider": provider, "api": self._moto_run_id()}))

    def recorded_stack(self) -> str | None:
        """The stack that this lab holds, if any."""
        return self._read_record().get("stack")

    def recorded_provider(self) -> str | None:
        """By whose provider that stack was made."""
        return self._read_record().get("provider")

    def moto_was_restarted(self) -> bool:
        """Whether the API server that the engine's state speaks of is gone, and with it all that it knew."""
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
        process = read_pid_file(self.names.pid_file("api"))  # of one that has just died the file is still there
        return f"{process.pid} {process.start_ticks}" if process is not None else ""
