"""Fills a disk: makes a file of all the free space in a volume's own file system.

The space is reserved, not written (fallocate), so the volume's file on this machine does not grow. Because the file is on the volume, the
volume stays full whatever happens to its host, and can be freed wherever it is: in the host that has it mounted, or through a private mount
on this machine.
"""

import contextlib
import errno
import os
from pathlib import Path

from lab.hypervisor import volumes
from lab.hypervisor.run import run

FILLER = ".webstack-lab-full"
"""The file's name, in the root folder of the file system."""

_MIN_STEP = 4096
"""The smallest amount that is still reserved, in bytes: one file system block."""


def mount_point(init_pid: int, device: str) -> Path | None:
    """Returns where the machine with this PID 1 has mounted a device (`7:2`), as a path on this machine; None if it has not."""
    with contextlib.suppress(OSError):
        inside = parse_mount_point(Path(f"/proc/{init_pid}/mountinfo").read_text(), device)
        if inside is not None:
            return Path(f"/proc/{init_pid}/root{inside}")
    return None


def parse_mount_point(mountinfo: str, device: str) -> str | None:
    """Returns the path at which a device's whole file system is mounted, from /proc/PID/mountinfo (proc_pid_mountinfo(5))."""
    for line in mountinfo.splitlines():
        _id, _parent, number, root, where, *_rest = line.split(" ")
        if number == device and root == "/":
            return where.encode().decode("unicode_escape")  # spaces are written as \\040
    return None


def fill(folder: Path) -> int:
    """Reserves all free space of the file system mounted there, root's reserve included; returns the number of bytes."""
    descriptor = os.open(folder / FILLER, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        taken = os.fstat(descriptor).st_size
        free = os.fstatvfs(descriptor)
        step = 1 << (free.f_bfree * free.f_frsize).bit_length()  # powers of two end at exactly one block
        while step >= _MIN_STEP:
            try:
                os.posix_fallocate(descriptor, taken, step)
                taken += step
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EFBIG):
                    raise
                step //= 2
        return taken
    finally:
        os.close(descriptor)


def full_marker(file: Path) -> Path:
    """Returns the path of the marker beside the file of a volume that a fault has filled."""
    return file.with_suffix(".full")


def is_full(folder: Path) -> bool:
    """Whether the file system mounted there was filled by a fault."""
    return (folder / FILLER).exists()


def free_space(folder: Path) -> None:
    """Frees the space."""
    (folder / FILLER).unlink(missing_ok=True)


def free_unmounted(file: Path) -> None:
    """Frees the space of a volume that no host has mounted, given its file. Does nothing if the file or its file system is missing."""
    if not file.exists():
        return
    loops = volumes.loops_of_file(file)
    loop = loops[0] if loops else Path(run(["losetup", "--find", "--show", file]).strip())
    try:
        # In a mount namespace of its own, which ends with the command: nothing has to be unmounted.
        script = 'mount -o nosuid,nodev "$1" "$2" && rm -f "$2/$3"'
        if run(["blkid", "--probe", loop], accept=(0, 2)):
            run(["unshare", "--mount", "sh", "-c", script, "sh", loop, file.parent, FILLER], timeout=60)
    finally:
        if not loops:
            run(["losetup", "--detach", loop])
