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


class Disks:
    """The volumes of one machine. Lives in the keeper's event loop."""

    def __init__(self, names: LabNames) -> None:
        self._names = names
        self.given = frozenset[str]()
        """What the running machine has."""
        self.sizes = dict[str, int]()
        """The sizes in GiB that the devices of those are known to have."""
        self.held = frozenset[str]()
        """What the guest did not let go of when it was last looked at; `look_again` forgets it."""
        self.released = frozenset[str]()
        """What the API has been told of since it was last read."""
        self._forced = set[str]()
        self._held_since: dict[str, float] = {}
        self._known_as_busy = set[str]()

    def plug_in(self, wanted: Iterable[Volume]) -> dict[Path, str]:
        """Devices for a machine that is about to boot, with their paths in the guest. Blocks."""
        return {
            volumes.attach(self._names.volume_file(volume.volume_id), volume.size_gib): volumes.guest_device(volume.volume_id)
            for volume in wanted
        }

    def begin(self, given: Iterable[Volume]) -> None:
        """The machine runs, with these."""
        self.sizes = {volume.volume_id: volume.size_gib for volume in given}
        self.given = frozenset(self.sizes)

    def adopt(self, given: Iterable[str]) -> None:
        """The machine runs already, with these. Blocks."""
        sizes = {volume_id: volumes.size_of(self._names.volume_file(volume_id)) for volume_id in given}
        self.given = frozenset(sizes)
        self.sizes = {volume_id: size for volume_id, size in sizes.items() if size is not None}

    def end(self) -> None:
        """The machine runs no more, and holds nothing."""
        self.given = self.held = frozenset[str]()
        self.sizes = {}
        self._forced.clear()
        self._held_since.clear()
        self._known_as_busy.clear()

    def unplug_all(self) -> None:
        """Takes away what devices a run has left. Blocks."""
        for volume_id in self.given:
            volumes.detach(self._names.volume_file(volume_id))

    async def give(self, leader: int, volume: Volume, group: Path) -> None:
        """Gives a volume to the running machine, whose processes are in that control group."""
        loop = await asyncio.to_thread(volumes.attach, self._names.volume_file(volume.volume_id), volume.size_gib)
        await asyncio.to_thread(self._permit, group, self.given | {volume.volume_id})
        await asyncio.to_thread(volumes.give_to_running, leader, volume.volume_id, loop)
        self.given |= {volume.volume_id}
        self.sizes[volume.volume_id] = volume.size_gib

    async def grow(self, volume: Volume) -> None:
        """Brings a volume that the running machine has to its new size, under whatever uses it there."""
        await asyncio.to_thread(volumes.grow, self._names.volume_file(volume.volume_id), volume.size_gib)
        self.sizes[volume.volume_id] = volume.size_gib

    def recall(self, volume_id: str) -> bool:
        """Whether a volume that the machine is thought not to have is plugged in after all; it counts as given then. Blocks.

        So it is where an earlier daemon, or an attempt that failed, left things half done.
        """
        left = bool(volumes.loops_over(self._names.volume_file(volume_id)))
        if left:
            self.given |= {volume_id}
        return left

    def force(self, volume_id: str) -> None:
        """DetachVolume with Force: the next `take` does not ask whether the guest still uses it."""
        self._forced.add(volume_id)
        self.held -= {volume_id}

    async def take(self, leader: int, volume_id: str, group: Path) -> None:
        """Takes a volume from the running machine; one that the guest still uses is `held` afterwards and stays with it."""
        if await asyncio.to_thread(self._take, leader, volume_id, volume_id in self._forced):
            self.given -= {volume_id}
            await asyncio.to_thread(self._permit, group, self.given)
            self.sizes.pop(volume_id, None)
            self._forced.discard(volume_id)
            self._held_since.pop(volume_id, None)
            self._known_as_busy.discard(volume_id)
        else:
            self.held |= {volume_id}
            self._held_since.setdefault(volume_id, time.monotonic())

    def look_again(self) -> None:
        """What was held may not be so any more."""
        self.held = frozenset[str]()

    def turned_busy(self, volume_id: str) -> bool:
        """Whether the guest has held the volume for so long that the API is to say so; True once."""
        since = self._held_since.get(volume_id)
        if since is None or volume_id in self._known_as_busy or time.monotonic() - since < BUSY_AFTER:
            return False
        self._known_as_busy.add(volume_id)
        return True

    def _permit(self, group: Path, volume_ids: Iterable[str]) -> None:
        loops = [loop for volume_id in volume_ids for loop in volumes.loops_over(self._names.volume_file(volume_id))]
        device_policy.permit(group, map(Device.of, loops))

    def _take(self, leader: int, volume_id: str, force: bool) -> bool:
        file = self._names.volume_file(volume_id)
        if force:
            volumes.take_from_running(leader, volume_id)
            volumes.tear_out(file)
            return True
        if any(volumes.held(loop) for loop in volumes.loops_over(file)):
            return False
        volumes.take_from_running(leader, volume_id)
        volumes.detach(file)
        return not volumes.loops_over(file)  # a program of the guest may have it open without having mounted it
