"""Makes the faults of hosts real: what is frozen, which disks are full, which are slow."""

from collections.abc import Sequence
from pathlib import Path

from lab.hypervisor import disk_fill, io_throttle
from lab.hypervisor.block_devices import BlockDevices
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.fault import Fault, LabSnapshot
from lab.hypervisor.faults.hosts import ROOT, FillDisk, Freeze, SlowDisk
from lab.hypervisor.io_throttle import IoLimits
from lab.hypervisor.root_disk import RootDisk


class FreezeInjector:
    """Freezes runs of hosts. What is frozen stands in the kernel's control groups alone."""

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """See `FaultInjector`."""
        wanted = [fault for fault in faults if isinstance(fault, Freeze)]
        for desired in snapshot.live_machines:
            machine = snapshot.machine(desired)
            meant = any(fault.applies_to(machine) for fault in wanted if desired in snapshot.hosts(fault.host))
            if meant != machine.cgroup.frozen():
                if meant:
                    machine.cgroup.freeze()
                else:
                    machine.cgroup.thaw()

    def before_boot(self, instance_id: str) -> None:
        """See `FaultInjector`. New control groups are not frozen."""


class DiskFillInjector:
    """Fills disks. Which data volumes are full stands beside their files, so that each is emptied wherever it is by then."""

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """See `FaultInjector`."""
        wanted = [fault for fault in faults if isinstance(fault, FillDisk)]
        marks = _full_markers(snapshot)
        roots = {desired.instance_id for fault in wanted if fault.volume == ROOT for desired in snapshot.hosts(fault.host)}
        for desired in snapshot.live_machines:
            _set_root_disk_full(snapshot.machine(desired).root_disk, full=desired.instance_id in roots)
        if not wanted and not marks:
            return
        disks = BlockDevices.scan(snapshot.names)
        meant = {
            volume_id
            for fault in wanted
            if fault.volume != ROOT
            for desired in snapshot.hosts(fault.host)
            for volume_id in fault.volumes_of(desired)
        }
        for volume_id in sorted(meant | marks.keys()):
            folder = _mount_point_of(snapshot, disks, volume_id)
            if volume_id not in meant:
                if folder is not None:
                    disk_fill.free_space(folder)
                else:
                    disk_fill.free_unmounted(snapshot.names.volume_file(volume_id))
                marks[volume_id].unlink(missing_ok=True)
            elif folder is not None and not disk_fill.is_full(folder):
                disk_fill.full_marker(snapshot.names.volume_file(volume_id)).touch()
                disk_fill.fill(folder)

    def before_boot(self, instance_id: str) -> None:
        """See `FaultInjector`. What is full is so on the disk."""


class IoThrottleInjector:
    """Slows disks down."""

    def __init__(self) -> None:
        self._applied: dict[str, dict[str, IoLimits]] | None = None
        """By instance id, what its control groups hold; None: not known, because a daemon before this one may have set it."""

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


def _limits(faults: Sequence[SlowDisk], desired: DesiredMachine, disks: BlockDevices) -> dict[str, IoLimits]:
    limits: dict[str, IoLimits] = {}
    for fault in faults:
        devices = [disks.root(desired.instance_id)] if fault.volume == ROOT else [disks.volume(one) for one in fault.volumes_of(desired)]
        for device in filter(None, devices):
            limits[device] = limits.get(device, IoLimits()).tightest(fault.limits)
    return limits


def _set_root_disk_full(disk: RootDisk, *, full: bool) -> None:
    if disk.mount_point.is_mount() and disk_fill.is_full(disk.mount_point) != full:
        if full:
            disk_fill.fill(disk.mount_point)
        else:
            disk_fill.free_space(disk.mount_point)


def _mount_point_of(snapshot: LabSnapshot, disks: BlockDevices, volume_id: str) -> Path | None:
    """Where a host has the volume mounted, which need not be the one that the API shows it attached to: a detach takes its time."""
    device = disks.volume(volume_id)
    for desired in snapshot.live_machines if device else ():
        leader = snapshot.machine(desired).init_pid()
        found = disk_fill.mount_point(leader, device) if leader and device else None
        if found is not None:
            return found
    return None


def _full_markers(snapshot: LabSnapshot) -> dict[str, Path]:
    return {path.stem: path for path in disk_fill.full_marker(snapshot.names.volume_file("x")).parent.glob("*.full")}
