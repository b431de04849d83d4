"""Decides the next step for one machine from its desired and its observed state. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from lab.hypervisor.desired import DesiredMachine, Power


class StopCause(Enum):
    """Why a machine is not running."""

    NEW = "new"
    """It never ran, or how it ended is unknown. It may be booted."""
    API_STOP = "off"
    """It was shut down because the API asked for it."""
    GUEST_POWEROFF = "self"
    """The guest powered itself off."""
    REBOOT = "reboot"
    """The guest or the API rebooted it: it is to start again."""
    KILLED = "killed"
    """Its power was cut. It stays off until the lab starts it, or the API stops and starts it."""
    FAILED = "failed"
    """It could not boot, or died. It stays off like KILLED."""


@dataclass(frozen=True, kw_only=True)
class ObservedMachine:
    """The observed state of one instance's machine."""

    running: bool
    stop_cause: StopCause = StopCause.NEW
    """Only meaningful if it is not running."""
    has_root_disk: bool = False
    volumes: frozenset[str] = frozenset()
    """Volumes attached to the running machine."""
    volume_sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    """The known sizes of their devices, in GiB, by volume id."""
    busy_volumes: frozenset[str] = frozenset()
    """Those that the guest was still using when last checked."""
    reported_detached: frozenset[str] = frozenset()
    """Volumes reported to the API as detached since it was last read."""
    reported_power: Power | None = None
    """The power state last reported to the API; None if there was no report since the last boot began."""
    report_observed: bool = False
    """Whether the API has been read since that report."""


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
    """The API has seen the machine off: why it ended no longer matters, and the next start is an ordinary one."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """An action, and the volume it applies to, if any."""

    action: Action
    volume_id: str | None = None


def next_step(desired: DesiredMachine | None, observed: ObservedMachine) -> Step:
    """Returns the next step towards the desired state, or NOTHING. `desired` is None if the API does not know the instance."""
    power = desired.power if desired else Power.GONE
    if desired is None or power is Power.GONE:
        return Step(action=_towards_gone(desired, observed))  # nothing is reported: the API does not know it
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
        # Report it, so that the API shows `stopped`. If the API then wants the machine on, somebody has started it.
        if actual.reported_power is not Power.OFF:
            return Action.REPORT_STOPPED
        return Action.CLEAR_STOP_CAUSE if actual.report_observed else Action.NOTHING
    if desired.problem or actual.stop_cause in (StopCause.KILLED, StopCause.FAILED):
        # EC2 has no state for a failed machine: the instance shows `running`, and the lab's status names the problem.
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
    """Returns the report of a volume that is being detached and that the machine does not have, if any."""
    for volume_id in sorted(desired.detaching - actual.volumes - actual.reported_detached):
        return Step(action=Action.REPORT_DETACHED, volume_id=volume_id)
    return None
