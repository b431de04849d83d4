"""Options and arguments that several commands take."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stack.suggestions import closest_match

LabOption = Annotated[
    str, typer.Option("--lab", envvar="WEBSTACK_LAB", help="The lab's name: up to 8 lowercase letters, digits and hyphens.")
]
HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="A host's name, such as web-1, or its instance id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", help="The environment, configured by Pulumi.<stack>.yaml. Default: the lab's current stack, or dev."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override one value of the stack file for this run, such as web.count=3. May be repeated."
    ),
]
ConfigFileOption = Annotated[
    Path | None, typer.Option("--config-file", help="Read the stack's configuration from this file instead of Pulumi.<stack>.yaml.")
]


class Provider(StrEnum):
    """Which provider creates the stack's resources."""

    LAB = "lab"
    REAL = "real"


def parse_provider(text: str) -> Provider:
    """The provider of that name. Raises typer.BadParameter with the nearest one."""
    if text not in list(Provider):
        choice = closest_match(text, Provider)
        names = ", ".join(repr(one.value) for one in Provider)
        raise typer.BadParameter(f"{text!r} is not one of {names}" + (f": did you mean {choice}?" if choice else "."))
    return Provider(text)


ProviderOption = Annotated[
    Provider | None,
    typer.Option(
        "--provider",
        parser=parse_provider,
        metavar="[lab|real]",
        help="`lab`: the lab's own provider. `real`: Pulumi's AWS and random plugins, installed with `pulumi plugin install`, which then "
        "call the lab's API. Default: the provider of the lab's current stack, or lab.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """What the command line asks of the engine."""

    stack: str | None = None
    config_file: Path | None = None
    settings: Sequence[str] = ()
    provider: Provider | None = None
