"""EBS volumes: one sparse file each, attached to machines as a loop device under the name that Nitro instances show.

AWS names an NVMe volume by its id without the hyphen: `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123…`.
"""

import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from lab.disk_space import GIB, require_fits
from lab.files import private_opener
from lab.hypervisor.run import CommandError, run

_GET_STATUS, _SET_STATUS = 0x4C05, 0x4C04
_STATUS_BYTES, _SIZE_LIMIT_AT = 232, 32
"""LOOP_GET_STATUS64, LOOP_SET_STATUS64, struct loop_info64 and its lo_sizelimit, from <linux/loop.h>."""

_MIN_SIZE_LIMIT = 512
"""The size limit, in bytes, that is set on a device to detach it by force: the smallest possible."""


@dataclass(frozen=True, kw_only=True)
class _Loop:
    device: Path
    backing: str
    force_detached: bool


def guest_device(volume_id: str) -> str:
    """Returns the path of the volume's device in a host."""
    return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"


def attach(file: Path, size_gib: int) -> Path:
    """Returns the loop device of the volume's file. Makes it if there is none, and grows it if it is smaller.

    Raises NoSpaceError if the volume is larger than the whole disk.
    """
    grow(file, size_gib)
    existing = loops_of_file(file)
    if existing:
        return existing[0]
    return Path(run(["losetup", "--find", "--show", file]).strip())


def grow(file: Path, size_gib: int) -> None:
    """Grows the volume's file and its devices to this size, which must not be smaller than theirs.

    Programs that have a device open or mounted see its new size at once (BLKGETSIZE64, /sys/class/block); its content, such as a file
    system, keeps its size. Raises NoSpaceError if the volume is larger than the whole disk.
    """
    size = size_gib * GIB
    require_fits(file.parent, size, f"volume {file.stem}")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(file, "ab", opener=private_opener) as opened:
        if file.stat().st_size < size:
            os.truncate(opened.fileno(), size)
    for loop in loops_of_file(file):
        run(["losetup", "--set-capacity", loop])


def size_of(file: Path) -> int | None:
    """Returns the size in GiB of the device of a volume's file, or None if there is none."""
    loops = loops_of_file(file)
    return int(run(["blockdev", "--getsize64", loops[0]]).strip()) // GIB if loops else None


def detach(file: Path) -> None:
    """Removes the file's loop devices; the data stays.

    A device that is still open disappears when its last user closes it, and is listed until then.
    """
    for loop in loops_of_file(file):
        run(["losetup", "--detach", loop])


def in_use(loop: Path) -> bool:
    """Whether the device is mounted, in any namespace, or otherwise in exclusive use (swap, device mapper, a running mkfs).

    Tested by opening it exclusively, which the kernel refuses while another user has it so.
    """
    try:
        os.close(os.open(loop, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    return False


def force_detach(file: Path) -> None:
    """Detaches the volume from its users: their reads and writes fail from now on, and data that they have not written is lost.

    The device itself disappears when its last user closes it; `loops_of_file` no longer lists it.
    """
    for loop in loops_of_file(file):
        with loop.open("rb") as opened:
            status = bytearray(_STATUS_BYTES)
            fcntl.ioctl(opened, _GET_STATUS, status)
            struct.pack_into("Q", status, _SIZE_LIMIT_AT, _MIN_SIZE_LIMIT)
            fcntl.ioctl(opened, _SET_STATUS, bytes(status))
        run(["losetup", "--detach", loop])


def loops_of_file(file: Path) -> list[Path]:
    """Returns the loop devices of one file."""
    return [loop.device for loop in _loops() if loop.backing == str(file) and not loop.force_detached]


def loops_under(folder: Path) -> list[Path]:
    """Returns the loop devices of all files below a folder, removed files included."""
    return [loop.device for loop in _loops() if loop.backing.startswith(f"{folder}/")]


def loop_by_file(folder: Path) -> dict[Path, Path]:
    """Returns the loop device of each file below a folder."""
    return {Path(loop.backing): loop.device for loop in _loops() if loop.backing.startswith(f"{folder}/") and not loop.force_detached}


def detach_all_under(folder: Path) -> None:
    """Removes the loop devices of all files below a folder."""
    for loop in loops_under(folder):
        try:
            run(["losetup", "--detach", loop])
        except CommandError:
            if loop in loops_under(folder):  # else it has disappeared with its mount meanwhile
                raise


def attach_to_guest(init_pid: int, volume_id: str, loop: Path) -> None:
    """Makes the volume's device node in a running machine, whose PID 1 is `init_pid`."""
    number = loop.stat().st_rdev
    device = guest_device(volume_id)
    script = 'umask 022 && mkdir -p "${1%/*}" && rm -f "$1" && mknod -m 0660 "$1" b "$2" "$3" && chown root:disk "$1"'
    words = ["sh", "-c", script, "sh", device, str(os.major(number)), str(os.minor(number))]
    run(["nsenter", f"--target={init_pid}", "--mount", "--", *words], timeout=10)


def detach_from_guest(init_pid: int, volume_id: str) -> None:
    """Removes the volume's device node from a running machine."""
    run(["nsenter", f"--target={init_pid}", "--mount", "--", "rm", "-f", guest_device(volume_id)], timeout=10)


def guest_volume_ids(init_pid: int) -> frozenset[str]:
    """Returns the ids of the volumes whose devices the machine with PID 1 `init_pid` has; none if it has just ended."""
    folder = Path(f"/proc/{init_pid}/root") / guest_device("x").removeprefix("/").rpartition("/")[0]
    prefix = Path(guest_device("")).name
    try:
        found = [path.name.removeprefix(prefix) for path in folder.iterdir() if path.name.startswith(prefix)]
    except OSError:
        return frozenset()
    return frozenset(f"vol-{name.removeprefix('vol')}" for name in found)


def _loops() -> list[_Loop]:
    found: list[_Loop] = []
    for line in run(["losetup", "--list", "--noheadings", "--output", "NAME,SIZELIMIT,BACK-FILE"]).splitlines():
        device, limit, *rest = line.split(maxsplit=2)
        backing = rest[0] if rest else ""  # the device is being removed
        found.append(_Loop(device=Path(device), backing=backing.removesuffix(" (deleted)"), force_detached=int(limit) == _MIN_SIZE_LIMIT))
    return found
