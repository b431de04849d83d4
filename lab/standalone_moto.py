"""An empty AWS API without machines, for previews without a lab, for tests and for benchmarks."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

from lab.errors import LabError
from lab.processes import environment_without_aws

START_DEADLINE = 60
"""Seconds after which an API server that does not listen counts as failed; it usually takes about one."""


class StandaloneMotoError(LabError):
    """The API server did not start; the message contains the end of its log."""


@contextlib.contextmanager
def standalone_moto(folder: Path) -> Generator[str]:
    """Runs an API server on a free loopback port while the context is open, and yields its URL. Raises StandaloneMotoError."""
    port_file, log_file = folder / "api.port", folder / "api.log"
    command = [sys.executable, "-m", "lab.cloud.moto_server", "--port", "0", "--port-file", str(port_file), "--until-stdin-ends"]
    with log_file.open("wb") as log:
        # It ends when its standard input closes, which happens however this process ends.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment_without_aws(),
        )
    try:
        deadline = time.monotonic() + START_DEADLINE
        while not (port := _read_port(port_file)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StandaloneMotoError(
                    "The AWS API server did not start. The end of its log:\n" + log_file.read_text(errors="replace")[-2000:]
                )
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _read_port(port_file: Path) -> str:
    with contextlib.suppress(OSError):
        return port_file.read_text().strip()
    return ""
