"""The command `webstack-database`, with a subcommand for each of the role's processes."""

import os
import sys

from webstack_host import config

from .variables import DatabaseVariables

USAGE = """usage: webstack-database agent | role-check | accounts | follow-volume | stop
       webstack-database reseed [--discard]"""


def main(arguments: list[str]) -> int:
    """Runs the named subcommand and returns the exit code."""
    if arguments[:1] == ["reseed"] and arguments[1:] in ([], ["--discard"]):
        from . import reseed

        return reseed.main(config.load(DatabaseVariables), discard=bool(arguments[1:]))
    if len(arguments) != 1 or arguments[0] not in {"agent", "role-check", "accounts", "follow-volume", "stop"}:
        print(USAGE, file=sys.stderr)
        return 2
    variables = config.load(DatabaseVariables)
    part = arguments[0]
    if part == "agent":
        from . import agent

        agent.main(variables)
    elif part == "role-check":
        from . import role_check

        role_check.serve(variables.private_address, expects_replica=variables.has_replica)
    elif part == "accounts":
        from . import accounts

        accounts.main(variables)
    elif part == "follow-volume":
        from . import filesystem

        return 0 if filesystem.grow() else 1
    else:
        from . import shutdown

        shutdown.stop(variables, int(os.environ.get("MAINPID", "0")))
    return 0
