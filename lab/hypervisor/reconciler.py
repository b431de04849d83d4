"""Reconciles one machine with its desired state: carries out the steps that `plan` chooses, one by one, and waits for the machine's end."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lab.disk_space import GIB, require_free
from lab.hypervisor import router, volumes
from lab.hypervisor.boot_notifications import BootNotifications
from lab.hypervisor.desired import DesiredMachine, Power
from lab.hypervisor.machine import EXIT_REBOOT, Machine
from lab.hypervisor.plan import Action, ObservedMachine, Step, StopCause, next_step
from lab.hypervisor.protocols import MachineEvent, MachineStatusReporter
from lab.hypervisor.volume_attachments import VolumeAttachments
from lab.names import LabNames
from lab.processes import Process, wait_for_exit

SHUTDOWN_TIMEOUT = 120.0
"""Seconds that a clean shutdown may take before the power is cut. AWS documents no figure."""

_SIGNAL_RETRY_SECONDS = 5.0
"""Seconds between shutdown requests: a guest early in its boot ignores them."""

_INIT_START_TIMEOUT = 30.0
"""Seconds to wait after a machine's start until a volume can be attached; a busy machine takes two."""

MIN_FREE_TO_BOOT = GIB // 4
"""Least free bytes to boot a machine: a disk that fills up during a boot makes failures that are hard to diagnose."""

_DETACH_RETRY_SECONDS = 0.5
"""Seconds until a volume that the guest still used is checked again."""

log = logging.getLogger(__name__)


def _no_op(_instance_id: str) -> None:
    """Does nothing."""


@dataclass(frozen=True, kw_only=True)
class ReconcilerContext:
    """What all reconcilers of a lab share."""

    names: LabNames
    status_reporter: MachineStatusReporter
    image_for: Callable[[str], Path]
    """AMI id → the image's root folder; raises `LookupError` with a reason."""
    refresh: Callable[[], None]
    """Requests another reading of the API."""
    before_boot: Callable[[str], None] = _no_op
    """Called in a thread when an instance's link, control groups and folder are made, before its first process runs."""
    shutdown_timeout: float = SHUTDOWN_TIMEOUT


