"""The context of one request: the values of condition keys and policy variables, from the request and its principal.

A key has values, or is absent from the request as on AWS, or is not supported by the lab. An unsupported key must neither allow a call nor
protect it from a Deny, so it is distinguished from an absent one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SUPPORTED_KEYS = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:federatedprovider",
        "aws:multifactorauthage",
        "aws:multifactorauthpresent",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalservicename",
        "aws:principaltype",
        "aws:referer",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:useragent",
        "aws:userid",
        "aws:username",
        "aws:viaawsservice",
        "ec2:sourceinstancearn",
        "ec2:createaction",
        "iam:passedtoservice",
        "route53:changeresourcerecordsetsactions",
        "route53:changeresourcerecordsetsnormalizedrecordnames",
        "route53:changeresourcerecordsetsrecordtypes",
        "s3:delimiter",
        "s3:if-match",
        "s3:if-none-match",
        "s3:max-keys",
        "s3:prefix",
        "s3:versionid",
        "s3:x-amz-acl",
        "s3:x-amz-copy-source",
        "s3:x-amz-server-side-encryption",
        "secretsmanager:secretid",
        "secretsmanager:versionid",
        "secretsmanager:versionstage",
    }
)
"""Supported keys, in lower case: `RequestContext.values` has those that a request has; the others are absent."""

_SUPPORTED_PREFIXES = ("aws:principaltag/",)


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A role's session, or anonymous (an unsigned call)."""

    account: str = ""
    role_arn: str = ""
    session_arn: str = ""
    user_id: str = ""
    """`<role's unique id>:<session name>`; the session name is the instance id if EC2 made the session."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """The role's tags."""

    @property
    def anonymous(self) -> bool:
        """Whether the call is unsigned."""
        return not self.session_arn


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """Values by condition key, in lower case (keys are case-insensitive)."""

    values: Mapping[str, tuple[str, ...]]
    supported_keys: Iterable[str] = SUPPORTED_KEYS
    supported_prefixes: tuple[str, ...] = ()
    """Prefixes of further supported keys."""

    def get(self, key: str) -> tuple[str, ...] | None:
        """Returns the key's values; empty if the request does not have it; None if the lab does not support it."""
        name = key.lower()
        found = self.values.get(name)
        if found is not None:
            return found
        return () if name in self.supported_keys or name.startswith(_SUPPORTED_PREFIXES + self.supported_prefixes) else None
