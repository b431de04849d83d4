"""A machine's root disk: a file system of the root volume's size in a sparse file, and in it all that differs from the image.

It is mounted while the instance exists, also while the machine is off, at a place of this machine's own: what the host wrote can be read
there at any time, by root, since the lab's state folder is closed to others. It has no journal of its own: power cuts of the lab end
processes and leave the kernel, which unmounts it in order.

A guest's root is this machine's root too, so nothing that a guest leaves there counts here: the mount has `nosuid` and `nodev`. The guest
does not notice. Its own tree is an overlay over a clone of this mount, and the kernel goes by the flags of the mount that a file is opened
through (fs/overlayfs/super.c, ovl_get_upper; fs/exec.c, bprm_fill_uid; fs/namei.c, may_open_dev).
"""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from lab.disk_space import GIB
from lab.errors import LabError
from lab.files import private_opener
from lab.hypervisor import volumes
from lab.hypervisor.run import CommandError, run

_MKFS = ("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "nodiscard,lazy_itable_init=1")
_MOUNT_OPTIONS = "loop,noatime,noinit_itable,nosuid,nodev"
"""Inode tables are read as zeroes from a file that is new: written out they would fill this machine's disk."""


_RELEASE_TIMEOUT = 10.0
"""Seconds for a loop device to go after its file system was unmounted."""

_FSCK_SUCCESS = (0, 1)
"""Exit statuses of e2fsck(8)."""


class RootDiskBusyError(LabError):
    """A root disk that should be off is in use."""


@dataclass(frozen=True, kw_only=True)
class RootDisk:
    """The root disk in one machine's folder."""

    folder: Path

    @property
    def image(self) -> Path:
        """The file behind it."""
        return self.folder / "root.img"

    @property
    def mount_point(self) -> Path:
        """Where it is mounted."""
        return self.folder / "disk"

    @property
    def upper(self) -> Path:
        """The tree of all that differs from the image. Its other name, `upper` in the machine's folder, is for people."""
        return self.mount_point / "upper"

    @property
    def work(self) -> Path:
        """What the overlay file system wants beside it."""
        return self.mount_point / "work"

    def prepare(self, size_gib: int) -> None:
        """Makes it at the first boot, grows it to its volume's size, and mounts it."""
        size = size_gib * GIB
        self.mount_point.mkdir(parents=True, exist_ok=True)
        if not self.image.exists():
            scratch = self.image.with_suffix(".new")
            with open(scratch, "wb", opener=private_opener) as opened:
                os.truncate(opened.fileno(), size)
            run([*_MKFS, scratch])
            scratch.rename(self.image)
        if self.image.stat().st_size < size:
            self._grow(size)
        if not self.mount_point.is_mount():
            run(["mount", "-o", _MOUNT_OPTIONS, self.image, self.mount_point])
        self.work.mkdir(exist_ok=True)
        if not self.upper.exists():
            self.upper.mkdir()
            self.upper.chmod(0o755)  # it is the guest's root folder
        link = self.folder / "upper"
        if not link.is_symlink():
            link.symlink_to(self.upper.relative_to(self.folder))

    def _grow(self, size: int) -> None:
        """Unmounted, because growing a mounted file system takes CAP_SYS_RESOURCE, which not every machine's root has."""
        if self.mount_point.is_mount():
            run(["umount", self.mount_point])
        deadline = time.monotonic() + _RELEASE_TIMEOUT
        while volumes.loops_of_file(self.image):  # some other process may just be looking at it
            if time.monotonic() > deadline:
                raise RootDiskBusyError(f"{self.image} cannot be grown: somebody still has it mounted after {_RELEASE_TIMEOUT:g} s")
            time.sleep(0.02)
        os.truncate(self.image, size)
        run(["e2fsck", "-f", "-p", self.image], accept=_FSCK_SUCCESS)
        run(["resize2fs", self.image])

    def unmount(self) -> None:
        """Unmounts it; its loop device goes with the last that looks at it."""
        if self.mount_point.is_mount():
            run(["umount", "--lazy", self.mount_point])


def mounts_under(folder: Path) -> list[Path]:
    """Where anything is mounted below a folder, in the order in which it was."""
    places = [line.split(" ")[4].encode().decode("unicode_escape") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [Path(place) for place in places if place.startswith(f"{folder}/")]


def unmount_all_under(folder: Path, timeout: float = 3) -> None:
    """Unmounts all that is mounted below a folder, and waits up to `timeout` seconds until the root disks' loop devices are gone."""
    for place in reversed(mounts_under(folder)):
        with contextlib.suppress(CommandError):  # somebody else was quicker
            run(["umount", "--lazy", place])
    deadline = time.monotonic() + timeout
    while any(loop for loop in volumes.loops_under(folder / "machines")) and time.monotonic() < deadline:
        time.sleep(0.02)
