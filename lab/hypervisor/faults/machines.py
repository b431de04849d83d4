"""Makes the faults of hosts real: what is frozen, which disks are full, which are slow."""

from collections.abc import Sequence
from pathlib import Path

from lab.hypervisor import full_disks, slow_disks
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.devices import Devices
from lab.hypervisor.faults.fault import Fault, Scene
from lab.hypervisor.faults.hosts import ROOT, FillDisk, Freeze, SlowDisk
from lab.hypervisor.root_disk import RootDisk
from lab.hypervisor.slow_disks import Limits


class Freezer:
    """Freezes runs of hosts. What is frozen stands in the kernel's control groups alone."""

    def apply(self, faults: Sequence[Fault], scene: Scene) -> None:
        """See `Effector`."""
        wanted = [fault for fault in faults if isinstance(fault, Freeze)]
        for desired in scene.present:
            machine = scene.machine(desired)
            meant = any(fault.means(machine) for fault in wanted if desired in scene.hosts(fault.host))
            if meant != machine.cgroup.frozen():
                if meant:
                    machine.cgroup.freeze()
                else:
                    machine.cgroup.thaw()

    def booting(self, instance_id: str) -> None:
        """See `Effector`. New control groups are not frozen."""


class Fillers:
    """Fills disks. Which data volumes are full stands beside their files, so that each is emptied wherever it is by then."""

    def apply(self, faults: Sequence[Fault], scene: Scene) -> None:
        """See `Effector`."""
        wanted = [fault for fault in faults if isinstance(fault, FillDisk)]
        marks = _marks(scene)
        roots = {desired.instance_id for fault in wanted if fault.volume == ROOT for desired in scene.hosts(fault.host)}
        for desired in scene.present:
            _have_root(scene.machine(desired).root_disk, full=desired.instance_id in roots)
        if not wanted and not marks:
            return
        disks = Devices.look(scene.names)
        meant = {
            volume_id
            for fault in wanted
            if fault.volume != ROOT
            for desired in scene.hosts(fault.host)
            for volume_id in fault.volumes_of(desired)
        }
        for volume_id in sorted(meant | marks.keys()):
            folder = _mounted(scene, disks, volume_id)
            if volume_id not in meant:
                if folder is not None:
                    full_disks.empty(folder)
                else:
                    full_disks.empty_unmounted(scene.names.volume_file(volume_id))
                marks[volume_id].unlink(missing_ok=True)
            elif folder is not None and not full_disks.is_full(folder):
                full_disks.mark(scene.names.volume_file(volume_id)).touch()
                full_disks.fill(folder)

    def booting(self, instance_id: str) -> None:
        """See `Effector`. What is full is so on the disk."""


class Brakes:
    """Slows disks down."""

    def __init__(self) -> None:
        self._applied: dict[str, dict[str, Limits]] | None = None
        """By instance id, what its control groups hold; None: not known, because a daemon before this one may have set it."""

    def apply(self, faults: Sequence[Fault], scene: Scene) -> None:
        """See `Effector`."""
        wanted = [fault for fault in faults if isinstance(fault, SlowDisk)]
        if not wanted and self._applied == {}:
            return
        disks = Devices.look(scene.names)
        applied: dict[str, dict[str, Limits]] = {}
        for desired in scene.present:
            cgroup = scene.machine(desired).cgroup
            if not cgroup.path.exists():
                continue
            limits = _limits([fault for fault in wanted if desired in scene.hosts(fault.host)], desired, disks)
            if self._applied is None or self._applied.get(desired.instance_id, {}) != limits:
                slow_disks.slow_down(cgroup, limits)
            if limits:
                applied[desired.instance_id] = limits
        self._applied = applied

    def booting(self, instance_id: str) -> None:
        """See `Effector`. New control groups have no limits."""
        if self._applied is not None:
            self._applied.pop(instance_id, None)


def _limits(faults: Sequence[SlowDisk], desired: DesiredMachine, disks: Devices) -> dict[str, Limits]:
    limits: dict[str, Limits] = {}
    for fault in faults:
        devices = [disks.root(desired.instance_id)] if fault.volume == ROOT else [disks.volume(one) for one in fault.volumes_of(desired)]
        for device in filter(None, devices):
            limits[device] = limits.get(device, Limits()).and_of(fault.limits)
    return limits


def _have_root(disk: RootDisk, *, full: bool) -> None:
    if disk.mount_point.is_mount() and full_disks.is_full(disk.mount_point) != full:
        if full:
            full_disks.fill(disk.mount_point)
        else:
            full_disks.empty(disk.mount_point)


def _mounted(scene: Scene, disks: Devices, volume_id: str) -> Path | None:
    """Where a host has the volume mounted, which need not be the one that the API shows it attached to: a detach takes its time."""
    device = disks.volume(volume_id)
    for desired in scene.present if device else ():
        leader = scene.machine(desired).leader()
        found = full_disks.mount_point(leader, device) if leader and device else None
        if found is not None:
            return found
    return None


def _marks(scene: Scene) -> dict[str, Path]:
    return {path.stem: path for path in full_disks.mark(scene.names.volume_file("x")).parent.glob("*.full")}
