"""Keeps one machine as the API wants it: takes the steps that `plan` decides, one after another, and watches for its end."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lab.hypervisor import router, volumes
from lab.hypervisor.desired import DesiredMachine, Power
from lab.hypervisor.disks import Disks
from lab.hypervisor.interface import MachineEvent, MachineReports
from lab.hypervisor.machine import EXIT_REBOOT, Machine
from lab.hypervisor.notices import Notices
from lab.hypervisor.plan import Action, ActualMachine, Rest, Step, next_step
from lab.names import LabNames
from lab.processes import Process, until_exit
from lab.space import GIB, require_free

POWER_OFF_AFTER = 120.0
"""Seconds that a clean shutdown may take before the power is cut. AWS gives no figure for its own patience."""

_PRESS_AGAIN_AFTER = 5.0
"""A guest early in its boot does not hear the power button."""

_FURNISHED_WITHIN = 30.0
"""Seconds between a machine's start and the moment that it can be given a volume; a loaded machine takes two."""

ROOM_TO_BOOT = GIB // 4
"""Bytes free below which no machine is switched on: a disk that fills in mid-boot leaves a host that is hard to read."""

_LOOK_AGAIN_AFTER = 0.5
"""Seconds until a volume that the guest would not let go of is looked at again."""

log = logging.getLogger(__name__)


def _nothing(_instance_id: str) -> None:
    """Where nobody wants to hear of it."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all keepers of a lab share."""

    names: LabNames
    cloud: MachineReports
    image_for: Callable[[str], Path]
    """AMI id → the image's root folder; raises `LookupError` with a reason."""
    refresh: Callable[[], None]
    """Asks for the API to be read again."""
    booting: Callable[[str], None] = _nothing
    """Told, in a thread, that an instance has its link, control groups and folder made anew, right before its first process runs."""
    power_off_after: float = POWER_OFF_AFTER


