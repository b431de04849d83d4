"""Atomic writes and private files: a reader sees a complete file or none, and other users may not read it."""

import os
from pathlib import Path

PRIVATE_UMASK = 0o077
"""The umask of processes that keep state: only their own user may read what they create."""


def private_opener(path: str, flags: int) -> int:
    """An opener (see `open`) that creates files only their owner may access, whatever the umask."""
    return os.open(path, flags, 0o600)


def make_private_dir(folder: Path) -> None:
    """Makes a folder that only its owner may enter; an existing folder gets the same mode."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


def write_atomic(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replaces the file at `path` atomically: a reader sees the old content or the new."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
