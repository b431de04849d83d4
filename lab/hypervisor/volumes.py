"""EBS volumes: a sparse file each, given to machines as a loop device under the name that Nitro instances show.

AWS names an NVMe volume by its id without the hyphen: `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123…`.
"""

import os
from pathlib import Path

from lab.hypervisor.run import run
from lab.space import GIB, require_possible


def guest_device(volume_id: str) -> str:
    """The path at which a host finds the volume."""
    return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"


def attach(file: Path, size_gib: int) -> Path:
    """The loop device over the volume's file, made if it is not there; a file that was made smaller is grown.

    Raises NoSpaceError where the volume is larger than the whole disk.
    """
    require_possible(file.parent, size_gib * GIB, f"volume {file.stem}")
    file.parent.mkdir(parents=True, exist_ok=True)
    size = size_gib * GIB
    with file.open("ab") as opened:
        if file.stat().st_size < size:
            os.truncate(opened.fileno(), size)
    existing = loops_over(file)
    if existing:
        return existing[0]
    return Path(run(["losetup", "--find", "--show", file]).strip())


def detach(file: Path) -> None:
    """Takes the loop devices over the file away; the data stays."""
    for loop in loops_over(file):
        run(["losetup", "--detach", loop])


def loops_over(file: Path) -> list[Path]:
    """The loop devices over one file."""
    return [loop for loop, backing in _loops() if backing == str(file)]


def loops_below(folder: Path) -> list[Path]:
    """The loop devices over any file below a folder, also over one that has been removed."""
    return [loop for loop, backing in _loops() if backing.startswith(f"{folder}/")]


def detach_below(folder: Path) -> None:
    """Takes away every loop device over a file below a folder."""
    for loop in loops_below(folder):
        run(["losetup", "--detach", loop])


def give_to_running(leader: int, volume_id: str, loop: Path) -> None:
    """Makes the volume's device appear in a running machine, whose PID 1 is `leader`."""
    number = loop.stat().st_rdev
    device = guest_device(volume_id)
    script = 'mkdir -p "${1%/*}" && rm -f "$1" && mknod -m 0660 "$1" b "$2" "$3" && chown root:disk "$1"'
    words = ["sh", "-c", script, "sh", device, str(os.major(number)), str(os.minor(number))]
    run(["nsenter", f"--target={leader}", "--mount", "--", *words], timeout=10)


def take_from_running(leader: int, volume_id: str) -> None:
    """Takes the volume's device out of a running machine."""
    run(["nsenter", f"--target={leader}", "--mount", "--", "rm", "-f", guest_device(volume_id)], timeout=10)


def _loops() -> list[tuple[Path, str]]:
    pairs: list[tuple[Path, str]] = []
    for line in run(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"]).splitlines():
        loop, _, backing = line.strip().partition(" ")
        pairs.append((Path(loop), backing.strip().removesuffix(" (deleted)")))
    return pairs
