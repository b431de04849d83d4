"""`webstack lab fault`: makes things go wrong on purpose, and takes that back. Each kind of fault is a command, made of its model."""

import contextlib
import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo
from rich.table import Table

from lab import control_client
from lab.hypervisor.faults.catalog import KINDS
from lab.hypervisor.faults.command_line import Parameter
from lab.hypervisor.faults.fault import Fault
from lab.lab_handle import LabHandle
from lab.names import DEFAULT_LAB
from ops import requirements
from ops.errors import UserError
from ops.options import JsonOption, LabOption
from ops.terminal import Terminal

_HELP = """\
Make something go wrong on purpose, see what is on, and take it back.

Each fault gets an id (f1, f2, …) and lasts until it is cleared, until --for has passed, or until the lab goes: also while hosts restart and
the lab's daemon does. Faults may overlap; what hosts suffer always follows from all that are on.

A fault that names a host by its name holds for whichever instance bears the name, one that replaces it too. One that names an instance id
holds for that instance alone, and does nothing once that is terminated. A zone is cut for the hosts that come into it later too.
"""

fault = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None)

DurationOption = Annotated[float | None, typer.Option("--for", metavar="SECONDS", help="Take it back by itself after so many seconds.")]

_console = Terminal(width=None if sys.stdout.isatty() else 200)


def _create_command(kind: type[Fault]) -> Callable[..., None]:
    """The function whose signature is the command of a kind of fault, as typer reads it."""

    def command(*, seconds: DurationOption = None, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB, **given: object) -> None:
        inject(name, kind, given, seconds, as_json=as_json)

    signature = inspect.signature(command)
    parameters = [_typer_parameter(kind.model_fields[field], field, parameter) for field, parameter in kind.parameters().items()]
    common = [parameter for parameter in signature.parameters.values() if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    vars(command)["__signature__"] = signature.replace(parameters=[*parameters, *common])
    return command


def _typer_parameter(field: FieldInfo, name: str, parameter: Parameter) -> inspect.Parameter:
    default = ... if field.is_required() else field.default
    if parameter.option is None:
        read = typer.Argument(default, metavar=parameter.metavar, help=parameter.help)
    else:
        is_flag = field.annotation is bool
        read = typer.Option(False if is_flag else default, parameter.option, metavar=parameter.metavar, help=parameter.help)
    annotation = str if parameter.as_text else field.annotation
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=read, annotation=annotation)


def _add_commands() -> None:
    groups = {"": fault}
    for kind in KINDS:
        group = kind.command_group.subcommand
        if group not in groups:
            groups[group] = typer.Typer(help=kind.command_group.help, no_args_is_help=True, rich_markup_mode=None)
            fault.add_typer(groups[group], name=group)
        groups[group].command(kind.command().split()[-1], help=kind.__doc__)(_create_command(kind))


_add_commands()


@fault.command("list")
def list_command(as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Show the faults that are on."""
    faults = control_client.faults(_running_lab(name, "list").names)
    if as_json:
        print(json.dumps(faults, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("fault", "what goes wrong", "until"):
        table.add_column(heading)
    for fault_row in faults:
        table.add_row(
            fault_row["id"],
            _summary(fault_row),
            "it is cleared" if fault_row["expires_at"] is None else time.strftime("%H:%M:%S", time.localtime(fault_row["expires_at"])),
        )
    _console.print(table if faults else "no fault is on")


@fault.command()
def clear(
    fault_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="The ids that giving printed.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are on.")] = False,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Take faults back: those named, or all with --all."""
    if bool(fault_ids) == everything:
        raise UserError("say which faults to take back: their ids (webstack lab fault list), or --all, not both")
    names = _running_lab(name, "clear").names
    ended = control_client.clear_faults(names, fault_ids or ())
    if as_json:
        print(json.dumps(ended, indent=2))
    for one in ended if not as_json else ():
        _echo(f"{one['id']} is over: {one['summary']}")


def inject(name: str, kind: type[Fault], arguments: Mapping[str, object], seconds: float | None, *, as_json: bool) -> None:
    """Gives a lab the fault that a command line asks for (see `Fault.describe`), and says how to take it back. Raises ControlError."""
    session = _running_lab(name, kind.command())
    injected = control_client.inject_fault(session.names, kind.describe(arguments), seconds)
    if as_json:
        print(json.dumps(injected, indent=2))
        return
    which = "" if name == DEFAULT_LAB else f" --lab {name}"
    _echo(f"{injected['id']}: {injected['summary']}")
    _echo(
        f"take it back: webstack lab fault clear {injected['id']}{which}" + (f"; it ends by itself after {seconds:g} s" if seconds else "")
    )


def active_fault_lines(session: LabHandle) -> list[str]:
    """The faults that are on in a lab, which explain what fails next; none where no daemon answers."""
    with contextlib.suppress(control_client.ControlError):
        return format_faults(control_client.faults(session.names))
    return []


def format_faults(faults: Sequence[Mapping[str, Any]]) -> list[str]:
    """The faults that are on, a line each, for `webstack lab status`."""
    return [f"fault {fault_row['id']} is on: {_summary(fault_row)}" for fault_row in faults]


def _summary(fault_row: Mapping[str, Any]) -> str:
    return str(fault_row["summary"]) + (
        f" (without effect: {', '.join(fault_row['inactive_reasons'])})" if fault_row["inactive_reasons"] else ""
    )


def _running_lab(name: str, command: str) -> LabHandle:
    session = LabHandle.of(name)
    session.require_running()
    requirements.require_root(f"webstack lab fault {command}")
    return session


def _echo(text: str) -> None:
    _console.print(text, soft_wrap=True)