class Keeper:
    """The keeper of one instance. Lives in the daemon's event loop; `start` once, then `want` as often as the API is read."""

    def __init__(self, surroundings: Surroundings, instance_id: str) -> None:
        self.instance_id = instance_id
        self.machine = Machine(names=surroundings.names, instance_id=instance_id)
        self.desired: DesiredMachine | None = None
        self.problem: str | None = None
        """Why the last step failed, for people."""
        self._around = surroundings
        self._process: Process | None = None
        self._rest = Rest.NEW
        self._intended_rest: Rest | None = None
        self._disks = Disks(surroundings.names)
        self._told: Power | None = None
        self._heard = False
        self._notices = Notices(self.machine)
        self._reboot_wanted = False
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._tasks: list[asyncio.Task[None]] = []

    # What others ask of it.

    async def start(self) -> None:
        """Takes over a machine that an earlier daemon left running, or learns how it ended; then keeps it."""
        process = self.machine.supervisor()
        if process is not None:
            leader = await asyncio.to_thread(self.machine.leader)
            await asyncio.to_thread(lambda: self._disks.adopt(volumes.given_to(leader) if leader else ()))
            self._notices.adopt()
            log.info("%s: still running, adopted", self.instance_id)
            self._watch(process)
        elif self.machine.exists():
            self._rest = self._rest_of_last_run()
            await asyncio.to_thread(self._tidy)
        self._tasks.append(asyncio.create_task(self._run(), name=f"keeper {self.instance_id}"))

    def want(self, desired: DesiredMachine | None) -> None:
        """Sets what the API wants; called with each reading of it."""
        self.desired = desired
        self._heard = self._told is not None
        self._disks.released = frozenset()
        self._wake.set()

    def force_detach(self, volume_id: str) -> None:
        """DetachVolume with Force: the volume goes though the guest may still use it."""
        self._disks.force(volume_id)
        self._wake.set()

    def reboot(self) -> None:
        """RebootInstances."""
        self._reboot_wanted = True
        self._wake.set()

    async def kill(self) -> None:
        """Pulls the plug: first the network, so that not even a reset is sent, then every process at once."""
        if not self.running:
            return
        self._intended_rest = Rest.KILLED
        await asyncio.to_thread(self._kill_now)
        await self._ended.wait()

    async def until_off(self) -> None:
        """Returns when the machine does not run, and the API has been told so if it wanted it."""
        while self.running or (self.desired is not None and self.desired.state == "stopping"):
            await asyncio.sleep(0.02)

    def power_on(self) -> bool:
        """Lets a killed or failed machine boot again; False if it was neither."""
        if self.running or self._rest not in (Rest.KILLED, Rest.FAILED):
            return False
        self._killed_marker.unlink(missing_ok=True)
        self._rest, self.problem = Rest.NEW, None
        self._wake.set()
        return True

    @property
    def running(self) -> bool:
        """Whether the machine has any process."""
        return not self._ended.is_set()

    @property
    def volumes(self) -> frozenset[str]:
        """The volumes that the running machine has."""
        return self._disks.given

    @property
    def gone(self) -> bool:
        """Whether there is nothing left to keep."""
        power = self.desired.power if self.desired else Power.GONE
        return power is Power.GONE and self._step().action is Action.NOTHING

    @property
    def phase(self) -> str:
        """The state for people: the API's word, unless the machine itself says more."""
        state = self.desired.state if self.desired else "unknown"
        if self.running:
            return state if self._notices.up or state != "running" else "booting"
        if self._rest in (Rest.KILLED, Rest.FAILED) and state == "running":
            return "killed" if self._rest is Rest.KILLED else "failed"
        return "booting" if state == "running" and self._step().action is Action.BOOT else state

    async def stop(self) -> None:
        """Stops keeping; the machine runs on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._notices.close()

    # The loop.

    def _step(self) -> Step:
        actual = ActualMachine(
            running=self.running,
            rest=self._rest,
            has_root=self.machine.exists(),
            volumes=self._disks.given,
            sizes=self._disks.sizes,
            held=self._disks.held,
            released=self._disks.released,
            told=self._told,
            heard=self._heard,
        )
        return next_step(self.desired, actual)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while (step := self._step()).action is not Action.NOTHING:
                    await self._perform(step)
                if self._reboot_wanted:
                    await self._reboot_now()
                if self._rest is not Rest.FAILED:
                    self.problem = None
            except Exception as error:
                if str(error) != self.problem:  # a step is tried again every two seconds
                    log.exception("%s: failed", self.instance_id)
                self.problem = str(error)
                if not self.running and self._step().action is Action.BOOT:
                    self._rest = Rest.FAILED  # no second try by itself: it would fail the same way
                    self._wake.set()
                else:
                    asyncio.get_running_loop().call_later(2, self._wake.set)

    async def _perform(self, step: Step) -> None:
        log.info("%s: %s %s", self.instance_id, step.action.value, step.volume_id or "")
        match step.action:
            case Action.BOOT:
                await self._boot()
            case Action.SHUT_DOWN:
                await self._end_within(self.machine.press_power, Rest.OFF)
            case Action.DESTROY:
                await asyncio.to_thread(self._destroy)
            case Action.TELL_STARTED:
                await self._tell("started", Power.ON)
            case Action.TELL_STOPPED:
                await self._tell("stopped", Power.OFF)
            case Action.TELL_TERMINATED:
                await self._tell("terminated", Power.GONE)
            case Action.SETTLE:
                self._killed_marker.unlink(missing_ok=True)
                self._rest, self.problem = Rest.OFF, None
            case Action.ATTACH | Action.DETACH:
                await self._move_volume(step)
            case Action.GROW:
                await self._grow_volume(step.volume_id)
            case Action.TELL_DETACHED:
                await self._tell_detached(step.volume_id or "")
            case Action.NOTHING:
                pass

    async def _tell_detached(self, volume_id: str) -> None:
        if self.running and await asyncio.to_thread(self._disks.recall, volume_id):
            return
        await self._around.cloud.report(self.instance_id, "detached", volume_id)
        self._disks.released |= {volume_id}
        self._around.refresh()

    async def _tell(self, event: MachineEvent, power: Power) -> None:
        await self._around.cloud.report(self.instance_id, event)
        self._told, self._heard = power, False
        self._around.refresh()

    async def _boot(self) -> None:
        desired = self.desired
        if desired is None:
            return
        self.problem, self._intended_rest, self._reboot_wanted = None, None, False
        self._notices.end()
        image = await asyncio.to_thread(self._around.image_for, desired.image_id)
        process = await asyncio.to_thread(self._switch_on, desired, image)
        self._told = None
        self._disks.begin(desired.volumes)
        self._watch(process)

    def _switch_on(self, desired: DesiredMachine, image: Path) -> Process:
        names = self._around.names
        require_free(names.state_dir, ROOM_TO_BOOT, f"a host's root disk ({desired.name})")
        self.machine.prepare(desired.root_gib)
        if desired.address:
            self.machine.remember_address(desired.address.ip)
        router.connect(names, desired)
        binds = self._disks.plug_in(desired.volumes)
        self._notices.open()
        self._around.booting(self.instance_id)
        return self.machine.boot(image=self.machine.image(image), hostname=desired.hostname, binds=binds)

    async def _move_volume(self, step: Step) -> None:
        volume_id, desired = step.volume_id, self.desired
        if volume_id is None or desired is None:
            return
        await asyncio.wait_for(self._notices.furnished.wait(), _FURNISHED_WITHIN)
        leader = await asyncio.to_thread(self.machine.leader)
        if leader is None:
            raise RuntimeError(f"{volume_id}: the host has no PID 1 whose devices could be changed")
        if step.action is Action.ATTACH:
            volume = next(volume for volume in desired.volumes if volume.volume_id == volume_id)
            await self._disks.give(leader, volume, self.machine.cgroup.guest)
            self._around.refresh()  # faults of disks are to hold for what is there now
            return
        await self._disks.take(leader, volume_id, self.machine.cgroup.guest)
        if volume_id not in self._disks.held:
            self._around.refresh()
            return
        asyncio.get_running_loop().call_later(_LOOK_AGAIN_AFTER, self._look_again)
        if self._disks.turned_busy(volume_id):
            await self._around.cloud.report(self.instance_id, "busy", volume_id)

    async def _grow_volume(self, volume_id: str | None) -> None:
        for volume in self.desired.volumes if self.desired else ():
            if volume.volume_id == volume_id:
                await self._disks.grow(volume)

    def _look_again(self) -> None:
        self._disks.look_again()
        self._wake.set()

    async def _reboot_now(self) -> None:
        self._reboot_wanted = False
        if self.running:
            await self._end_within(self.machine.ask_reboot, Rest.REBOOT)
            self._wake.set()

    async def _end_within(self, ask: Callable[[], bool], rest: Rest) -> None:
        """Asks the guest to end, again and again, and cuts its power when it has not ended in time."""
        self._intended_rest = rest
        deadline = time.monotonic() + self._around.power_off_after
        while self.running and (left := deadline - time.monotonic()) > 0:
            await asyncio.to_thread(ask)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), min(left, _PRESS_AGAIN_AFTER))
        if self.running:
            log.warning("%s: no clean shutdown within %.0f s, power cut", self.instance_id, self._around.power_off_after)
            await asyncio.to_thread(self.machine.cut_power)
            await self._ended.wait()

    # The end of a run, and what it was.

    def _watch(self, process: Process) -> None:
        self._process = process
        self._ended.clear()
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._wait_for_end(process), name=f"end of {self.instance_id}"))
        self._notices.listen()

    async def _wait_for_end(self, process: Process) -> None:
        await until_exit(process)
        await asyncio.to_thread(self._tidy)
        self._rest = self._intended_rest or self._rest_of_last_run()
        if self._rest is Rest.FAILED:
            self.problem = self._describe_failure()
            log.warning("%s: %s", self.instance_id, self.problem)
        self._intended_rest = None
        self._notices.end()
        self._disks.end()
        log.info("%s: is off (%s)", self.instance_id, self._rest.value)
        self._ended.set()
        self._wake.set()

    def _rest_of_last_run(self) -> Rest:
        if self._killed_marker.exists():
            return Rest.KILLED
        status = self.machine.exit_status()
        if status == EXIT_REBOOT:
            return Rest.REBOOT
        if status == 0:
            return Rest.SELF
        if status is None and self._process is None:
            return Rest.NEW  # it did not outlive an earlier daemon: the whole machine went down, or it never ran
        return Rest.FAILED

    def _describe_failure(self) -> str:
        status = self.machine.exit_status()
        how = "its processes were killed from outside" if status is None else f"systemd-nspawn ended with status {status}"
        what = "died" if self._notices.up else "did not boot"
        return f"{what}: {how}: {' | '.join(self.machine.last_lines())}"

    def _kill_now(self) -> None:
        address = self._address
        if address is not None:
            router.cut_link(self._around.names, self.instance_id, address)
        self._killed_marker.touch()
        self.machine.cut_power()

    def _tidy(self) -> None:
        """After a run: no process, no link, no loop device; the root disk and the volumes' files stay."""
        names = self._around.names
        self.machine.cut_power()  # nspawn may have been killed alone, and its guest be running still
        router.disconnect(names, self.instance_id, self._address)
        self.machine.clean_up_run()
        self._disks.unplug_all()

    def _destroy(self) -> None:
        address = self._address
        if address is not None:
            router.forget(self._around.names, address)
        self.machine.destroy()

    @property
    def _address(self) -> IPv4Address | None:
        """The address it was booted with: by the time of its end the API may show none."""
        return self.machine.address()

    @property
    def _killed_marker(self) -> Path:
        return self.machine.folder / "killed"
