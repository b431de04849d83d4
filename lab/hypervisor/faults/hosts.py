"""Faults of hosts: frozen, with a full disk, with a slow disk."""

import re
import time
from abc import ABC
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lab.hypervisor import disk_fill, io_throttle
from lab.hypervisor.block_devices import BlockDevices
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.fault import Fault, FaultError, LabSnapshot
from lab.hypervisor.machine import Machine

ROOT = "root"
DATA = "data"
"""All data volumes of a host."""

_SPEED = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?(|k|ki|m|mi|g|gi)b(?:/s)?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "ki": 2**10, "m": 10**6, "mi": 2**20, "g": 10**9, "gi": 2**30}
_MIN_SPEED, _MAX_SPEED = 4 * 2**10, 10 * 10**9
_MAX_IOPS = 1_000_000


class HostFault(Fault, ABC):
    """Something with one host, by its name or instance id."""

    host: str

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        return [] if snapshot.hosts(self.host) else [f"there is no host {self.host} now"]


class Freeze(HostFault):
    """No process of the host runs. It is over with the run of the host that it was given to: what is started anew is not frozen."""

    kind: Literal["freeze"] = "freeze"
    injected_at: float = Field(default_factory=time.time)
    """Seconds since the epoch: runs that began later are not meant."""

    def summary(self) -> str:
        return f"{self.host} is frozen"

    def check(self, snapshot: LabSnapshot) -> None:
        machines = snapshot.require_host(self.host)
        if not any(snapshot.machine(machine).supervisor() for machine in machines):
            raise FaultError(f"{self.host} does not run: only a running host can be frozen. Start it: webstack lab start {self.host}")

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        if any(self.applies_to(snapshot.machine(machine)) for machine in snapshot.hosts(self.host)):
            return []
        return super().inactive_reasons(snapshot) or [f"{self.host} has been off since, and what starts anew is not frozen"]

    def applies_to(self, machine: Machine) -> bool:
        """Whether it is the machine's present run that is frozen."""
        booted = machine.booted_at()
        return machine.supervisor() is not None and booted is not None and booted < self.injected_at


class DiskFault(HostFault, ABC):
    """Something with a disk of a host."""

    volume: str = DATA
    """`root`, `data` or a volume id."""

    @field_validator("volume")
    @classmethod
    def _validate_volume(cls, given: str) -> str:
        if given not in (ROOT, DATA) and not re.fullmatch(r"vol-[0-9a-f]+", given):
            raise ValueError(f"volume {given!r}: give `root`, `data` (all data volumes of the host), or a volume's id such as vol-0123abcd")
        return given

    def disk_label(self) -> str:
        """Which disk, in words."""
        return {ROOT: f"the root disk of {self.host}", DATA: f"the data volume of {self.host}"}.get(
            self.volume, f"volume {self.volume} of {self.host}"
        )

    def volumes_of(self, machine: DesiredMachine) -> list[str]:
        """The data volumes of the host that are meant."""
        attached = [volume.volume_id for volume in machine.volumes]
        return attached if self.volume == DATA else [volume_id for volume_id in attached if volume_id == self.volume]

    def check(self, snapshot: LabSnapshot) -> None:
        machines = snapshot.require_host(self.host)
        if self.volume != ROOT and not any(self.volumes_of(machine) for machine in machines):
            there = [ROOT, *(volume.volume_id for machine in machines for volume in machine.volumes)]
            raise FaultError(f"volume {self.volume!r}: {self.host} has no such disk; give --volume with one of {', '.join(there)}")

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        machines = snapshot.hosts(self.host)
        if self.volume == ROOT or not machines or any(self.volumes_of(machine) for machine in machines):
            return super().inactive_reasons(snapshot)
        return [f"{self.host} has no such disk now"]


