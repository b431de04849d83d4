"""The permissions that a call needs, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lab.cloud.calls import Call


class UnknownCallError(Exception):
    """The lab does not know which permissions a call needs, so it cannot be authorized."""

    def __init__(self, call: Call) -> None:
        super().__init__(f"{call.service}:{call.action}")


@dataclass(frozen=True, kw_only=True)
class RequiredPermission:
    """One action on one resource."""

    action: str
    resource: str = "*"
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The condition keys, in lower case, that are specific to this call or resource."""
    policy_owner: tuple[Literal["bucket", "secret", "role"], str] | None = None
    """The resource whose own policy also applies: a bucket's name, or a secret's or role's ARN."""
    tags_of: str = ""
    """The id of the existing EC2 resource whose tags are in the context (`aws:ResourceTag`)."""
    subnet_of: str = ""
    """The id of the existing network interface whose subnet is in the context (`ec2:Subnet`)."""
    boundary_of: str = ""
    """The ARN of the existing role whose boundary is in the context (`iam:PermissionsBoundary`)."""
    supported_prefixes: tuple[str, ...] = ()
    """Prefixes of further condition keys that are fully known for this permission: one without a value is certainly absent."""


REQUEST_TAG_KEYS = ("aws:requesttag/", "aws:tagkeys")
"""Prefixes of the keys that are fully known whenever a call's own tags are read."""
SUBNET_KEY = "ec2:subnet"
RESOURCE_TAG_KEYS = ("aws:resourcetag/", "ec2:resourcetag/")


def request_tag_context(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Returns the condition keys for the tags in a call."""
    found = {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    return {**found, "aws:tagkeys": tuple(sorted(tags))} if tags else {}


def resource_tag_context(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Returns the condition keys for a resource's tags."""
    return {f"{prefix}{key.lower()}": (value,) for key, value in tags.items() for prefix in RESOURCE_TAG_KEYS}
