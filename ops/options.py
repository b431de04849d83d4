"""Options and arguments that several commands take."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stack.suggestions import closest_match

LabOption = Annotated[str, typer.Option("--lab", envvar="WEBSTACK_LAB", help="Which lab: up to 8 lowercase letters, digits and hyphens.")]
HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="A host by its name, e.g. web-1, or by its instance id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
StackOption = Annotated[
    str | None, typer.Option("--stack", help="The environment: Pulumi.<stack>.yaml. Default: what the lab holds, else dev.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the stack file, e.g. web.count=3. May be repeated."),
]
ConfigFileOption = Annotated[
    Path | None, typer.Option("--config-file", help="The stack's configuration, in place of the clone's Pulumi.<stack>.yaml.")
]


class Provider(StrEnum):
    """Whose provider makes the stack's resources."""

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
        help="`lab`: the lab's own. `real`: Pulumi's AWS plugin, as installed by `pulumi plugin install`, against the lab's API. "
        "Default: what made the stack that the lab holds, else lab.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """What a command was given for the engine."""

    stack: str | None = None
    config_file: Path | None = None
    settings: Sequence[str] = ()
    provider: Provider | None = None
