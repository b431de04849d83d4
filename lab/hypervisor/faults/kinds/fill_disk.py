"""A disk that is full."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lab.hypervisor import disk_fill
from lab.hypervisor.block_devices import BlockDevices
from lab.hypervisor.faults.fault import Fault, FaultError, FaultInjector, LabSnapshot
from lab.hypervisor.faults.hosts import ROOT, DiskFault
from lab.hypervisor.root_disk import RootDisk


class DiskFillInjector(FaultInjector):
    """Fills disks. A marker beside a data volume's file records that it is full, so that it can be freed wherever it is attached later."""

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

    # No `before_boot`: nothing is remembered, the state is on the disk.


class FillDisk(DiskFault):
    """Fill a host's disk: programs that need more space get "No space left on device", root's too.

    One hidden file reserves all free space of the file system; nothing is written, and this machine's own disk does not fill up. Programs
    keep the space that they have reserved, and what they free can be used. A data volume stays full wherever it is attached until the fault
    is cleared; it must be mounted when the fault is injected.
    """

    injector = DiskFillInjector

    kind: Literal["fill-disk"] = "fill-disk"

    def summary(self) -> str:
        return f"{self.disk_label()} is full"

    def check(self, snapshot: LabSnapshot) -> None:
        super().check(snapshot)
        if self.volume != ROOT and not self._mounted(snapshot):
            raise FaultError(
                f"{self.disk_label()} is not mounted, so it has no file system to fill: "
                f"start the host, wait until it has mounted it (webstack lab status), then inject the fault again"
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
            init_pid = snapshot.machine(machine).init_pid()
            devices = [device for volume_id in self.volumes_of(machine) if (device := disks.volume(volume_id))]
            if init_pid and any(disk_fill.mount_point(init_pid, device) for device in devices):
                return True
        return False


def _set_root_disk_full(disk: RootDisk, *, full: bool) -> None:
    if disk.mount_point.is_mount() and disk_fill.is_full(disk.mount_point) != full:
        if full:
            disk_fill.fill(disk.mount_point)
        else:
            disk_fill.free_space(disk.mount_point)


def _mount_point_of(snapshot: LabSnapshot, disks: BlockDevices, volume_id: str) -> Path | None:
    """Returns where any host has the volume mounted. During a detach that is not the host to which the API shows it attached."""
    device = disks.volume(volume_id)
    for desired in snapshot.live_machines if device else ():
        init_pid = snapshot.machine(desired).init_pid()
        found = disk_fill.mount_point(init_pid, device) if init_pid and device else None
        if found is not None:
            return found
    return None


def _full_markers(snapshot: LabSnapshot) -> dict[str, Path]:
    return {path.stem: path for path in disk_fill.full_marker(snapshot.names.volume_file("x")).parent.glob("*.full")}
