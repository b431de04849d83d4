"""Room on this machine's disk. Images, root disks and volumes are files there, volumes sparse ones: more can be promised than is there."""

import shutil
from pathlib import Path

from lab.errors import LabError

GIB = 1024**3


class NoSpaceError(LabError):
    """The disk has too little room; the message says which disk, how much there is and how much it takes."""


def require_free(folder: Path, needed: int, purpose: str) -> None:
    """Raises NoSpaceError where the disk that holds `folder`, which need not be there yet, has fewer than `needed` bytes free."""
    free = shutil.disk_usage(_nearest_existing(folder)).free
    if free < needed:
        raise NoSpaceError(
            f"{purpose} needs {_gib(needed)} of free disk, and the disk that holds {folder} has {_gib(free)} left. Free some and try again."
        )


def require_fits(folder: Path, size: int, purpose: str) -> None:
    """Raises NoSpaceError where something of `size` bytes is larger than the whole disk that holds `folder`."""
    total = shutil.disk_usage(_nearest_existing(folder)).total
    if size > total:
        raise NoSpaceError(f"{purpose} has {_gib(size)}, and this machine's disk for it has {_gib(total)} in all: make it smaller")


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
