"""What is known of one request and of who makes it: the values behind condition keys and policy variables.

Three cases differ: a key with values, a key that this request does not have (AWS says so), and a key that the lab does not work out. The
last must neither let a call pass nor spare it from a Deny, so it is told apart from the second.
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
"""Keys, in small letters, that a request has or has not; `Facts.values` tells which."""

_SUPPORTED_PREFIXES = ("aws:principaltag/",)


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A session of a role, or nobody (an unsigned call)."""

    account: str = ""
    role_arn: str = ""
    session_arn: str = ""
    user_id: str = ""
    """`<role's unique id>:<session name>`; the session name is the instance id where EC2 made the session."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """The role's tags."""

    @property
    def anonymous(self) -> bool:
        """Whether it is nobody."""
        return not self.session_arn


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """Values by condition key, in small letters (AWS does not mind the case of keys)."""

    values: Mapping[str, tuple[str, ...]]
    supported_keys: Iterable[str] = SUPPORTED_KEYS
    supported_prefixes: tuple[str, ...] = ()
    """Of further keys that are worked out."""

    def get(self, key: str) -> tuple[str, ...] | None:
        """The key's values; empty where the request does not have it; None where the lab does not work it out."""
        name = key.lower()
        found = self.values.get(name)
        if found is not None:
            return found
        return () if name in self.supported_keys or name.startswith(_SUPPORTED_PREFIXES + self.supported_prefixes) else None
