"""The `webstack` command: everything that is not `pulumi` itself."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
import typer.main

from lab.errors import LabError
from ops import json_output
from ops.deployer import deployer_policy
from ops.errors import EXIT_INTERRUPTED
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


def _print_version(name_or_id: bool) -> None:
    if name_or_id:
        print(f"webstack {version()}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Which webstack this is, and of which commit.")
    ] = False,
) -> None:
    """The options of the command itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; a user's mistake is one message on stderr and a status that is not zero.

    Whatever ends a command that speaks to programs (`--json`), a mistake in its line and Ctrl-C too, is also one JSON object on stdout.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    errors = Terminal(stderr=True)
    as_json = json_output.JSON_FLAG in given and json_output.is_requested(typer.main.get_command(app), given)

    def told(error: str) -> None:
        if as_json:
            json_output.print_failure(error)

    try:
        app(given)
    except LabError as error:
        errors.print(str(error), style="red", soft_wrap=True)
        told(str(error))
        _exit_now(1)
    except KeyboardInterrupt:
        errors.print("interrupted", style="red")
        told("interrupted")
        _exit_now(EXIT_INTERRUPTED)
    except SystemExit as ended:  # typer's, which has shown what it says of the line itself
        if ended.code in (None, 0) or isinstance(ended.__context__, BrokenPipeError):
            raise
        if ended.code == EXIT_INTERRUPTED:
            errors.print("interrupted", style="red")
        told("interrupted" if ended.code == EXIT_INTERRUPTED else _usage_error(ended.__context__))
        _exit_now(ended.code if isinstance(ended.code, int) else 1)
    except Exception as error:  # nobody's mistake but ours: its traceback stays
        told(f"{type(error).__name__}: {error}")
        raise


def _usage_error(error: BaseException | None) -> str:
    """What is wrong with a command line, in typer's words."""
    message = getattr(error, "format_message", None)
    return str(message()) if callable(message) else f"ended: {error or 'no reason given'}"


def _exit_now(status: int) -> None:
    """Ends now: a program that the engine has given up may still wait for hosts in a thread, and an ordinary exit would wait for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
