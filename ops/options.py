"""Options and arguments that several commands take."""

from typing import Annotated

import typer

LabOption = Annotated[str, typer.Option("--lab", envvar="WEBSTACK_LAB", help="Which lab: up to 8 lowercase letters, digits and hyphens.")]
HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="A host by its name, e.g. web-1, or by its instance id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
