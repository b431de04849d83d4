"""Declares how a kind of fault appears on the command line. `ops.faults` builds the commands of `webstack lab fault` from it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Annotates a kind's field as a parameter of its command: `Annotated[str, Parameter(metavar="HOST", help="…")]`."""

    help: str
    metavar: str | None = None
    option: str | None = None
    """The option, such as `--read-iops`; None: an argument. For a bool it is a flag that inverts the field's default."""
    as_text: bool = False
    """Whether the command passes the text as typed for the field's validator to parse; otherwise it converts it to the field's type."""


@dataclass(frozen=True, kw_only=True)
class CommandGroup:
    """A group of faults in the command's help."""

    order: int
    """The position of the group in the help."""
    subcommand: str = ""
    """The command whose subcommands they are; their kinds begin with it (`api-down`). Empty: they are subcommands of `lab fault`."""
    help: str = ""
    """The group's help."""


NETWORK = CommandGroup(order=1)
HOSTS = CommandGroup(order=2)
API = CommandGroup(
    order=3,
    subcommand="api",
    help="""\
Make the AWS API throttle, be slow, or be down: the whole of it, or one service of it.

It affects hosts and programs on this machine alike, `webstack lab up`, `stop` and `start` among them. The lab itself bypasses it: hosts
still follow the API's state, and status, kill and fault work. The hosts' metadata service is not affected.
""",
)
