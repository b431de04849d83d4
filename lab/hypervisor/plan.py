"""What to do next with one machine: a pure decision over what the API wants and what is there."""

from dataclasses import dataclass
from enum import Enum

from lab.hypervisor.desired import DesiredMachine, Power


class Rest(Enum):
    """Why a machine that is not running does not run."""

    NEW = "new"
    """It never ran, or its daemon does not know how it ended: it may be booted."""
    OFF = "off"
    """It was shut down because the API wanted it so."""
    SELF = "self"
    """The guest powered itself off."""
    REBOOT = "reboot"
    """The guest, or the API, wants it to start again."""
    KILLED = "killed"
    """Somebody pulled the plug; it stays so until it is started, by the lab or by a stop and start of the API."""
    FAILED = "failed"
    """It could not boot, or died by itself; as KILLED."""


@dataclass(frozen=True, kw_only=True)
class ActualMachine:
    """What is there of one instance."""

    running: bool
    rest: Rest = Rest.NEW
    """Meaningful when it does not run."""
    has_root: bool = False
    volumes: frozenset[str] = frozenset()
    """Volumes that a running machine has been given."""
    told: Power | None = None
    """What the API was last told: OFF or GONE; None since it last ran."""
    heard: bool = False
    """Whether the API has been read since it was told."""


class Action(Enum):
    """One step."""

    NOTHING = "nothing"
    BOOT = "boot"
    SHUT_DOWN = "shut down"
    DESTROY = "destroy"
    TELL_STOPPED = "tell stopped"
    TELL_TERMINATED = "tell terminated"
    ATTACH = "attach"
    DETACH = "detach"
    SETTLE = "settle"
    """The API has seen the machine off: whatever ended it is over, and the next start is a plain one."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step, with the volume that it is about."""

    action: Action
    volume_id: str | None = None


def next_step(desired: DesiredMachine | None, actual: ActualMachine) -> Step:
    """The one next step towards what the API wants; NOTHING when all is so. `desired` is None for an instance unknown to the API."""
    power = desired.power if desired else Power.GONE
    if power is Power.GONE:
        return Step(action=_towards_gone(desired, actual))
    if power is Power.OFF:
        return Step(action=_towards_off(actual))
    if actual.running:
        return _volumes(desired, actual) if desired else Step(action=Action.NOTHING)
    return Step(action=_towards_on(desired, actual))


def _towards_gone(desired: DesiredMachine | None, actual: ActualMachine) -> Action:
    if actual.running:
        return Action.SHUT_DOWN
    if actual.has_root:
        return Action.DESTROY
    if desired and desired.state != "terminated" and actual.told is not Power.GONE:
        return Action.TELL_TERMINATED
    return Action.NOTHING


def _towards_off(actual: ActualMachine) -> Action:
    if actual.running:
        return Action.SHUT_DOWN
    if actual.told is None:
        return Action.TELL_STOPPED
    return Action.NOTHING if actual.rest in (Rest.OFF, Rest.NEW) else Action.SETTLE


def _towards_on(desired: DesiredMachine | None, actual: ActualMachine) -> Action:
    if desired and desired.problem:
        return Action.NOTHING
    if actual.rest is Rest.SELF:
        # The API learns of it and shows `stopped`; if it still wants the machine on after that, somebody has started it.
        if actual.told is None:
            return Action.TELL_STOPPED
        return Action.SETTLE if actual.heard else Action.NOTHING
    if actual.rest in (Rest.KILLED, Rest.FAILED):
        return Action.NOTHING
    return Action.BOOT


def _volumes(desired: DesiredMachine, actual: ActualMachine) -> Step:
    wanted = {volume.volume_id for volume in desired.volumes}
    for volume_id in sorted(actual.volumes - wanted):
        return Step(action=Action.DETACH, volume_id=volume_id)
    for volume_id in sorted(wanted - actual.volumes):
        return Step(action=Action.ATTACH, volume_id=volume_id)
    return Step(action=Action.NOTHING)
