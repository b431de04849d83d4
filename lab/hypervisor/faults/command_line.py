"""How a kind of fault appears on the command line: `ops.faults` makes the commands of `webstack lab fault` of it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """In the annotation of a kind's field: the kind's command asks for it. `Annotated[str, Parameter(metavar="HOST", help="…")]`."""

    help: str
    metavar: str | None = None
    option: str | None = None
    """`--read-iops` for instance; None: an argument. That of a bool is a flag: given, the field is the opposite of its default."""
    as_text: bool = False
    """Whether the command hands on what was typed, which the field's validator reads; otherwise it is of the field's type."""


@dataclass(frozen=True, kw_only=True)
class CommandGroup:
    """Kinds of faults that stand together in the command's help."""

    order: int
    """Families are listed by it."""
    subcommand: str = ""
    """The command that has theirs as subcommands; their kinds begin with it (`api-down`). Empty: theirs are `lab fault`'s own."""
    help: str = ""
    """The group's."""


NETWORK = CommandGroup(order=1)
HOSTS = CommandGroup(order=2)
API = CommandGroup(
    order=3,
    subcommand="api",
    help="""\
Make the AWS API throttle, be slow, or be down: the whole of it, or one service of it.

It strikes hosts and programs on this machine alike, `webstack lab up`, `stop` and `start` among them. The lab itself reads past it: hosts
go on obeying what the API says, and status, kill and fault work. The metadata service of the hosts is not concerned.
""",
)
