"""Slow disks: how fast a machine's processes may read from and write to a block device.

The kernel slows down what a process itself hands to the device: direct reads and writes (O_DIRECT), reads that the page cache cannot
answer, and what `fsync` or O_SYNC makes it wait for. What the kernel writes back later by itself is not slowed down with the v1
controller: it is nobody's there. See "Block IO Controller" in the kernel's documentation (v1) and `io.max` in "Control Group v2".
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from lab.errors import LabError
from lab.hypervisor.cgroups import MachineCgroup

_V1_FILES = {
    "read_bytes": "blkio.throttle.read_bps_device",
    "write_bytes": "blkio.throttle.write_bps_device",
    "read_calls": "blkio.throttle.read_iops_device",
    "write_calls": "blkio.throttle.write_iops_device",
}
_V2_KEYS = {"read_bytes": "rbps", "write_bytes": "wbps", "read_calls": "riops", "write_calls": "wiops"}


class NoThrottlingError(LabError):
    """This system's kernel cannot slow disks down for a control group."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """At most so much in a second; None: as much as there is."""

    read_bytes: int | None = None
    write_bytes: int | None = None
    read_calls: int | None = None
    write_calls: int | None = None

    def of(self, name: str) -> int | None:
        """The limit of that name."""
        value: int | None = getattr(self, name)
        return value

    def and_of(self, other: "Limits") -> "Limits":
        """Both at once: the lower of each."""
        both = {name: [value for one in (self, other) if (value := one.of(name)) is not None] for name in _V1_FILES}
        return Limits(**{name: min(values, default=None) for name, values in both.items()})


def slow_down(cgroup: MachineCgroup, limits: Mapping[str, Limits]) -> None:
    """From now on the machine has these limits and no others, by device number (`7:2`). Raises `NoThrottlingError`."""
    block, unified = cgroup.block_folders
    if block is not None and (block / _V1_FILES["write_bytes"]).exists():
        _set_v1(block, limits)
    elif (unified / "io.max").exists():
        _set_v2(unified, limits)
    elif limits:
        require(cgroup)


def require(cgroup: MachineCgroup) -> None:
    """Raises `NoThrottlingError` where the machine's disks cannot be slowed down."""
    block, unified = cgroup.block_folders
    if not (block is not None and (block / _V1_FILES["write_bytes"]).exists()) and not (unified / "io.max").exists():
        raise NoThrottlingError(
            "slow-disk: a disk cannot be slowed down on this machine: a host's control group has neither blkio.throttle.write_bps_device "
            "(cgroup v1) nor io.max (cgroup v2). Use a kernel with CONFIG_BLK_DEV_THROTTLING whose blkio or io controller is mounted"
        )


def device_number(device: Path) -> str:
    """The number of a block device."""
    return _words(device.stat().st_rdev)


def _set_v1(folder: Path, limits: Mapping[str, Limits]) -> None:
    for name, file in _V1_FILES.items():
        present = {line.split()[0] for line in (folder / file).read_text().splitlines() if line.strip()}
        for device in sorted(present | limits.keys()):
            wanted = limits[device].of(name) if device in limits else None
            (folder / file).write_text(f"{device} {wanted or 0}")  # one rule a call; 0 takes it away


def _set_v2(folder: Path, limits: Mapping[str, Limits]) -> None:
    file = folder / "io.max"
    present = {line.split()[0] for line in file.read_text().splitlines() if line.strip()}
    for device in sorted(present | limits.keys()):
        given = limits.get(device, Limits())
        file.write_text(f"{device} " + " ".join(f"{_V2_KEYS[field.name]}={given.of(field.name) or 'max'}" for field in fields(given)))


def _words(number: int) -> str:
    return f"{os.major(number)}:{os.minor(number)}"
