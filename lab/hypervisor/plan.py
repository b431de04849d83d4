"""What to do next with one machine: a pure decision over what the API wants and what is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from lab.hypervisor.desired import DesiredMachine, Power


class StopCause(Enum):
    """Why a machine that is not running does not run."""

    NEW = "new"
    """It never ran, or its daemon does not know how it ended: it may be booted."""
    API_STOP = "off"
    """It was shut down because the API wanted it so."""
    GUEST_POWEROFF = "self"
    """The guest powered itself off."""
    REBOOT = "reboot"
    """The guest, or the API, wants it to start again."""
    KILLED = "killed"
    """Somebody pulled the plug; it stays so until it is started, by the lab or by a stop and start of the API."""
    FAILED = "failed"
    """It could not boot, or died by itself; as KILLED."""


@dataclass(frozen=True, kw_only=True)
class ObservedMachine:
    """What is there of one instance."""

    running: bool
    stop_cause: StopCause = StopCause.NEW
    """Meaningful when it does not run."""
    has_root_disk: bool = False
    volumes: frozenset[str] = frozenset()
    """Volumes that a running machine has been given."""
    volume_sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    """The sizes in GiB that the devices of those are known to have."""
    busy_volumes: frozenset[str] = frozenset()
    """Those of them that the guest has just been seen to use still."""
    reported_detached: frozenset[str] = frozenset()
    """Volumes of which the API has been told, since it was last read, that the machine does not have them."""
    reported_power: Power | None = None
    """What the API was last told; nothing yet since it last began to boot."""
    report_observed: bool = False
    """Whether the API has been read since it was told."""


class Action(Enum):
    """One step."""

    NOTHING = "nothing"
    BOOT = "boot"
    SHUT_DOWN = "shut down"
    DESTROY = "destroy"
    REPORT_STARTED = "tell started"
    REPORT_STOPPED = "tell stopped"
    REPORT_TERMINATED = "tell terminated"
    ATTACH = "attach"
    GROW = "grow"
    DETACH = "detach"
    REPORT_DETACHED = "tell detached"
    CLEAR_STOP_CAUSE = "settle"
    """The API has seen the machine off: whatever ended it is over, and the next start is a plain one."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step, with the volume that it is about."""

    action: Action
    volume_id: str | None = None


def next_step(desired: DesiredMachine | None, observed: ObservedMachine) -> Step:
    """The one next step towards what the API wants; NOTHING when all is so. `desired` is None for an instance unknown to the API."""
    power = desired.power if desired else Power.GONE
    if desired is None or power is Power.GONE:
        return Step(action=_towards_gone(desired, observed))  # what it has goes without a word
    if observed.running and power is Power.ON:
        return _while_running(desired, observed)
    if not observed.running and (released := _next_detach_report(desired, observed)):
        return released
    return Step(action=_towards_off(observed) if power is Power.OFF else _towards_on(desired, observed))


def _towards_gone(desired: DesiredMachine | None, actual: ObservedMachine) -> Action:
    if actual.running:
        return Action.SHUT_DOWN
    if actual.has_root_disk:
        return Action.DESTROY
    if desired and desired.state != "terminated" and actual.reported_power is not Power.GONE:
        return Action.REPORT_TERMINATED
    return Action.NOTHING


def _towards_off(actual: ObservedMachine) -> Action:
    if actual.running:
        return Action.SHUT_DOWN
    if actual.reported_power is not Power.OFF:
        return Action.REPORT_STOPPED
    return Action.NOTHING if actual.stop_cause in (StopCause.API_STOP, StopCause.NEW) else Action.CLEAR_STOP_CAUSE


def _towards_on(desired: DesiredMachine, actual: ObservedMachine) -> Action:
    if actual.stop_cause is StopCause.GUEST_POWEROFF and not desired.problem:
        # The API learns of it and shows `stopped`; if it still wants the machine on after that, somebody has started it.
        if actual.reported_power is not Power.OFF:
            return Action.REPORT_STOPPED
        return Action.CLEAR_STOP_CAUSE if actual.report_observed else Action.NOTHING
    if desired.problem or actual.stop_cause in (StopCause.KILLED, StopCause.FAILED):
        # The API knows no failed machine: its instance runs, and the lab's status says what is wrong.
        return Action.REPORT_STARTED if _start_unreported(desired, actual) else Action.NOTHING
    return Action.BOOT


def _while_running(desired: DesiredMachine, actual: ObservedMachine) -> Step:
    if _start_unreported(desired, actual):
        return Step(action=Action.REPORT_STARTED)
    wanted = {volume.volume_id for volume in desired.volumes}
    for volume_id in sorted(actual.volumes - wanted - actual.busy_volumes):
        return Step(action=Action.DETACH, volume_id=volume_id)
    if released := _next_detach_report(desired, actual):
        return released
    for volume_id in sorted(wanted - actual.volumes):
        return Step(action=Action.ATTACH, volume_id=volume_id)
    for volume in desired.volumes:
        if volume.volume_id in actual.volumes and actual.volume_sizes.get(volume.volume_id, volume.size_gib) < volume.size_gib:
            return Step(action=Action.GROW, volume_id=volume.volume_id)
    return Step(action=Action.NOTHING)


def _start_unreported(desired: DesiredMachine, actual: ObservedMachine) -> bool:
    return desired.state == "pending" and actual.reported_power is not Power.ON


def _next_detach_report(desired: DesiredMachine, actual: ObservedMachine) -> Step | None:
    """Volumes that are to leave, and that the machine does not have."""
    for volume_id in sorted(desired.detaching - actual.volumes - actual.reported_detached):
        return Step(action=Action.REPORT_DETACHED, volume_id=volume_id)
    return None
