"""The lines that policies are made of: an action, the resource, and what the request must show."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml

FOLDER: Final = Path(__file__).parent
OBSERVED_FILE: Final = FOLDER / "observed.yaml"
UNOBSERVED_FILE: Final = FOLDER / "unobserved.yaml"

ConditionKind = Literal["", "new", "made", "own", "not-others", "untagged", "bounded", "ec2", "vpc-flow-logs", "records"]
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

DeployerKind = Literal["up", "preview"]


@dataclass(frozen=True, order=True, kw_only=True)
class DeployerPermission:
    """One line. `resource`: an ARN's end for EC2 (`vpc/*`), else an ARN, with `{partition}`, `{region}`, `{account}` and `{stack}`."""

    action: str
    resource: str = "*"
    condition: ConditionKind = ""


@dataclass(frozen=True, kw_only=True)
class UnobservedPermission:
    """A line that no life in the lab shows, and where it is from."""

    permission: DeployerPermission
    kind: DeployerKind
    source: str


def observed_permissions(kind: DeployerKind) -> tuple[DeployerPermission, ...]:
    """What a life asks."""
    return tuple(_parse(one) for one in _load(OBSERVED_FILE)[kind])


def unobserved_permissions(kind: DeployerKind) -> tuple[UnobservedPermission, ...]:
    """What is asked beside it. A deployer previews too."""
    rows: list[UnobservedPermission] = []
    for source, by_who in _load(UNOBSERVED_FILE).items():
        for one in cast("Mapping[DeployerKind, list[dict[str, Any]]]", by_who).get(kind, []):
            rows.append(UnobservedPermission(permission=_parse(one), kind=kind, source=source))
    return tuple(rows)


def write_observed(permissions: Mapping[DeployerKind, Iterable[DeployerPermission]]) -> None:
    """Writes what lives asked."""
    text = (
        "# Written by tests/aws/test_deployer.py (WEBSTACK_RECORD_RIGHTS=1): what the engine, the provider and the program asked of AWS.\n"
    )
    for who, found in permissions.items():
        text += f"{who}:\n"
        for line in sorted(set(found)):
            more = "".join(
                f", {key}: {_quoted(value)}"
                for key, value in (("resource", line.resource), ("under", line.condition))
                if value not in ("", "*")
            )
            text += f"  - {{action: {_quoted(line.action)}{more}}}\n"
    OBSERVED_FILE.write_text(text)


def _quoted(value: str) -> str:
    return f'"{value}"'


def _parse(given: Mapping[str, Any]) -> DeployerPermission:
    return DeployerPermission(action=given["action"], resource=given.get("resource", "*"), condition=given.get("under", ""))


def _load(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(path.read_text()))
