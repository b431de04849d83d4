"""What a fault is, whatever it does: a description that can be checked, said in words and kept as JSON.

Each kind is a frozen model with a `kind` of its own; `kinds` lists them all. A description names hosts as people do, and never holds what
they are at the moment (addresses, links): effects are computed from descriptions and a `LabSnapshot` each time either changes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from lab.errors import LabError
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.machine import Machine
from lab.names import LabNames


class FaultError(LabError):
    """A fault that cannot be given or taken back; the message says what was given, which rule it breaks and what to do."""


@dataclass(frozen=True, kw_only=True)
class LabSnapshot:
    """The lab that faults act on, as the API shows it at one moment."""

    names: LabNames
    machines: Mapping[str, DesiredMachine] = field(default_factory=dict[str, DesiredMachine])
    """By instance id, those that are terminated included."""

    @property
    def live_machines(self) -> list[DesiredMachine]:
        """All instances that are not terminated, by name."""
        alive = [machine for machine in self.machines.values() if machine.present]
        return sorted(alive, key=lambda machine: (machine.name, machine.instance_id))

    def hosts(self, wanted: str) -> list[DesiredMachine]:
        """The instances that `wanted` means: that one if it is an instance id, else all that bear the name, which may be none or two."""
        return [machine for machine in self.live_machines if wanted in (machine.instance_id, machine.name)]

    def require_host(self, wanted: str, *others: str) -> list[DesiredMachine]:
        """As `hosts`, but raises FaultError where there is none. `others` are words that may stand in a host's place."""
        found = self.hosts(wanted)
        if not found:
            known = [*dict.fromkeys(machine.name for machine in self.live_machines), *others]
            raise FaultError(f"host {wanted!r}: this lab has no such host; give one of {', '.join(known) or 'none: it is empty'}")
        return found

    def machine(self, desired: DesiredMachine) -> Machine:
        """What is on this machine of an instance."""
        return Machine(names=self.names, instance_id=desired.instance_id)

    @property
    def zones(self) -> list[str]:
        """The zones that have a host, or the NAT gateway of one."""
        return sorted({zone for machine in self.live_machines for zone in (machine.zone, machine.egress_zone) if zone})


class Fault(BaseModel, ABC):
    """A thing that is made to go wrong. A kind adds its fields and a `kind: Literal[…]`; its validators raise ValueError in whole words."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @abstractmethod
    def summary(self) -> str:
        """What goes wrong, for people: a sentence without its full stop."""

    @abstractmethod
    def check(self, snapshot: LabSnapshot) -> None:
        """Raises FaultError where it cannot be given in this lab: it names a host or a zone that is not there."""

    @abstractmethod
    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        """What it names and is not there now, in words: it waits for that, or is without effect for ever."""


class FaultInjector(Protocol):
    """Makes one sort of fault real. Called from one thread at a time, never from the event loop's own."""

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """Makes the lab suffer exactly these faults, as far as they are this effector's business: what else was applied before ends.

        Called at each change of faults or machines, so it does nothing where nothing changes. Raises FaultError, before it has changed
        anything, where one cannot be had on this machine. After any error the registry applies the faults of before.
        """
        ...

    def before_boot(self, instance_id: str) -> None:
        """The machine's control groups, folder and link are new and its first process is about to start: whatever was applied to those
        before is gone, and is to be forgotten. `apply` follows at once."""
        ...
