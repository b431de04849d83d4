"""Where the scanners are: environments of their own, which `tools/setup --audit` makes from the locks in `tools/scanners`."""

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from audit.findings import AuditError
from lab.paths import REPOSITORY, cache_folder

Environment = Literal["prowler", "light", "code"]

DEADLINE: Final = 900
"""Seconds until a scanner that has not ended counts as stuck; the slowest takes some twenty."""


def program(environment: Environment, name: str) -> Path:
    """The program `name` of a scanner's environment. Raises AuditError where it is not installed."""
    lock = REPOSITORY / "tools" / "scanners" / f"{environment}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "scanners" / f"{environment}-{digest}"
    if not (folder / ".made").exists():
        raise AuditError(f"The scanner {name} is not installed: run `tools/setup --audit`.")
    return folder / "bin" / name


def run(command: Sequence[str | Path], *, folder: Path, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a scanner in `folder`, which is its home as well, without the user's credentials, settings and proxies.

    Raises AuditError where it takes longer than `DEADLINE`. Its exit status is for the caller to judge.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8", **(variables or {})}
    line = [str(part) for part in command]
    try:
        return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        raise AuditError(f"{Path(line[0]).name} did not end within {DEADLINE} s.") from None


def scan_error(scanner: str, result: subprocess.CompletedProcess[str]) -> AuditError:
    """The error of a scanner that did not do its work, with the end of what it printed."""
    output = (result.stdout[-2000:] + result.stderr[-2000:]).strip()
    return AuditError(f"{scanner} ended with status {result.returncode} and no result. The end of what it printed:\n{output}")
