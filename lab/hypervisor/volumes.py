"""EBS volumes: a sparse file each, given to machines as a loop device under the name that Nitro instances show.

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
"""The size limit in bytes, the least there is, of a device whose volume has been torn out."""


@dataclass(frozen=True, kw_only=True)
class _Loop:
    device: Path
    backing: str
    force_detached: bool


def guest_device(volume_id: str) -> str:
    """The path at which a host finds the volume."""
    return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"


def attach(file: Path, size_gib: int) -> Path:
    """The loop device over the volume's file, made if it is not there; one that was made smaller is grown.

    Raises NoSpaceError where the volume is larger than the whole disk.
    """
    grow(file, size_gib)
    existing = loops_of_file(file)
    if existing:
        return existing[0]
    return Path(run(["losetup", "--find", "--show", file]).strip())


def grow(file: Path, size_gib: int) -> None:
    """Brings the volume's file, and the devices over it, to a size that is no smaller than theirs.

    Whoever has a device open or mounted sees the new size at once, by the device (BLKGETSIZE64, /sys/class/block); what is in it, a file
    system for instance, stays as large as it was. Raises NoSpaceError where the volume is larger than the whole disk.
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
    """The size in GiB of the device over a volume's file, None where there is none."""
    loops = loops_of_file(file)
    return int(run(["blockdev", "--getsize64", loops[0]]).strip()) // GIB if loops else None


def detach(file: Path) -> None:
    """Takes the loop devices over the file away; the data stays.

    One that somebody still has open goes when the last of them closes it, and is listed until then: the kernel counts them.
    """
    for loop in loops_of_file(file):
        run(["losetup", "--detach", loop])


def in_use(loop: Path) -> bool:
    """Whether the device is mounted, in any namespace, or is otherwise somebody's own (swap, a mapper's, a mkfs at work).

    Asked of the kernel: such a holder has the device exclusively, so nobody else can open it so.
    """
    try:
        os.close(os.open(loop, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    return False


def force_detach(file: Path) -> None:
    """Takes the volume from whoever holds it: what they read and write from now on fails, and what they have not written is lost.

    The device itself goes when the last of them lets go of it; `loops_of_file` does not count it any more.
    """
    for loop in loops_of_file(file):
        with loop.open("rb") as opened:
            status = bytearray(_STATUS_BYTES)
            fcntl.ioctl(opened, _GET_STATUS, status)
            struct.pack_into("Q", status, _SIZE_LIMIT_AT, _MIN_SIZE_LIMIT)
            fcntl.ioctl(opened, _SET_STATUS, bytes(status))
        run(["losetup", "--detach", loop])


def loops_of_file(file: Path) -> list[Path]:
    """The loop devices over one file."""
    return [loop.device for loop in _loops() if loop.backing == str(file) and not loop.force_detached]


def loops_under(folder: Path) -> list[Path]:
    """The loop devices over any file below a folder, also over one that has been removed."""
    return [loop.device for loop in _loops() if loop.backing.startswith(f"{folder}/")]


def loop_by_file(folder: Path) -> dict[Path, Path]:
    """The loop device over each file below a folder."""
    return {Path(loop.backing): loop.device for loop in _loops() if loop.backing.startswith(f"{folder}/") and not loop.force_detached}


def detach_all_under(folder: Path) -> None:
    """Takes away every loop device over a file below a folder."""
    for loop in loops_under(folder):
        try:
            run(["losetup", "--detach", loop])
        except CommandError:
            if loop in loops_under(folder):  # else it has gone with its mount in the meantime
                raise


def attach_to_guest(init_pid: int, volume_id: str, loop: Path) -> None:
    """Makes the volume's device appear in a running machine, whose PID 1 is `init_pid`."""
    number = loop.stat().st_rdev
    device = guest_device(volume_id)
    script = 'umask 022 && mkdir -p "${1%/*}" && rm -f "$1" && mknod -m 0660 "$1" b "$2" "$3" && chown root:disk "$1"'
    words = ["sh", "-c", script, "sh", device, str(os.major(number)), str(os.minor(number))]
    run(["nsenter", f"--target={init_pid}", "--mount", "--", *words], timeout=10)


def detach_from_guest(init_pid: int, volume_id: str) -> None:
    """Takes the volume's device out of a running machine."""
    run(["nsenter", f"--target={init_pid}", "--mount", "--", "rm", "-f", guest_device(volume_id)], timeout=10)


def guest_volume_ids(init_pid: int) -> frozenset[str]:
    """The ids of the volumes whose devices a running machine has, whose PID 1 is `init_pid`; none of one that has just ended."""
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
        backing = rest[0] if rest else ""  # it is being taken away
        found.append(_Loop(device=Path(device), backing=backing.removesuffix(" (deleted)"), force_detached=int(limit) == _MIN_SIZE_LIMIT))
    return found
