"""The base classes of faults and injectors. A fault is a description that can be checked, shown to people and stored as JSON.

Each kind of fault is a frozen model with its own `kind` in a module of `kinds`; `catalog` finds them all. A description names hosts by name
or instance id and never contains their current addresses or links: effects are computed from the descriptions and a `LabSnapshot` whenever
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
    """A fault cannot be injected or cleared; the message says what was given, which rule it breaks and what to do."""


@dataclass(frozen=True, kw_only=True)
class LabSnapshot:
    """The lab that faults act on, as the API shows it at one time."""

    names: LabNames
    machines: Mapping[str, DesiredMachine] = field(default_factory=dict[str, DesiredMachine])
    """By instance id, terminated ones included."""

    @property
    def live_machines(self) -> list[DesiredMachine]:
        """All instances that are not terminated, sorted by name."""
        alive = [machine for machine in self.machines.values() if machine.present]
        return sorted(alive, key=lambda machine: (machine.name, machine.instance_id))

    def hosts(self, name_or_id: str) -> list[DesiredMachine]:
        """Returns the instance with the id `name_or_id`, or else all with that name: none, one, or two."""
        return [machine for machine in self.live_machines if name_or_id in (machine.instance_id, machine.name)]

    def require_host(self, name_or_id: str, *special_names: str) -> list[DesiredMachine]:
        """Like `hosts`, but raises FaultError if there is none. `special_names` are alternatives to a host, for the message."""
        found = self.hosts(name_or_id)
        if not found:
            known = [*dict.fromkeys(machine.name for machine in self.live_machines), *special_names]
            raise FaultError(f"host {name_or_id!r}: this lab has no such host; give one of {', '.join(known) or 'none: it is empty'}")
        return found

    def machine(self, desired: DesiredMachine) -> "Machine":
        """Returns the machine of an instance."""
        # Imported here because commands import faults too, and the machine's modules would load pyroute2 at each command.
        from lab.hypervisor.machine import Machine

        return Machine(names=self.names, instance_id=desired.instance_id)

    @property
    def zones(self) -> list[str]:
        """The zones that contain a host or a host's NAT gateway."""
        return sorted({zone for machine in self.live_machines for zone in (machine.zone, machine.egress_zone) if zone})


@dataclass(frozen=True, kw_only=True)
class InjectorContext:
    """What injectors use besides machines."""

    load_rules: Callable[[str], None]
    """Loads an nftables script into the router. Raises CommandError if nft rejects it."""
    run_tc: Callable[[Sequence[str], str], str]
    """Runs tc(8) in the router with these arguments and input and returns its output. Raises CommandError."""
    set_api_faults: Callable[[Sequence[CallFault]], None]
    """Replaces the API gateway's faults with these."""


class FaultInjector(ABC):
    """Carries out one sort of fault. Called from one thread at a time, never from the event loop's thread."""

    @classmethod
    def create(cls, context: InjectorContext) -> Self:
        """Makes a lab's injector. By default it needs nothing from the context."""
        del context
        return cls()

    @abstractmethod
    def apply(self, faults: Sequence["Fault"], snapshot: LabSnapshot) -> None:
        """Applies exactly those of these faults that this injector handles, and ends all others that it has applied before.

        Called at each change of faults or machines; it must do nothing if nothing changes. Raises FaultError, before it has changed
        anything, if a fault is impossible on this machine. After any error the registry applies the previous faults again.
        """

    def before_boot(self, instance_id: str) -> None:
        """Called when a machine's control groups, folder and link are new and its first process is about to start.

        What was applied to the old ones is gone; an injector that remembers it must forget it. `apply` is called next.
        """
        del instance_id


class Fault(BaseModel, ABC):
    """A failure to inject.

    A kind adds a `kind: Literal[…]`, its fields (those with a `Parameter` are parameters of its command), and `command_group` and
    `injector` if no base class has them. Its docstring is its command's help. Its validators raise ValueError with a complete message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    command_group: ClassVar[CommandGroup]
    injector: ClassVar[type[FaultInjector]]
    """Carries out this kind, and possibly others; a lab has one injector of each type."""

    @abstractmethod
    def summary(self) -> str:
        """Describes the fault for people: a sentence without its full stop."""

    @abstractmethod
    def check(self, snapshot: LabSnapshot) -> None:
        """Raises FaultError if it cannot be injected in this lab, for example because its host or zone does not exist."""

    @abstractmethod
    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        """Returns why it has no effect now, for people: something that it names does not exist (yet, or any more)."""

    def affects_path(self, snapshot: LabSnapshot, source: str, target: str) -> bool:
        """Whether it affects packets from `source` to `target` or their replies. Ends are instance ids, `internet` or `aws`."""
        del snapshot, source, target
        return False

    @classmethod
    def kind_name(cls) -> str:
        """Returns the kind's name in descriptions."""
        return str(cls.model_fields["kind"].default)

    @classmethod
    def command(cls) -> str:
        """Returns the kind's command after `webstack lab fault`, such as `drop` or `api throttle`."""
        group = cls.command_group.subcommand
        return f"{group} {cls.kind_name().removeprefix(f'{group}-')}" if group else cls.kind_name()

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """Returns the command's parameters by field: arguments, then options, the kind's own before those of its base classes."""
        found = {name: item for name, info in cls.model_fields.items() for item in info.metadata if isinstance(item, Parameter)}
        own = inspect.get_annotations(cls)

        def place(name: str) -> tuple[bool, bool]:
            is_option = found[name].option is not None
            return is_option, is_option and name not in own

        return {name: found[name] for name in sorted(found, key=place)}

    @classmethod
    def describe(cls, arguments: Mapping[str, object]) -> dict[str, object]:
        """Returns the description for a command line: `arguments` maps each field to its value, or to None if it was not given."""
        description: dict[str, object] = {"kind": cls.kind_name()}
        for name, value in arguments.items():
            field = cls.model_fields[name]
            if value is not None:
                description[field.alias or name] = value != field.default if field.annotation is bool else value
        return description
