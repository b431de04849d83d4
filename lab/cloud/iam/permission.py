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
class RequiredPermission:
    """One action on one resource."""

    action: str
    resource: str = "*"
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Condition keys, in small letters, that only this call or resource has."""
    policy_owner: tuple[Literal["bucket", "secret", "role"], str] | None = None
    """Whose own policy has a say too: a bucket's name, a secret's or a role's ARN."""
    tags_of: str = ""
    """The id of the existing EC2 resource whose tags AWS puts before the policy (`aws:ResourceTag`)."""
    subnet_of: str = ""
    """The id of the existing network interface whose subnet AWS puts before the policy (`ec2:Subnet`)."""
    boundary_of: str = ""
    """The ARN of the existing role whose boundary AWS puts before the policy (`iam:PermissionsBoundary`)."""
    supported_prefixes: tuple[str, ...] = ()
    """Beginnings of further condition keys that this need has, or has not, for certain."""


REQUEST_TAG_KEYS = ("aws:requesttag/", "aws:tagkeys")
"""Keys that are worked out wherever a call's own tags are read."""
SUBNET_KEY = "ec2:subnet"
RESOURCE_TAG_KEYS = ("aws:resourcetag/", "ec2:resourcetag/")


def request_tag_context(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The facts of the tags that a call would put on."""
    found = {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    return {**found, "aws:tagkeys": tuple(sorted(tags))} if tags else {}


def resource_tag_context(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The facts of the tags that a resource has."""
    return {f"{prefix}{key.lower()}": (value,) for key, value in tags.items() for prefix in RESOURCE_TAG_KEYS}
