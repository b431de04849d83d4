"""This stack's secrets by Secrets Manager's own labels, which are the whole state of a rotation, and when to look at them.

`AWSCURRENT` is what is used, `AWSPENDING` what is to be accepted because it will be used, `AWSPREVIOUS` what is still accepted
(https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html). To look costs a call that tells no
value (DescribeSecret); a value is asked for by its version, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webstack_host import aws, config

NOTICE = "secrets/changed"
"""The object that whoever changes labels writes anew: to read it costs a tenth of a look at a single secret."""
LISTEN = 5.0
"""Seconds between two looks at that object."""
AGAIN = 120.0
"""Seconds between two looks at the secrets themselves where nobody gives notice: others than `webstack rotate` may change them."""

Versions = Mapping[str, Sequence[str]]
"""Purpose → ids of versions: the one in use first, then those that are accepted besides."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Which version of a secret bears which label; empty where none does."""

    current: str
    pending: str = ""
    previous: str = ""


def labels(purpose: str) -> Labels:
    """The labels of this stack's secret for a purpose, as app-writer. Raises what the AWS API raises."""
    stages = aws.secrets().describe_secret(SecretId=_name(purpose)).get("VersionIdsToStages", {})

    def at(label: str) -> str:
        return next((version for version, found in stages.items() if label in found), "")

    current, pending = at("AWSCURRENT"), at("AWSPENDING")
    return Labels(current=current, pending="" if pending == current else pending, previous=at("AWSPREVIOUS"))


class Values:
    """The values of versions, each asked for once and kept in memory alone. A version never changes its value."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def of(self, purpose: str, version: str) -> str:
        """The value of a version. Raises what the AWS API raises."""
        found = self._known.get((purpose, version))
        if found is None:
            found = aws.secrets().get_secret_value(SecretId=_name(purpose), VersionId=version)["SecretString"]
            self._known[purpose, version] = found
        return found


def current(purpose: str) -> tuple[str, str]:
    """Version and value of what is used now."""
    found = aws.secrets().get_secret_value(SecretId=_name(purpose))
    return found["VersionId"], found["SecretString"]


def fact(versions: Versions) -> dict[str, str]:
    """What a host's record tells of the secrets that it uses: `app-writer=ID app-session-key=ID,ID`. No value is in it."""
    return {"secrets": " ".join(f"{purpose}={','.join(ids)}" for purpose, ids in sorted(versions.items()))} if versions else {}


class Notice:
    """When to look at the secrets: when somebody has given notice, and every `AGAIN` seconds. What failed is due again at the next time."""

    def __init__(self) -> None:
        self._known: bytes | None = None
        self._next = float("-inf")
        self._found: bytes | None = None

    def given(self) -> bool:
        """Whether somebody has given notice since the last look that was done. Without an answer nobody has."""
        try:
            self._found = aws.fetch_object(NOTICE)
        except Exception:  # not there, as long as nobody ever gave any; or no answer
            return False
        return self._found != self._known

    def due(self, now: float) -> bool:
        """Whether it is time to look although nobody has given notice."""
        return now >= self._next

    def done(self, now: float) -> None:
        """Notes that a look came to its end."""
        self._known, self._next = self._found, now + AGAIN


def _name(purpose: str) -> str:
    return f"{config.load().secret_prefix}/{purpose}"
