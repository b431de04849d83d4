"""The volumes of one machine: given when it boots or while it runs, taken when the guest lets go of them.

The API shows a volume `detaching` until it is told that the machine has let go; a guest that does not is looked at again and again.
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
"""Seconds for which a guest may hold a volume that is to leave it before the API shows the attachment as `busy`. AWS gives no figure;
in https://github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/1032 it took twelve."""


class VolumeAttachments:
    """The volumes of one machine. Lives in the reconciler's event loop."""

    def __init__(self, names: LabNames) -> None:
        self._names = names
        self.attached = frozenset[str]()
        """What the running machine has."""
        self.sizes = dict[str, int]()
        """The sizes in GiB that the devices of those are known to have."""
        self.busy = frozenset[str]()
        """What the guest did not let go of when it was last looked at; `clear_busy` forgets it."""
        self.reported_detached = frozenset[str]()
        """What the API has been told of since it was last read."""
        self._force_detach = set[str]()
        self._busy_since: dict[str, float] = {}
        self._reported_busy = set[str]()

    def attach_for_boot(self, attached_volumes: Iterable[Volume]) -> dict[Path, str]:
        """Devices for a machine that is about to boot, with their paths in the guest. Blocks."""
        return {
            volumes.attach(self._names.volume_file(volume.volume_id), volume.size_gib): volumes.guest_device(volume.volume_id)
            for volume in attached_volumes
        }

    def on_started(self, attached_volumes: Iterable[Volume]) -> None:
        """The machine runs, with these."""
        self.sizes = {volume.volume_id: volume.size_gib for volume in attached_volumes}
        self.attached = frozenset(self.sizes)

    def adopt(self, volume_ids: Iterable[str]) -> None:
        """The machine runs already, with these. Blocks."""
        sizes = {volume_id: volumes.size_of(self._names.volume_file(volume_id)) for volume_id in volume_ids}
        self.attached = frozenset(sizes)
        self.sizes = {volume_id: size for volume_id, size in sizes.items() if size is not None}

    def on_stopped(self) -> None:
        """The machine runs no more, and holds nothing."""
        self.attached = self.busy = frozenset[str]()
        self.sizes = {}
        self._force_detach.clear()
        self._busy_since.clear()
        self._reported_busy.clear()

    def detach_all(self) -> None:
        """Takes away what devices a run has left. Blocks."""
        for volume_id in self.attached:
            volumes.detach(self._names.volume_file(volume_id))

    async def attach(self, init_pid: int, volume: Volume, group: Path) -> None:
        """Gives a volume to the running machine, whose processes are in that control group."""
        loop = await asyncio.to_thread(volumes.attach, self._names.volume_file(volume.volume_id), volume.size_gib)
        await asyncio.to_thread(self._permit, group, self.attached | {volume.volume_id})
        await asyncio.to_thread(volumes.attach_to_guest, init_pid, volume.volume_id, loop)
        self.attached |= {volume.volume_id}
        self.sizes[volume.volume_id] = volume.size_gib

    async def grow(self, volume: Volume) -> None:
        """Brings a volume that the running machine has to its new size, under whatever uses it there."""
        await asyncio.to_thread(volumes.grow, self._names.volume_file(volume.volume_id), volume.size_gib)
        self.sizes[volume.volume_id] = volume.size_gib

    def rediscover(self, volume_id: str) -> bool:
        """Whether a volume that the machine is thought not to have is plugged in after all; it counts as given then. Blocks.

        So it is where an earlier daemon, or an attempt that failed, left things half done.
        """
        left = bool(volumes.loops_of_file(self._names.volume_file(volume_id)))
        if left:
            self.attached |= {volume_id}
        return left

    def force_next_detach(self, volume_id: str) -> None:
        """DetachVolume with Force: the next `detach` does not ask whether the guest still uses it."""
        self._force_detach.add(volume_id)
        self.busy -= {volume_id}

    async def detach(self, init_pid: int, volume_id: str, group: Path) -> None:
        """Takes a volume from the running machine; one that the guest still uses is `busy` afterwards and stays with it."""
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
        """What was held may not be so any more."""
        self.busy = frozenset[str]()

    def became_busy(self, volume_id: str) -> bool:
        """Whether the guest has held the volume for so long that the API is to say so; True once."""
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
        return not volumes.loops_of_file(file)  # a program of the guest may have it open without having mounted it
