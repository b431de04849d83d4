"""The `webstack` command: everything that is not `pulumi` itself."""

import os
import sys
from typing import Annotated

import typer

from lab.errors import LabError
from ops.deployer import deployer_policy
from ops.failures import INTERRUPTED
from ops.lab import lab
from ops.rotate import rotate
from ops.terminal import Terminal
from ops.version import version

app = typer.Typer(
    name="webstack",
    help="A small fleet on EC2, and AWS on this machine to try it on. `pulumi up` is for AWS; `webstack lab` is for here.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(lab, name="lab")

app.command("deployer-policy")(deployer_policy)
app.command("rotate")(rotate)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"webstack {version()}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Which webstack this is, and of which commit.")
    ] = False,
) -> None:
    """The options of the command itself."""


def main() -> None:
    """Runs the command line; a user's mistake is one message on stderr and a status that is not zero."""
    errors = Terminal(stderr=True)
    try:
        app()
    except LabError as error:
        errors.print(str(error), style="red", soft_wrap=True)
        _leave(1)
    except KeyboardInterrupt:
        errors.print("interrupted", style="red")
        _leave(INTERRUPTED)


def _leave(status: int) -> None:
    """Ends now: a program that the engine has given up may still wait for hosts in a thread, and an ordinary exit would wait for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
