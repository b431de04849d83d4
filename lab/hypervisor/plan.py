"""What to do next with one machine: a pure decision over what the API wants and what is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    """The sizes in GiB that the devices of those are known to have."""
    held: frozenset[str] = frozenset()
    """Those of them that the guest has just been seen to use still."""
    released: frozenset[str] = frozenset()
    """Volumes of which the API has been told, since it was last read, that the machine does not have them."""
    told: Power | None = None
    """What the API was last told; nothing yet since it last began to boot."""
    heard: bool = False
    """Whether the API has been read since it was told."""


class Action(Enum):
    """One step."""

    NOTHING = "nothing"
    BOOT = "boot"
    SHUT_DOWN = "shut down"
    DESTROY = "destroy"
    TELL_STARTED = "tell started"
    TELL_STOPPED = "tell stopped"
    TELL_TERMINATED = "tell terminated"
    ATTACH = "attach"
    GROW = "grow"
    DETACH = "detach"
    TELL_DETACHED = "tell detached"
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
    if desired is None or power is Power.GONE:
        return Step(action=_towards_gone(desired, actual))  # what it has goes without a word
    if actual.running and power is Power.ON:
        return _while_running(desired, actual)
    if not actual.running and (released := _released(desired, actual)):
        return released
    return Step(action=_towards_off(actual) if power is Power.OFF else _towards_on(desired, actual))


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
    if actual.told is not Power.OFF:
        return Action.TELL_STOPPED
    return Action.NOTHING if actual.rest in (Rest.OFF, Rest.NEW) else Action.SETTLE


def _towards_on(desired: DesiredMachine, actual: ActualMachine) -> Action:
    if actual.rest is Rest.SELF and not desired.problem:
        # The API learns of it and shows `stopped`; if it still wants the machine on after that, somebody has started it.
        if actual.told is not Power.OFF:
            return Action.TELL_STOPPED
        return Action.SETTLE if actual.heard else Action.NOTHING
    if desired.problem or actual.rest in (Rest.KILLED, Rest.FAILED):
        # The API knows no failed machine: its instance runs, and the lab's status says what is wrong.
        return Action.TELL_STARTED if _pending(desired, actual) else Action.NOTHING
    return Action.BOOT


def _while_running(desired: DesiredMachine, actual: ActualMachine) -> Step:
    if _pending(desired, actual):
        return Step(action=Action.TELL_STARTED)
    wanted = {volume.volume_id for volume in desired.volumes}
    for volume_id in sorted(actual.volumes - wanted - actual.held):
        return Step(action=Action.DETACH, volume_id=volume_id)
    if released := _released(desired, actual):
        return released
    for volume_id in sorted(wanted - actual.volumes):
        return Step(action=Action.ATTACH, volume_id=volume_id)
    for volume in desired.volumes:
        if volume.volume_id in actual.volumes and actual.sizes.get(volume.volume_id, volume.size_gib) < volume.size_gib:
            return Step(action=Action.GROW, volume_id=volume.volume_id)
    return Step(action=Action.NOTHING)


def _pending(desired: DesiredMachine, actual: ActualMachine) -> bool:
    return desired.state == "pending" and actual.told is not Power.ON


def _released(desired: DesiredMachine, actual: ActualMachine) -> Step | None:
    """Volumes that are to leave, and that the machine does not have."""
    for volume_id in sorted(desired.leaving - actual.volumes - actual.released):
        return Step(action=Action.TELL_DETACHED, volume_id=volume_id)
    return None
