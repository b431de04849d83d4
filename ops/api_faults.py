"""`webstack lab fault api`: faults of the AWS API."""

from typing import Annotated

import typer

from lab.names import DEFAULT_LAB
from ops.faults import ForOption, inject
from ops.options import JsonOption, LabOption

_HELP = """\
Make the AWS API throttle, be slow, or be down: the whole of it, or one service of it.

It strikes hosts and programs on this machine alike, `webstack lab up`, `stop` and `start` among them. The lab itself reads past it: hosts
go on obeying what the API says, and status, kill and fault work. The metadata service of the hosts is not concerned.
"""

app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None)

ServiceOption = Annotated[
    str, typer.Option("--service", metavar="SERVICE", help="One service: ec2, s3, secretsmanager, sts, … Without it the whole API.")
]


@app.command()
def throttle(
    percent: Annotated[float | None, typer.Option("--percent", help="How many of a hundred calls are refused, by chance.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Refuse what exceeds so many calls a second, of each service.")] = None,
    service: ServiceOption = "",
    seconds: ForOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Refuse calls as AWS does when there are too many; without --percent and --rate half of them.

    Each service says so in its own words: RequestLimitExceeded of EC2 and SlowDown of S3 with status 503, Throttling of IAM, STS and
    Route 53 and ThrottlingException of the others with status 400. A refused call is not done.
    """
    if percent is None and rate is None:
        percent = 50
    limits = {key: value for key, value in (("percent", percent), ("rate", rate)) if value is not None}
    inject(name, {"kind": "api-throttle", "service": service, **limits}, seconds, as_json=as_json)


@app.command()
def slow(
    milliseconds: Annotated[float, typer.Argument(metavar="MILLISECONDS", help="How much later each call is done and answered.")],
    service: ServiceOption = "",
    seconds: ForOption = None,
    as_json: JsonOption = False,
    name: LabOption = DEFAULT_LAB,
) -> None:
    """Let each call wait. One whose caller gives up in the meantime is done all the same, as on AWS."""
    inject(name, {"kind": "api-slow", "service": service, "milliseconds": milliseconds}, seconds, as_json=as_json)


@app.command()
def down(service: ServiceOption = "", seconds: ForOption = None, as_json: JsonOption = False, name: LabOption = DEFAULT_LAB) -> None:
    """Answer no call: the connection is taken, the call is not done, and the connection is closed without a word."""
    inject(name, {"kind": "api-down", "service": service}, seconds, as_json=as_json)
