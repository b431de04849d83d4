"""`webstack lab fault`: makes things go wrong on purpose, and takes that back."""

import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from lab import control_client
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

ForOption = Annotated[float | None, typer.Option("--for", metavar="SECONDS", help="Take it back by itself after so many seconds.")]
OneWayOption = Annotated[bool, typer.Option("--one-way", help="Only packets from FROM to TO; without it those from TO to FROM as well.")]
_ENDPOINT_HELP = "a host by name or instance id"
FromArgument = Annotated[str, typer.Argument(metavar="FROM", help=f"Where packets come from: {_ENDPOINT_HELP}, or `internet`.")]
ToArgument = Annotated[str, typer.Argument(metavar="TO", help=f"Where they go: {_ENDPOINT_HELP}, or `internet`.")]

_console = Terminal(width=None if sys.stdout.isatty() else 200)


@fault.command()
def zone(
    zone: Annotated[str, typer.Argument(metavar="ZONE", help="An availability zone, e.g. eu-central-1a.")],
    seconds: ForOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Cut a zone off: nothing passes between its hosts and other zones, the internet, or AWS's API and S3.

    Its hosts see each other, the metadata service and the resolver, as those are in each zone of their own. Nobody is told: packets vanish,
    those of open connections too.
    """
    inject(name, {"kind": "zone", "zone": zone}, seconds, as_json=as_json)


@fault.command()
def drop(
    source: FromArgument,
    target: ToArgument,
    both_ways: Annotated[bool, typer.Option("--both-ways", help="Packets from TO to FROM too.")] = False,
    seconds: ForOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Drop every packet from one host to another, one way: answers to the other's packets vanish too.

    An end may also be `aws`, AWS's API and S3.
    """
    inject(name, {"kind": "drop", "from": source, "to": target, "both_ways": both_ways}, seconds, as_json=as_json)


@fault.command()
def loss(
    source: FromArgument,
    target: ToArgument,
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="How many of a hundred packets vanish, by chance: 0.01 to 100.")],
    one_way: OneWayOption = False,
    seconds: ForOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Lose packets between two hosts, both ways unless --one-way. An end may also be `aws`, AWS's API and S3.

    A large TCP segment of up to 64 KB that a host hands over as one is lost as one.
    """
    inject(name, {"kind": "loss", "from": source, "to": target, "percent": percent, "both_ways": not one_way}, seconds, as_json=as_json)


@fault.command()
def bandwidth(
    source: FromArgument,
    target: ToArgument,
    rate: Annotated[str, typer.Argument(metavar="RATE", help="Bits in a second: 500kbit, 1mbit, 2.5gbit; from 8kbit to 10gbit.")],
    one_way: OneWayOption = False,
    seconds: ForOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Narrow the way between two hosts, each direction for itself, or only FROM to TO with --one-way.

    What is sent faster waits for some 200 ms, and what comes while so much waits is dropped. Of several such faults the narrowest counts.
    """
    inject(name, {"kind": "bandwidth", "from": source, "to": target, "rate": rate, "both_ways": not one_way}, seconds, as_json=as_json)


@fault.command()
def delay(
    source: FromArgument,
    target: ToArgument,
    milliseconds: Annotated[str, typer.Argument(metavar="MILLISECONDS", help="How much later each packet arrives: 0.1 to 60000.")],
    one_way: OneWayOption = False,
    seconds: ForOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Delay packets between two hosts: a round trip takes twice MILLISECONDS longer, or once with --one-way. Several such faults add up.

    It takes a kernel with netem (the module sch_netem); where it has none, this is refused.
    """
    description = {"kind": "delay", "from": source, "to": target, "milliseconds": milliseconds, "both_ways": not one_way}
    inject(name, description, seconds, as_json=as_json)


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
    for one in faults:
        table.add_row(
            one["id"], _summary(one), "it is cleared" if one["until"] is None else time.strftime("%H:%M:%S", time.localtime(one["until"]))
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
        _say(f"{one['id']} is over: {one['words']}")


def inject(name: str, description: Mapping[str, object], seconds: float | None, *, as_json: bool) -> None:
    """Gives a fault (see `lab.hypervisor.faults.kinds`) to a lab and says how to take it back. Raises ControlError."""
    session = _running_lab(name, str(description["kind"]))
    given = control_client.inject_fault(session.names, description, seconds)
    if as_json:
        print(json.dumps(given, indent=2))
        return
    which = "" if name == DEFAULT_LAB else f" --lab {name}"
    _say(f"{given['id']}: {given['words']}")
    _say(f"take it back: webstack lab fault clear {given['id']}{which}" + (f"; it ends by itself after {seconds:g} s" if seconds else ""))


def active_fault_lines(session: LabHandle) -> list[str]:
    """The faults that are on in a lab, which explain what fails next; none where no daemon answers."""
    with contextlib.suppress(control_client.ControlError):
        return format_faults(control_client.faults(session.names))
    return []


def format_faults(faults: Sequence[Mapping[str, Any]]) -> list[str]:
    """The faults that are on, a line each, for `webstack lab status`."""
    return [f"fault {one['id']} is on: {_summary(one)}" for one in faults]


def _summary(one: Mapping[str, Any]) -> str:
    return str(one["words"]) + (f" (without effect: {', '.join(one['missing'])})" if one["missing"] else "")


def _running_lab(name: str, command: str) -> LabHandle:
    session = LabHandle.of(name)
    session.require_running()
    requirements.require_root(f"webstack lab fault {command}")
    return session


def _say(text: str) -> None:
    _console.print(text, soft_wrap=True)