class FillDisk(DiskFault):
    """No space is left. A data volume stays full wherever it goes, until the fault is taken back."""

    kind: Literal["fill-disk"] = "fill-disk"

    def summary(self) -> str:
        return f"{self.disk_label()} is full"

    def check(self, snapshot: LabSnapshot) -> None:
        super().check(snapshot)
        if self.volume != ROOT and not self._mounted(snapshot):
            raise FaultError(
                f"{self.disk_label()} is not mounted, so there is no file system to be full: "
                f"start the host and let it mount it (webstack lab status), then give the fault again"
            )

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        found = super().inactive_reasons(snapshot)
        if found or self.volume == ROOT:
            return found
        full = (
            disk_fill.full_marker(snapshot.names.volume_file(one)).exists()
            for machine in snapshot.hosts(self.host)
            for one in self.volumes_of(machine)
        )
        return [] if any(full) else [f"{self.host} has not mounted it"]

    def _mounted(self, snapshot: LabSnapshot) -> bool:
        disks = BlockDevices.scan(snapshot.names)
        for machine in snapshot.hosts(self.host):
            leader = snapshot.machine(machine).init_pid()
            devices = [device for volume_id in self.volumes_of(machine) if (device := disks.volume(volume_id))]
            if leader and any(disk_fill.mount_point(leader, device) for device in devices):
                return True
        return False


class SlowDisk(DiskFault):
    """Reads and writes are slow. At least one of the limits is given."""

    kind: Literal["slow-disk"] = "slow-disk"
    read: int | None = None
    """Bytes in a second, given as `1MB/s` or `512KiB/s` or a number."""
    write: int | None = None
    read_iops: int | None = None
    """Requests in a second."""
    write_iops: int | None = None

    @field_validator("read", "write", mode="before")
    @classmethod
    def _speed(cls, given: object) -> int | None:
        if given is None or (isinstance(given, int) and _MIN_SPEED <= given <= _MAX_SPEED):
            return given
        form = _SPEED.fullmatch(str(given).strip())
        speed = int(float(form[1]) * _FACTORS[form[2].lower()]) if form else 0
        if not _MIN_SPEED <= speed <= _MAX_SPEED:
            raise ValueError(f"speed {given!r}: bytes in a second from 4KiB/s to 10GB/s, such as 500kB/s or 1MB/s")
        return speed

    @field_validator("read_iops", "write_iops")
    @classmethod
    def _validate_iops(cls, given: int | None) -> int | None:
        if given is not None and not 1 <= given <= _MAX_IOPS:
            raise ValueError(f"iops {given}: requests in a second from 1 to {_MAX_IOPS}")
        return given

    @model_validator(mode="after")
    def _require_limit(self) -> Self:
        if self.limits == io_throttle.IoLimits():
            raise ValueError("slow-disk: without a limit no disk is slow; give --write, --read, --write-iops or --read-iops")
        return self

    @property
    def limits(self) -> io_throttle.IoLimits:
        """For `lab.hypervisor.io_throttle`."""
        return io_throttle.IoLimits(read_bps=self.read, write_bps=self.write, read_iops=self.read_iops, write_iops=self.write_iops)

    def summary(self) -> str:
        parts = [
            f"{what} no more than {value}"
            for what, value in (
                ("reads", _format_speed(self.read)),
                ("writes", _format_speed(self.write)),
                ("reads", f"{self.read_iops} requests a second" if self.read_iops else None),
                ("writes", f"{self.write_iops} requests a second" if self.write_iops else None),
            )
            if value
        ]
        return f"{self.disk_label()} {' and '.join(parts)}"

    def check(self, snapshot: LabSnapshot) -> None:
        super().check(snapshot)
        for machine in snapshot.hosts(self.host):
            cgroup = snapshot.machine(machine).cgroup
            if cgroup.path.exists():
                io_throttle.require_support(cgroup)


def _format_speed(speed: int | None) -> str | None:
    if speed is None:
        return None
    return f"{speed / 10**6:g} MB/s" if speed >= 10**6 else f"{speed / 10**3:g} kB/s"
