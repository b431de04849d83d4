"""A disk that is slow."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import field_validator, model_validator

from lab.hypervisor import io_throttle
from lab.hypervisor.block_devices import BlockDevices
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.command_line import Parameter
from lab.hypervisor.faults.fault import Fault, FaultInjector, LabSnapshot
from lab.hypervisor.faults.hosts import ROOT, DiskFault
from lab.hypervisor.io_throttle import IoLimits

_SPEED = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?(|k|ki|m|mi|g|gi)b(?:/s)?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "ki": 2**10, "m": 10**6, "mi": 2**20, "g": 10**9, "gi": 2**30}
_MIN_SPEED, _MAX_SPEED = 4 * 2**10, 10 * 10**9
_MAX_IOPS = 1_000_000
_SPEED_HELP = "Bytes per second: 1MB/s, 500kB/s, 64KiB/s."


class IoThrottleInjector(FaultInjector):
    """Throttles disks."""

    def __init__(self) -> None:
        self._applied: dict[str, dict[str, IoLimits]] | None = None
        """The limits set in each instance's control groups, by instance id; None: unknown, since an earlier daemon may have set them."""

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """See `FaultInjector`."""
        wanted = [fault for fault in faults if isinstance(fault, SlowDisk)]
        if not wanted and self._applied == {}:
            return
        disks = BlockDevices.scan(snapshot.names)
        applied: dict[str, dict[str, IoLimits]] = {}
        for desired in snapshot.live_machines:
            cgroup = snapshot.machine(desired).cgroup
            if not cgroup.path.exists():
                continue
            limits = _limits([fault for fault in wanted if desired in snapshot.hosts(fault.host)], desired, disks)
            if self._applied is None or self._applied.get(desired.instance_id, {}) != limits:
                io_throttle.apply_limits(cgroup, limits)
            if limits:
                applied[desired.instance_id] = limits
        self._applied = applied

    def before_boot(self, instance_id: str) -> None:
        """See `FaultInjector`. New control groups have no limits."""
        if self._applied is not None:
            self._applied.pop(instance_id, None)


class SlowDisk(DiskFault):
    """Slow a host's disk down, with one limit or several.

    The limits apply to what a program itself submits or waits for: direct reads and writes (such as MySQL's), fsync, and reads of data that
    is not in memory. Plain writes go to memory at full speed, and the kernel writes them back later, which cgroup v1 does not throttle.
    Programs run by `webstack lab exec` are not the host's own and are not throttled: use `exec HOST -- systemd-run --pipe COMMAND`.
    """

    injector = IoThrottleInjector

    kind: Literal["slow-disk"] = "slow-disk"
    write: Annotated[int | None, Parameter(option="--write", metavar="SPEED", as_text=True, help=f"Limit of writes. {_SPEED_HELP}")] = None
    """Bytes per second, given as `1MB/s`, `512KiB/s` or a number."""
    read: Annotated[int | None, Parameter(option="--read", metavar="SPEED", as_text=True, help=f"Limit of reads. {_SPEED_HELP}")] = None
    write_iops: Annotated[int | None, Parameter(option="--write-iops", help="Limit of write requests per second.")] = None
    read_iops: Annotated[int | None, Parameter(option="--read-iops", help="Limit of read requests per second.")] = None

    @field_validator("read", "write", mode="before")
    @classmethod
    def _speed(cls, given: object) -> int | None:
        if given is None or (isinstance(given, int) and _MIN_SPEED <= given <= _MAX_SPEED):
            return given
        form = _SPEED.fullmatch(str(given).strip())
        speed = int(float(form[1]) * _FACTORS[form[2].lower()]) if form else 0
        if not _MIN_SPEED <= speed <= _MAX_SPEED:
            raise ValueError(f"speed {given!r}: give bytes per second from 4KiB/s to 10GB/s, such as 500kB/s or 1MB/s")
        return speed

    @field_validator("read_iops", "write_iops")
    @classmethod
    def _validate_iops(cls, given: int | None) -> int | None:
        if given is not None and not 1 <= given <= _MAX_IOPS:
            raise ValueError(f"iops {given}: give requests per second from 1 to {_MAX_IOPS}")
        return given

    @model_validator(mode="after")
    def _require_limit(self) -> Self:
        if self.limits == IoLimits():
            raise ValueError("slow-disk: no limit given; give at least one of --write, --read, --write-iops and --read-iops")
        return self

    @property
    def limits(self) -> IoLimits:
        """The limits for `lab.hypervisor.io_throttle`."""
        return IoLimits(read_bps=self.read, write_bps=self.write, read_iops=self.read_iops, write_iops=self.write_iops)

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


def _limits(faults: Sequence[SlowDisk], desired: DesiredMachine, disks: BlockDevices) -> dict[str, IoLimits]:
    limits: dict[str, IoLimits] = {}
    for fault in faults:
        devices = [disks.root(desired.instance_id)] if fault.volume == ROOT else [disks.volume(one) for one in fault.volumes_of(desired)]
        for device in filter(None, devices):
            limits[device] = limits.get(device, IoLimits()).tightest(fault.limits)
    return limits


def _format_speed(speed: int | None) -> str | None:
    if speed is None:
        return None
    return f"{speed / 10**6:g} MB/s" if speed >= 10**6 else f"{speed / 10**3:g} kB/s"
