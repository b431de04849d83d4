"""The volumes of one machine: attached when it boots or while it runs, detached when the guest no longer uses them.

The API shows a volume as `detaching` until its detachment is reported; a volume that the guest still uses is checked again and again.
"""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

from lab.hypervisor import device_policy, volumes
from lab.hypervisor.desired import Volume
from lab.hypervisor.device_policy import Device
from lab.names import LabNames

BUSY_AFTER = 10.0
"""Seconds that a guest may keep using a `detaching` volume before the API shows the attachment as `busy`. AWS documents no figure;
in https://github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/1032 it took twelve."""


class VolumeAttachments:
    """The volumes of one machine. Lives in the reconciler's event loop."""

    def __init__(self, names: LabNames) -> None:
        self._names = names
        self.attached = frozenset[str]()
        """The volumes of the running machine."""
        self.sizes = dict[str, int]()
        """The known sizes of their devices, in GiB, by volume id."""
        self.busy = frozenset[str]()
        """Volumes that the guest was still using when last checked; `clear_busy` empties it."""
        self.reported_detached = frozenset[str]()
        """Volumes reported to the API as detached since it was last read."""
        self._force_detach = set[str]()
        self._busy_since: dict[str, float] = {}
        self._reported_busy = set[str]()

    def attach_for_boot(self, attached_volumes: Iterable[Volume]) -> dict[Path, str]:
        """Returns the devices for a machine that is about to boot, with their paths in the guest. Blocks."""
        return {
            volumes.attach(self._names.volume_file(volume.volume_id), volume.size_gib): volumes.guest_device(volume.volume_id)
            for volume in attached_volumes
        }

    def on_started(self, attached_volumes: Iterable[Volume]) -> None:
        """Records that the machine runs with these volumes."""
        self.sizes = {volume.volume_id: volume.size_gib for volume in attached_volumes}
        self.attached = frozenset(self.sizes)

    def adopt(self, volume_ids: Iterable[str]) -> None:
        """Records that a machine from an earlier daemon runs with these volumes. Blocks."""
        sizes = {volume_id: volumes.size_of(self._names.volume_file(volume_id)) for volume_id in volume_ids}
        self.attached = frozenset(sizes)
        self.sizes = {volume_id: size for volume_id, size in sizes.items() if size is not None}

    def on_stopped(self) -> None:
        """Records that the machine is off and uses no volume."""
        self.attached = self.busy = frozenset[str]()
        self.sizes = {}
        self._force_detach.clear()
        self._busy_since.clear()
        self._reported_busy.clear()

    def detach_all(self) -> None:
        """Removes the devices that a run has left. Blocks."""
        for volume_id in self.attached:
            volumes.detach(self._names.volume_file(volume_id))

    async def attach(self, init_pid: int, volume: Volume, group: Path) -> None:
        """Attaches a volume to the running machine. `init_pid` is its PID 1, `group` the control group of its processes."""
        loop = await asyncio.to_thread(volumes.attach, self._names.volume_file(volume.volume_id), volume.size_gib)
        await asyncio.to_thread(self._permit, group, self.attached | {volume.volume_id})
        await asyncio.to_thread(volumes.attach_to_guest, init_pid, volume.volume_id, loop)
        self.attached |= {volume.volume_id}
        self.sizes[volume.volume_id] = volume.size_gib

    async def grow(self, volume: Volume) -> None:
        """Grows a volume of the running machine to its new size while it is in use."""
        await asyncio.to_thread(volumes.grow, self._names.volume_file(volume.volume_id), volume.size_gib)
        self.sizes[volume.volume_id] = volume.size_gib

    def rediscover(self, volume_id: str) -> bool:
        """Whether a volume that is not recorded is attached after all; if so, records it. Blocks.

        This happens when an earlier daemon, or a failed attempt, left an attachment half done.
        """
        left = bool(volumes.loops_of_file(self._names.volume_file(volume_id)))
        if left:
            self.attached |= {volume_id}
        return left

    def force_next_detach(self, volume_id: str) -> None:
        """Handles DetachVolume with Force: the next `detach` does not check whether the guest still uses the volume."""
        self._force_detach.add(volume_id)
        self.busy -= {volume_id}

    async def detach(self, init_pid: int, volume_id: str, group: Path) -> None:
        """Detaches a volume from the running machine. One that the guest still uses stays attached and is then in `busy`."""
        if await asyncio.to_thread(self._try_detach, init_pid, volume_id, volume_id in self._force_detach):
            self.attached -= {volume_id}
            await asyncio.to_thread(self._permit, group, self.attached)
            self.sizes.pop(volume_id, None)
            self._force_detach.discard(volume_id)
            self._busy_since.pop(volume_id, None)
            self._reported_busy.discard(volume_id)
        else:
            self.busy |= {volume_id}
            self._busy_since.setdefault(volume_id, time.monotonic())

    def clear_busy(self) -> None:
        """Forgets which volumes were in use, so that they are checked again."""
        self.busy = frozenset[str]()

    def became_busy(self, volume_id: str) -> bool:
        """Whether the guest has used the volume for so long that the API must show `busy`. True only once."""
        since = self._busy_since.get(volume_id)
        if since is None or volume_id in self._reported_busy or time.monotonic() - since < BUSY_AFTER:
            return False
        self._reported_busy.add(volume_id)
        return True

    def _permit(self, group: Path, volume_ids: Iterable[str]) -> None:
        loops = [loop for volume_id in volume_ids for loop in volumes.loops_of_file(self._names.volume_file(volume_id))]
        device_policy.permit(group, map(Device.of, loops))

    def _try_detach(self, init_pid: int, volume_id: str, force: bool) -> bool:
        file = self._names.volume_file(volume_id)
        if force:
            volumes.detach_from_guest(init_pid, volume_id)
            volumes.force_detach(file)
            return True
        if any(volumes.in_use(loop) for loop in volumes.loops_of_file(file)):
            return False
        volumes.detach_from_guest(init_pid, volume_id)
        volumes.detach(file)
        return not volumes.loops_of_file(file)  # a program of the guest may have it open without a mount
