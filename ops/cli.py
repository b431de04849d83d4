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
    help="Run the webstack infrastructure: on AWS with `pulumi up`, or on this machine with `webstack lab up`.",
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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and the commit, and exit.")
    ] = False,
) -> None:
    """Options that belong to `webstack` itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line. A user's mistake becomes one message on stderr and a non-zero exit status.

    With `--json`, every failure is also one JSON object on stdout: a wrong command line and Ctrl-C too.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    errors = Terminal(stderr=True)
    as_json = json_output.JSON_FLAG in given and json_output.is_requested(typer.main.get_command(app), given)

    def report(error: str) -> None:
        if as_json:
            json_output.print_failure(error)

    try:
        app(given)
    except LabError as error:
        errors.print(str(error), style="red", soft_wrap=True)
        report(str(error))
        _exit_now(1)
    except KeyboardInterrupt:
        errors.print("interrupted", style="red")
        report("interrupted")
        _exit_now(EXIT_INTERRUPTED)
    except SystemExit as ended:  # from typer, which has already printed its message
        if ended.code in (None, 0) or isinstance(ended.__context__, BrokenPipeError):
            raise
        if ended.code == EXIT_INTERRUPTED:
            errors.print("interrupted", style="red")
        report("interrupted" if ended.code == EXIT_INTERRUPTED else _usage_error(ended.__context__))
        _exit_now(ended.code if isinstance(ended.code, int) else 1)
    except Exception as error:  # a bug: keep the traceback
        report(f"{type(error).__name__}: {error}")
        raise


def _usage_error(error: BaseException | None) -> str:
    """Typer's own message about a wrong command line."""
    message = getattr(error, "format_message", None)
    return str(message()) if callable(message) else f"ended: {error or 'no reason given'}"


def _exit_now(status: int) -> None:
    """Exits without waiting for threads: a program that the engine has cancelled may still be waiting for hosts in one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
