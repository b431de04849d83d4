"""What a command came to, for programs: one JSON object on stdout, whether it went well or not.

Commands print what was done; errors are printed in one place, `ops.cli.main`, whichever command they end.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

JSON_FLAG = "--json"


def is_requested(command: Any, arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, even one that is not understood. `command`: the root of typer's commands.

    What stands behind `--` is another program's, as are the options of a command that hands on those it does not know.
    """
    own = list(arguments[: arguments.index("--")]) if "--" in arguments else list(arguments)
    for word in own:
        command = getattr(command, "commands", {}).get(word, command)
    return JSON_FLAG in own and not command.context_settings.get("ignore_unknown_options", False)


def print_failure(error: str) -> None:
    """Prints what went wrong; people get it on stderr besides, and the status is not zero."""
    print(json.dumps({"ok": False, "error": error}, indent=2))


def print_success(result: Mapping[str, object]) -> None:
    """Prints what was done."""
    print(json.dumps({"ok": True, **result}, indent=2))
