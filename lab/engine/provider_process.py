"""Starts the lab's provider as a separate process and reads its ports.

In one process, program and provider would share the interpreter lock: 1000 resources took ten times as long (measured).
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

from lab.errors import LabError
from lab.files import PRIVATE_UMASK
from lab.processes import stop_from_pid_file, write_pid_file

START_DEADLINE = 60
"""Seconds after which a provider that does not answer counts as failed; it loads the SDK's schema lazily and starts in about two."""


class ProviderError(LabError):
    """The lab's provider did not start; the message contains the end of its log."""


class ProviderProcess:
    """The process of the `aws` and `random` providers, which listen on loopback."""

    def __init__(self, *, endpoint: str, folder: Path) -> None:
        self._endpoint = endpoint
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "provider.log"

    def start(self) -> None:
        """Starts the process. `debug_providers()` waits until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        stop_from_pid_file(self._pid_file)
        self._ports_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "lab.provider", "--endpoint", self._endpoint, "--ports-file", str(self._ports_file)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=dict(os.environ),
                umask=PRIVATE_UMASK,
            )
        write_pid_file(self._pid_file, self._process.pid)

    def debug_providers(self) -> str:
        """Waits for the ports and returns the value of PULUMI_DEBUG_PROVIDERS that attaches the engine to it. Raises ProviderError."""
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            ports = self._ports()
            if ports:
                return ",".join(f"{name}:{port}" for name, port in sorted(ports.items()))
            time.sleep(0.02)
        lines = self.log.read_text(errors="replace").splitlines()[-20:] if self.log.exists() else []
        raise ProviderError("The lab's provider did not start. The end of its log:\n" + "\n".join(lines))

    def stop(self) -> None:
        """Ends the process and waits until it has ended."""
        stop_from_pid_file(self._pid_file)
        if self._process is not None:
            self._process.wait()

    @property
    def _pid_file(self) -> Path:
        return self._folder / "provider.pid"

    @property
    def _ports_file(self) -> Path:
        return self._folder / "provider.ports"

    def _ports(self) -> dict[str, int] | None:
        try:
            return cast("dict[str, int]", json.loads(self._ports_file.read_text()))
        except (OSError, ValueError):
            return None
