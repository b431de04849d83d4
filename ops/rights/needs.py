"""The lines that policies are made of: an action, the resource, and what the request must show."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml

FOLDER: Final = Path(__file__).parent
NEEDED: Final = FOLDER / "needed.yaml"
UNSEEN: Final = FOLDER / "unseen.yaml"

Under = Literal["", "new", "made", "own", "not-others", "untagged", "bounded", "ec2", "vpc-flow-logs", "records"]
"""The condition:

`new`            what is made bears the stack's tags, `aws:RequestTag`
`made`           tags are put on by the call that makes the thing, `ec2:CreateAction`, and are the stack's
`own`            the thing bears the stack's tags, `aws:ResourceTag`, and gets no other stack's
`not-others`     the thing bears no other stack's tags, where it bears any
`untagged`       it bears no project's tags and gets the stack's
`bounded`        the role has, or gets, the stack's permissions boundary, where there is one
`ec2`, `vpc-flow-logs`   the service that a role is passed on to
`records`        names of the stack's own zone
"""

Who = Literal["up", "preview"]


@dataclass(frozen=True, order=True, kw_only=True)
class Line:
    """One line. `on` is an ARN's end for EC2 (`vpc/*`), else an ARN; `{partition}`, `{region}`, `{account}` and `{stack}` stand in it."""

    action: str
    on: str = "*"
    under: Under = ""


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """A line that no life in the lab shows, and where it is from."""

    line: Line
    who: Who
    source: str


def needed(who: Who) -> tuple[Line, ...]:
    """What a life asks."""
    return tuple(_line(one) for one in _load(NEEDED)[who])


def unseen(who: Who) -> tuple[Unseen, ...]:
    """What is asked beside it. A deployer previews too."""
    rows: list[Unseen] = []
    for source, by_who in _load(UNSEEN).items():
        for one in cast("Mapping[Who, list[dict[str, Any]]]", by_who).get(who, []):
            rows.append(Unseen(line=_line(one), who=who, source=source))
    return tuple(rows)


def write(lines: Mapping[Who, Iterable[Line]]) -> None:
    """Writes what lives asked."""
    text = (
        "# Written by tests/aws/test_deployer.py (WEBSTACK_RECORD_RIGHTS=1): what the engine, the provider and the program asked of AWS.\n"
    )
    for who, found in lines.items():
        text += f"{who}:\n"
        for line in sorted(set(found)):
            more = "".join(
                f", {key}: {_quoted(value)}" for key, value in (("resource", line.on), ("under", line.under)) if value not in ("", "*")
            )
            text += f"  - {{action: {_quoted(line.action)}{more}}}\n"
    NEEDED.write_text(text)


def _quoted(value: str) -> str:
    return f'"{value}"'


def _line(given: Mapping[str, Any]) -> Line:
    return Line(action=given["action"], on=given.get("resource", "*"), under=given.get("under", ""))


def _load(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(path.read_text()))
