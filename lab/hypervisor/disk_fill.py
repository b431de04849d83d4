"""Full disks: a file of all the free space, made inside a volume's own file system.

The space is reserved, not written (fallocate): the volume's file on this machine does not grow by it. The file is on the volume, so a
volume stays full whatever becomes of its host, and is emptied again wherever it is: in the host that has it mounted, or by a mount
of this machine's own that nobody else sees.
"""

import contextlib
import errno
import os
from pathlib import Path

from lab.hypervisor import volumes
from lab.hypervisor.run import run

FILLER = ".webstack-lab-full"
"""In the root folder of the file system."""

_MIN_STEP = 4096
"""Bytes below which nothing is asked for any more: a file system's block."""


def mount_point(init_pid: int, device: str) -> Path | None:
    """Where the machine with this PID 1 has mounted a device (`7:2`), as a path of this machine; None where it has not."""
    with contextlib.suppress(OSError):
        inside = parse_mount_point(Path(f"/proc/{init_pid}/mountinfo").read_text(), device)
        if inside is not None:
            return Path(f"/proc/{init_pid}/root{inside}")
    return None


def parse_mount_point(mountinfo: str, device: str) -> str | None:
    """The path at which a whole file system is mounted, in the text of /proc/PID/mountinfo; see proc_pid_mountinfo(5)."""
    for line in mountinfo.splitlines():
        _id, _parent, number, root, where, *_rest = line.split(" ")
        if number == device and root == "/":
            return where.encode().decode("unicode_escape")  # spaces are written as \\040
    return None


def fill(folder: Path) -> int:
    """Takes all the space that is free in the file system mounted there, root's reserve included; the bytes taken."""
    descriptor = os.open(folder / FILLER, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        taken = os.fstat(descriptor).st_size
        free = os.fstatvfs(descriptor)
        step = 1 << (free.f_bfree * free.f_frsize).bit_length()  # powers of two end with a block exactly
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
    """Stands beside the file of a volume that is full on purpose."""
    return file.with_suffix(".full")


def is_full(folder: Path) -> bool:
    """Whether the file system mounted there is full on purpose."""
    return (folder / FILLER).exists()


def free_space(folder: Path) -> None:
    """Gives the space back."""
    (folder / FILLER).unlink(missing_ok=True)


def free_unmounted(file: Path) -> None:
    """Gives the space back in a volume that no host has mounted, by its file. One that is gone, or has no file system, is not full."""
    if not file.exists():
        return
    loops = volumes.loops_of_file(file)
    loop = loops[0] if loops else Path(run(["losetup", "--find", "--show", file]).strip())
    try:
        # In a mount namespace of its own, which ends with the command: nothing has to be taken away.
        script = 'mount -o nosuid,nodev "$1" "$2" && rm -f "$2/$3"'
        if run(["blkid", "--probe", loop], accept=(0, 2)):
            run(["unshare", "--mount", "sh", "-c", script, "sh", loop, file.parent, FILLER], timeout=60)
    finally:
        if not loops:
            run(["losetup", "--detach", loop])