class MachineReconciler:
    """Reconciles one instance. Lives in the daemon's event loop. Call `start` once, then `set_desired` after each reading of the API."""

    def __init__(self, context: ReconcilerContext, instance_id: str) -> None:
        self.instance_id = instance_id
        self.machine = Machine(names=context.names, instance_id=instance_id)
        self.desired: DesiredMachine | None = None
        self.problem: str | None = None
        """Why the last step failed, for people."""
        self._context = context
        self._process: Process | None = None
        self._stop_cause = StopCause.NEW
        self._intended_stop: StopCause | None = None
        self._attachments = VolumeAttachments(context.names)
        self._reported_power: Power | None = None
        self._report_observed = False
        self._boot_notifications = BootNotifications(self.machine)
        self._reboot_wanted = False
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._tasks: list[asyncio.Task[None]] = []

    # Called by others.

    async def start(self) -> None:
        """Adopts a machine that an earlier daemon left running, or finds out how it ended; then starts reconciling it."""
        process = self.machine.supervisor()
        if process is not None:
            init_pid = await asyncio.to_thread(self.machine.init_pid)
            await asyncio.to_thread(lambda: self._attachments.adopt(volumes.guest_volume_ids(init_pid) if init_pid else ()))
            self._boot_notifications.adopt()
            log.info("%s: still running, adopted", self.instance_id)
            self._watch(process)
        elif self.machine.exists():
            self._stop_cause = self._last_stop_cause()
            await asyncio.to_thread(self._clean_up_run)
        self._tasks.append(asyncio.create_task(self._run(), name=f"reconciler {self.instance_id}"))

    def set_desired(self, desired: DesiredMachine | None) -> None:
        """Sets the desired state; called after each reading of the API."""
        self.desired = desired
        self._report_observed = self._reported_power is not None
        self._attachments.reported_detached = frozenset()
        self._wake.set()

    def force_detach(self, volume_id: str) -> None:
        """Handles DetachVolume with Force: the volume is detached even if the guest still uses it."""
        self._attachments.force_next_detach(volume_id)
        self._wake.set()

    def reboot(self) -> None:
        """Handles RebootInstances."""
        self._reboot_wanted = True
        self._wake.set()

    async def kill(self) -> None:
        """Cuts the power: first the network, so that not even a reset is sent, then every process at once."""
        if not self.running:
            return
        self._intended_stop = StopCause.KILLED
        await asyncio.to_thread(self._kill_now)
        await self._ended.wait()

    async def wait_until_off(self) -> None:
        """Returns when the machine is off and, if the API asked for it, this has been reported."""
        while self.running or (self.desired is not None and self.desired.state == "stopping"):
            await asyncio.sleep(0.02)

    def power_on(self) -> bool:
        """Lets a killed or failed machine boot again. Returns False if it was neither."""
        if self.running or self._stop_cause not in (StopCause.KILLED, StopCause.FAILED):
            return False
        self._killed_marker.unlink(missing_ok=True)
        self._stop_cause, self.problem = StopCause.NEW, None
        self._wake.set()
        return True

    @property
    def running(self) -> bool:
        """Whether the machine has any process."""
        return not self._ended.is_set()

    @property
    def volumes(self) -> frozenset[str]:
        """The volumes attached to the running machine."""
        return self._attachments.attached

    @property
    def gone(self) -> bool:
        """Whether nothing of the instance is left to reconcile."""
        power = self.desired.power if self.desired else Power.GONE
        return power is Power.GONE and self._step().action is Action.NOTHING

    @property
    def phase(self) -> str:
        """The state for people: EC2's instance state, unless the machine's own state says more."""
        state = self.desired.state if self.desired else "unknown"
        if self.running:
            return state if self._boot_notifications.up or state != "running" else "booting"
        if self._stop_cause in (StopCause.KILLED, StopCause.FAILED) and state == "running":
            return "killed" if self._stop_cause is StopCause.KILLED else "failed"
        return "booting" if state == "running" and self._step().action is Action.BOOT else state

    async def stop(self) -> None:
        """Stops reconciling. The machine keeps running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._boot_notifications.close()

    # The loop.

    def _step(self) -> Step:
        actual = ObservedMachine(
            running=self.running,
            stop_cause=self._stop_cause,
            has_root_disk=self.machine.exists(),
            volumes=self._attachments.attached,
            volume_sizes=self._attachments.sizes,
            busy_volumes=self._attachments.busy,
            reported_detached=self._attachments.reported_detached,
            reported_power=self._reported_power,
            report_observed=self._report_observed,
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
                if self._stop_cause is not StopCause.FAILED:
                    self.problem = None
            except Exception as error:
                if str(error) != self.problem:  # log it once: a step is retried every two seconds
                    log.exception("%s: failed", self.instance_id)
                self.problem = str(error)
                if not self.running and self._step().action is Action.BOOT:
                    self._stop_cause = StopCause.FAILED  # no automatic retry: it would fail the same way
                    self._wake.set()
                else:
                    asyncio.get_running_loop().call_later(2, self._wake.set)

    async def _perform(self, step: Step) -> None:
        log.info("%s: %s %s", self.instance_id, step.action.value, step.volume_id or "")
        match step.action:
            case Action.BOOT:
                await self._boot()
            case Action.SHUT_DOWN:
                await self._stop_within_timeout(self.machine.signal_power_off, StopCause.API_STOP)
            case Action.DESTROY:
                await asyncio.to_thread(self._destroy)
            case Action.REPORT_STARTED:
                await self._report("started", Power.ON)
            case Action.REPORT_STOPPED:
                await self._report("stopped", Power.OFF)
            case Action.REPORT_TERMINATED:
                await self._report("terminated", Power.GONE)
            case Action.CLEAR_STOP_CAUSE:
                self._killed_marker.unlink(missing_ok=True)
                self._stop_cause, self.problem = StopCause.API_STOP, None
            case Action.ATTACH | Action.DETACH:
                await self._attach_or_detach(step)
            case Action.GROW:
                await self._grow_volume(step.volume_id)
            case Action.REPORT_DETACHED:
                await self._report_detached(step.volume_id or "")
            case Action.NOTHING:
                pass

    async def _report_detached(self, volume_id: str) -> None:
        if self.running and await asyncio.to_thread(self._attachments.rediscover, volume_id):
            return
        await self._context.status_reporter.report(self.instance_id, "detached", volume_id)
        self._attachments.reported_detached |= {volume_id}
        self._context.refresh()

    async def _report(self, event: MachineEvent, power: Power) -> None:
        await self._context.status_reporter.report(self.instance_id, event)
        self._reported_power, self._report_observed = power, False
        self._context.refresh()

    async def _boot(self) -> None:
        desired = self.desired
        if desired is None:
            return
        self.problem, self._intended_stop, self._reboot_wanted = None, None, False
        self._boot_notifications.reset()
        image = await asyncio.to_thread(self._context.image_for, desired.image_id)
        process = await asyncio.to_thread(self._start_machine, desired, image)
        self._reported_power = None
        self._attachments.on_started(desired.volumes)
        self._watch(process)

    def _start_machine(self, desired: DesiredMachine, image: Path) -> Process:
        names = self._context.names
        require_free(names.state_dir, MIN_FREE_TO_BOOT, f"a host's root disk ({desired.name})")
        self.machine.prepare(desired.root_gib)
        if desired.address:
            self.machine.save_address(desired.address.ip)
        router.connect(names, desired)
        binds = self._attachments.attach_for_boot(desired.volumes)
        self._boot_notifications.open()
        self._context.before_boot(self.instance_id)
        return self.machine.boot(image=self.machine.pinned_image(image), hostname=desired.hostname, binds=binds)

    async def _attach_or_detach(self, step: Step) -> None:
        volume_id, desired = step.volume_id, self.desired
        if volume_id is None or desired is None:
            return
        await asyncio.wait_for(self._boot_notifications.init_started.wait(), _INIT_START_TIMEOUT)
        init_pid = await asyncio.to_thread(self.machine.init_pid)
        if init_pid is None:
            raise RuntimeError(f"{volume_id}: the host has no PID 1, so its devices cannot be changed")
        if step.action is Action.ATTACH:
            volume = next(volume for volume in desired.volumes if volume.volume_id == volume_id)
            await self._attachments.attach(init_pid, volume, self.machine.cgroup.guest)
            self._context.refresh()  # so that disk faults apply to the new volume
            return
        await self._attachments.detach(init_pid, volume_id, self.machine.cgroup.guest)
        if volume_id not in self._attachments.busy:
            self._context.refresh()
            return
        asyncio.get_running_loop().call_later(_DETACH_RETRY_SECONDS, self._retry_detach)
        if self._attachments.became_busy(volume_id):
            await self._context.status_reporter.report(self.instance_id, "busy", volume_id)

    async def _grow_volume(self, volume_id: str | None) -> None:
        for volume in self.desired.volumes if self.desired else ():
            if volume.volume_id == volume_id:
                await self._attachments.grow(volume)

    def _retry_detach(self) -> None:
        self._attachments.clear_busy()
        self._wake.set()

    async def _reboot_now(self) -> None:
        self._reboot_wanted = False
        if self.running:
            await self._stop_within_timeout(self.machine.signal_reboot, StopCause.REBOOT)
            self._wake.set()

    async def _stop_within_timeout(self, request_stop: Callable[[], bool], stop_cause: StopCause) -> None:
        """Asks the guest to end, repeatedly, and cuts its power if it has not ended in time."""
        self._intended_stop = stop_cause
        deadline = time.monotonic() + self._context.shutdown_timeout
        while self.running and (left := deadline - time.monotonic()) > 0:
            await asyncio.to_thread(request_stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), min(left, _SIGNAL_RETRY_SECONDS))
        if self.running:
            log.warning("%s: no clean shutdown within %.0f s, power cut", self.instance_id, self._context.shutdown_timeout)
            await asyncio.to_thread(self.machine.cut_power)
            await self._ended.wait()

    # The end of a run and its cause.

    def _watch(self, process: Process) -> None:
        self._process = process
        self._ended.clear()
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._wait_for_exit(process), name=f"end of {self.instance_id}"))
        self._boot_notifications.listen()

    async def _wait_for_exit(self, process: Process) -> None:
        await wait_for_exit(process)
        await asyncio.to_thread(self._clean_up_run)
        self._stop_cause = self._intended_stop or self._last_stop_cause()
        if self._stop_cause is StopCause.FAILED:
            self.problem = self._describe_failure()
            log.warning("%s: %s", self.instance_id, self.problem)
        self._intended_stop = None
        self._boot_notifications.reset()
        self._attachments.on_stopped()
        log.info("%s: is off (%s)", self.instance_id, self._stop_cause.value)
        self._ended.set()
        self._wake.set()

    def _last_stop_cause(self) -> StopCause:
        if self._killed_marker.exists():
            return StopCause.KILLED
        status = self.machine.exit_status()
        if status == EXIT_REBOOT:
            return StopCause.REBOOT
        if status == 0:
            return StopCause.GUEST_POWEROFF
        if status is None and self._process is None:
            return StopCause.NEW  # it was not running when the daemon started: this machine was rebooted, or it never ran
        return StopCause.FAILED

    def _describe_failure(self) -> str:
        status = self.machine.exit_status()
        how = "its processes were killed from outside" if status is None else f"systemd-nspawn ended with status {status}"
        what = "died" if self._boot_notifications.up else "did not boot"
        return f"{what}: {how}: {' | '.join(self.machine.console_tail())}"

    def _kill_now(self) -> None:
        address = self._address
        if address is not None:
            router.cut_link(self._context.names, self.instance_id, address)
        self._killed_marker.touch()
        self.machine.cut_power()

    def _clean_up_run(self) -> None:
        """Removes processes, link and loop devices after a run. The root disk and the volumes' files stay."""
        names = self._context.names
        self.machine.cut_power()  # nspawn alone may have been killed, with its guest still running
        router.disconnect(names, self.instance_id, self._address)
        self.machine.clean_up_run()
        self._attachments.detach_all()

    def _destroy(self) -> None:
        address = self._address
        if address is not None:
            router.remove_host_route(self._context.names, address)
        self.machine.destroy()

    @property
    def _address(self) -> IPv4Address | None:
        """The address that it was booted with: when the run ends, the API may no longer show one."""
        return self.machine.address()

    @property
    def _killed_marker(self) -> Path:
        return self.machine.folder / "killed"
