"""The form in which a call's needs are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lab.cloud.calls import Call


class UnknownCallError(Exception):
    """The lab does not know what a call needs, so it cannot be judged."""

    def __init__(self, call: Call) -> None:
        super().__init__(f"{call.service}:{call.action}")


@dataclass(frozen=True, kw_only=True)
class Need:
    """One action on one resource."""

    action: str
    resource: str = "*"
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Condition keys, in small letters, that only this call or resource has."""
    owner: tuple[Literal["bucket", "secret", "role"], str] | None = None
    """Whose own policy has a say too: a bucket's name, a secret's or a role's ARN."""
