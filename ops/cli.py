"""The `webstack` command: everything that is not `pulumi` itself."""

import os
import sys

import typer
from rich.console import Console

from lab.errors import LabError
from ops.deployer import deployer_policy
from ops.failures import INTERRUPTED
from ops.lab import lab

app = typer.Typer(
    name="webstack",
    help="A small fleet on EC2, and AWS on this machine to try it on. `pulumi up` is for AWS; `webstack lab` is for here.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(lab, name="lab")

app.command("deployer-policy")(deployer_policy)


def main() -> None:
    """Runs the command line; a user's mistake is one message on stderr and a status that is not zero."""
    errors = Console(stderr=True)
    try:
        app()
    except LabError as error:
        errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        _leave(1)
    except KeyboardInterrupt:
        errors.print("interrupted", style="red")
        _leave(INTERRUPTED)


def _leave(status: int) -> None:
    """Ends now: a program that the engine has given up may still wait for hosts in a thread, and an ordinary exit would wait for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
