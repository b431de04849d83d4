"""What a fault is, whatever it does: a description that can be checked, said in words and kept as JSON.

Each kind is a frozen model with a `kind` of its own in a module of `kinds`; `catalog` finds them all. A description names hosts as people
do, and never holds what they are at the moment (addresses, links): effects are computed from descriptions and a `LabSnapshot` each time
either changes.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from lab.call_effects import CallFault
from lab.errors import LabError
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.command_line import CommandGroup, Parameter
from lab.names import LabNames

if TYPE_CHECKING:
    from lab.hypervisor.machine import Machine


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

    def hosts(self, name_or_id: str) -> list[DesiredMachine]:
        """The instances that `wanted` means: that one if it is an instance id, else all that bear the name, which may be none or two."""
        return [machine for machine in self.live_machines if name_or_id in (machine.instance_id, machine.name)]

    def require_host(self, name_or_id: str, *special_names: str) -> list[DesiredMachine]:
        """As `hosts`, but raises FaultError where there is none. `others` are words that may stand in a host's place."""
        found = self.hosts(name_or_id)
        if not found:
            known = [*dict.fromkeys(machine.name for machine in self.live_machines), *special_names]
            raise FaultError(f"host {name_or_id!r}: this lab has no such host; give one of {', '.join(known) or 'none: it is empty'}")
        return found

    def machine(self, desired: DesiredMachine) -> "Machine":
        """What is on this machine of an instance."""
        # Commands know faults too, and what machines take of pyroute2 would load at each of them.
        from lab.hypervisor.machine import Machine

        return Machine(names=self.names, instance_id=desired.instance_id)

    @property
    def zones(self) -> list[str]:
        """The zones that have a host, or the NAT gateway of one."""
        return sorted({zone for machine in self.live_machines for zone in (machine.zone, machine.egress_zone) if zone})


@dataclass(frozen=True, kw_only=True)
class InjectorContext:
    """What injectors reach that is no machine."""

    load_rules: Callable[[str], None]
    """Loads an nftables script into the router. Raises CommandError where nft refuses it."""
    run_tc: Callable[[Sequence[str], str], str]
    """Runs tc(8) in the router with these arguments and input; its output. Raises CommandError."""
    set_api_faults: Callable[[Sequence[CallFault]], None]
    """Gives the API gateway all the faults that it is to have."""


class FaultInjector(ABC):
    """Makes one sort of fault real. Called from one thread at a time, never from the event loop's own."""

    @classmethod
    def create(cls, context: InjectorContext) -> Self:
        """The injector of a lab; one that needs nothing of the context is made without it."""
        del context
        return cls()

    @abstractmethod
    def apply(self, faults: Sequence["Fault"], snapshot: LabSnapshot) -> None:
        """Makes the lab suffer exactly these faults, as far as they are this injector's business: what else was applied before ends.

        Called at each change of faults or machines, so it does nothing where nothing changes. Raises FaultError, before it has changed
        anything, where one cannot be had on this machine. After any error the registry applies the faults of before.
        """

    def before_boot(self, instance_id: str) -> None:
        """The machine's control groups, folder and link are new and its first process is about to start: whatever was applied to those
        before is gone, and is to be forgotten, if the injector remembers it. `apply` follows at once."""
        del instance_id


class Fault(BaseModel, ABC):
    """A thing that is made to go wrong.

    A kind adds a `kind: Literal[…]`, fields, of which those with a `Parameter` are asked for by its command, and `family` and `injector`
    where no base class of it has them. Its docstring is its command's help. Its validators raise ValueError in whole words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    command_group: ClassVar[CommandGroup]
    injector: ClassVar[type[FaultInjector]]
    """Makes this kind real, others perhaps too; a lab has one of each type."""

    @abstractmethod
    def summary(self) -> str:
        """What goes wrong, for people: a sentence without its full stop."""

    @abstractmethod
    def check(self, snapshot: LabSnapshot) -> None:
        """Raises FaultError where it cannot be given in this lab: it names a host or a zone that is not there."""

    @abstractmethod
    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        """What it names and is not there now, in words: it waits for that, or is without effect for ever."""

    def affects_path(self, snapshot: LabSnapshot, source: str, target: str) -> bool:
        """Whether it touches packets from `source` to `target`, or their answers; ends are instance ids, `internet` or `aws`."""
        del snapshot, source, target
        return False

    @classmethod
    def kind_name(cls) -> str:
        """The kind's name in descriptions."""
        return str(cls.model_fields["kind"].default)

    @classmethod
    def command(cls) -> str:
        """The kind's command after `webstack lab fault`: `drop`, `api throttle`."""
        group = cls.command_group.subcommand
        return f"{group} {cls.kind_name().removeprefix(f'{group}-')}" if group else cls.kind_name()

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """By field what the kind's command asks for: arguments, then options, the kind's own before those of its base classes."""
        found = {name: item for name, info in cls.model_fields.items() for item in info.metadata if isinstance(item, Parameter)}
        own = inspect.get_annotations(cls)

        def place(name: str) -> tuple[bool, bool]:
            is_option = found[name].option is not None
            return is_option, is_option and name not in own

        return {name: found[name] for name in sorted(found, key=place)}

    @classmethod
    def describe(cls, arguments: Mapping[str, object]) -> dict[str, object]:
        """The description that the kind's command gives: `given` is by field what was given on its line, None what was not."""
        description: dict[str, object] = {"kind": cls.kind_name()}
        for name, value in arguments.items():
            field = cls.model_fields[name]
            if value is not None:
                description[field.alias or name] = value != field.default if field.annotation is bool else value
        return description
