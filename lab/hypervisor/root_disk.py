"""A machine's root disk: a file system of the root volume's size in a sparse file, which holds all that differs from the image.

It stays mounted on this machine while the instance exists, also while the machine is off, so that root can always read what the host wrote;
the lab's state folder is closed to others. The file system has no journal: the lab's power cuts only end processes, and the kernel still
unmounts it cleanly.

A guest's root is also this machine's root, so setuid programs and device files that a guest leaves must have no effect here: the mount has
`nosuid` and `nodev`. The guest is not affected: its own tree is an overlay over a clone of this mount, and the kernel goes by the flags of
the mount that a file is opened through (fs/overlayfs/super.c, ovl_get_upper; fs/exec.c, bprm_fill_uid; fs/namei.c, may_open_dev).
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
"""A new sparse file already reads as zeroes. Writing out the inode tables would only use this machine's disk."""


_RELEASE_TIMEOUT = 10.0
"""Seconds that a loop device may take to disappear after its file system was unmounted."""

_FSCK_SUCCESS = (0, 1)
"""Exit statuses of e2fsck(8)."""


class RootDiskBusyError(LabError):
    """A root disk that must be unmounted is still in use."""


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
        """The folder where it is mounted."""
        return self.folder / "disk"

    @property
    def upper(self) -> Path:
        """The tree of all that differs from the image. The link `upper` in the machine's folder points to it for people."""
        return self.mount_point / "upper"

    @property
    def work(self) -> Path:
        """The overlay file system's work directory, which must be on the same file system."""
        return self.mount_point / "work"

    def prepare(self, size_gib: int) -> None:
        """Makes it at the first boot, grows it to the volume's size in GiB, and mounts it."""
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
            self.upper.chmod(0o755)  # it becomes the guest's root folder
        link = self.folder / "upper"
        if not link.is_symlink():
            link.symlink_to(self.upper.relative_to(self.folder))

    def _grow(self, size: int) -> None:
        """Grows it while unmounted: growing a mounted file system needs CAP_SYS_RESOURCE, which root does not have on every machine."""
        if self.mount_point.is_mount():
            run(["umount", self.mount_point])
        deadline = time.monotonic() + _RELEASE_TIMEOUT
        while volumes.loops_of_file(self.image):  # another process may be reading it
            if time.monotonic() > deadline:
                raise RootDiskBusyError(f"{self.image} cannot be grown: it is still mounted or open after {_RELEASE_TIMEOUT:g} s")
            time.sleep(0.02)
        os.truncate(self.image, size)
        run(["e2fsck", "-f", "-p", self.image], accept=_FSCK_SUCCESS)
        run(["resize2fs", self.image])

    def unmount(self) -> None:
        """Unmounts it. Its loop device disappears with its last user."""
        if self.mount_point.is_mount():
            run(["umount", "--lazy", self.mount_point])


def mounts_under(folder: Path) -> list[Path]:
    """Returns the mount points below a folder, in mount order."""
    places = [line.split(" ")[4].encode().decode("unicode_escape") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [Path(place) for place in places if place.startswith(f"{folder}/")]


def unmount_all_under(folder: Path, timeout: float = 3) -> None:
    """Unmounts everything below a folder and waits up to `timeout` seconds until the root disks' loop devices are gone."""
    for place in reversed(mounts_under(folder)):
        with contextlib.suppress(CommandError):  # it has been unmounted meanwhile
            run(["umount", "--lazy", place])
    deadline = time.monotonic() + timeout
    while any(loop for loop in volumes.loops_under(folder / "machines")) and time.monotonic() < deadline:
        time.sleep(0.02)
