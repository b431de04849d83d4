"""Files that are whole or not there, whoever is killed while writing, and that nobody else may read."""

import os
from pathlib import Path

PRIVATE_UMASK = 0o077
"""The umask of processes that keep state: what they make is for nobody but their own user."""


def private_opener(path: str, flags: int) -> int:
    """An opener (see `open`) that makes files for nobody but their owner, whatever the umask."""
    return os.open(path, flags, 0o600)


def make_private_dir(folder: Path) -> None:
    """Makes a folder that nobody but its owner may enter, and closes one that others may."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


def write_atomic(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Puts `text` at `path` in one step; a reader sees the old file or the new one."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
