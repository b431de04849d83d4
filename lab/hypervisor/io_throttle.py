"""Throttles disks: limits how fast a machine's processes may read from and write to a block device.

The kernel throttles what a process itself submits to the device: direct reads and writes (O_DIRECT), reads that miss the page cache, and
what `fsync` or O_SYNC waits for. The v1 controller does not throttle the kernel's later writeback, which belongs to no group there. See
"Block IO Controller" in the kernel's documentation (v1) and `io.max` in "Control Group v2".
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from lab.errors import LabError
from lab.hypervisor.cgroups import MachineCgroup

_V1_FILES = {
    "read_bps": "blkio.throttle.read_bps_device",
    "write_bps": "blkio.throttle.write_bps_device",
    "read_iops": "blkio.throttle.read_iops_device",
    "write_iops": "blkio.throttle.write_iops_device",
}
_V2_KEYS = {"read_bps": "rbps", "write_bps": "wbps", "read_iops": "riops", "write_iops": "wiops"}


class ThrottlingUnsupportedError(LabError):
    """This system's kernel cannot throttle a control group's disks."""


@dataclass(frozen=True, kw_only=True)
class IoLimits:
    """Upper limits per second: bytes or requests. None: unlimited."""

    read_bps: int | None = None
    write_bps: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None

    def get(self, name: str) -> int | None:
        """Returns the limit of that name."""
        value: int | None = getattr(self, name)
        return value

    def tightest(self, other: "IoLimits") -> "IoLimits":
        """Returns both limits combined: the lower of each."""
        both = {name: [value for one in (self, other) if (value := one.get(name)) is not None] for name in _V1_FILES}
        return IoLimits(**{name: min(values, default=None) for name, values in both.items()})


def apply_limits(cgroup: MachineCgroup, limits: Mapping[str, IoLimits]) -> None:
    """Replaces the machine's limits with these, by device number (`7:2`). Raises `ThrottlingUnsupportedError`."""
    block, unified = cgroup.io_folders
    if block is not None and (block / _V1_FILES["write_bps"]).exists():
        _set_v1(block, limits)
    elif (unified / "io.max").exists():
        _set_v2(unified, limits)
    elif limits:
        require_support(cgroup)


def require_support(cgroup: MachineCgroup) -> None:
    """Raises `ThrottlingUnsupportedError` if the machine's disks cannot be throttled."""
    block, unified = cgroup.io_folders
    if not (block is not None and (block / _V1_FILES["write_bps"]).exists()) and not (unified / "io.max").exists():
        raise ThrottlingUnsupportedError(
            "slow-disk: a disk cannot be slowed down on this machine: a host's control group has neither blkio.throttle.write_bps_device "
            "(cgroup v1) nor io.max (cgroup v2). Use a kernel with CONFIG_BLK_DEV_THROTTLING whose blkio or io controller is mounted"
        )


def device_number(device: Path) -> str:
    """Returns the number of a block device (`7:2`)."""
    return _format_device_number(device.stat().st_rdev)


def _set_v1(folder: Path, limits: Mapping[str, IoLimits]) -> None:
    for name, file in _V1_FILES.items():
        present = {line.split()[0] for line in (folder / file).read_text().splitlines() if line.strip()}
        for device in sorted(present | limits.keys()):
            wanted = limits[device].get(name) if device in limits else None
            (folder / file).write_text(f"{device} {wanted or 0}")  # one rule per write; 0 removes it


def _set_v2(folder: Path, limits: Mapping[str, IoLimits]) -> None:
    file = folder / "io.max"
    present = {line.split()[0] for line in file.read_text().splitlines() if line.strip()}
    for device in sorted(present | limits.keys()):
        given = limits.get(device, IoLimits())
        file.write_text(f"{device} " + " ".join(f"{_V2_KEYS[field.name]}={given.get(field.name) or 'max'}" for field in fields(given)))


def _format_device_number(number: int) -> str:
    return f"{os.major(number)}:{os.minor(number)}"
