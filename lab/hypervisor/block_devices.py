"""Finds the block devices that back a lab's disks at the moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.hypervisor import io_throttle, volumes
from lab.hypervisor.root_disk import RootDisk
from lab.names import LabNames


@dataclass(frozen=True, kw_only=True)
class BlockDevices:
    """The lab's loop devices, as `scan` found them."""

    names: LabNames
    loops: Mapping[Path, Path]
    """The file that backs each device."""

    @classmethod
    def scan(cls, names: LabNames) -> "BlockDevices":
        """Reads them from this system."""
        return cls(names=names, loops=volumes.loop_by_file(names.state_dir))

    def volume(self, volume_id: str) -> str | None:
        """Returns the device number (`7:2`) of a data volume, or None while it is not attached."""
        return self._number(self.names.volume_file(volume_id))

    def root(self, instance_id: str) -> str | None:
        """Returns the device number of a host's root disk, or None before it has one."""
        return self._number(RootDisk(folder=self.names.machine_dir(instance_id)).image)

    def _number(self, file: Path) -> str | None:
        loop = self.loops.get(file)
        return io_throttle.device_number(loop) if loop else None
