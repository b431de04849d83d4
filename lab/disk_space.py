"""Checks of this machine's free disk space. Images, root disks and volumes are files; volumes are sparse, so they can be overcommitted."""

import shutil
from pathlib import Path

from lab.errors import LabError

GIB = 1024**3


class NoSpaceError(LabError):
    """The disk is too full or too small; the message names the disk, the space it has and the space needed."""


def require_free(folder: Path, needed: int, purpose: str) -> None:
    """Raises NoSpaceError if the disk of `folder` has fewer than `needed` bytes free. `folder` need not exist yet."""
    free = shutil.disk_usage(_nearest_existing(folder)).free
    if free < needed:
        raise NoSpaceError(
            f"{purpose} needs {_gib(needed)} of free disk, and the disk that holds {folder} has {_gib(free)} left. Free some and try again."
        )


def require_fits(folder: Path, size: int, purpose: str) -> None:
    """Raises NoSpaceError if `size`, in bytes, exceeds the whole disk of `folder`."""
    total = shutil.disk_usage(_nearest_existing(folder)).total
    if size > total:
        raise NoSpaceError(f"{purpose} has {_gib(size)}, and this machine's disk has only {_gib(total)} in all: make it smaller")


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
