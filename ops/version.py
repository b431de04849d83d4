"""Which webstack this is."""

import importlib.metadata
import subprocess

from lab.paths import REPOSITORY


def version() -> str:
    """The package's version, and the commit of the clone where git knows it: `0.1.0 (4b55992, changed)`."""
    number = importlib.metadata.version("webstack")
    commit = _git("rev-parse", "--short", "HEAD") if (REPOSITORY / ".git").exists() else ""
    if not commit:
        return number
    return f"{number} ({commit}{', changed' if _git('status', '--porcelain', '--untracked-files=no') else ''})"


def _git(*arguments: str) -> str:
    """What git prints; nothing where it cannot be asked."""
    try:
        return subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
