"""This stack's secrets by Secrets Manager's own labels, which are the whole state of a rotation, and when to look at them.

`AWSCURRENT` is what is used, `AWSPENDING` what is to be accepted because it will be used, `AWSPREVIOUS` what is still accepted
(https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html). To look costs a call that tells no
value (DescribeSecret); a value is asked for by its version, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webstack_host import aws, config

NOTICE_KEY = "secrets/changed"
"""The object that whoever changes labels writes anew: to read it costs a tenth of a look at a single secret."""
NOTICE_INTERVAL = 5.0
"""Seconds between two looks at that object."""
RECHECK_INTERVAL = 120.0
"""Seconds between two looks at the secrets themselves where nobody gives notice: others than `webstack rotate` may change them."""

Versions = Mapping[str, Sequence[str]]
"""Purpose → ids of versions: the one in use first, then those that are accepted besides."""


@dataclass(frozen=True, kw_only=True)
class StagingLabels:
    """Which version of a secret bears which label; empty where none does."""

    current: str
    pending: str = ""
    previous: str = ""


def labels(purpose: str) -> StagingLabels:
    """The labels of this stack's secret for a purpose, as app-writer. Raises what the AWS API raises."""
    stages = aws.secrets().describe_secret(SecretId=_name(purpose)).get("VersionIdsToStages", {})

    def at(label: str) -> str:
        return next((version for version, found in stages.items() if label in found), "")

    current, pending = at("AWSCURRENT"), at("AWSPENDING")
    return StagingLabels(current=current, pending="" if pending == current else pending, previous=at("AWSPREVIOUS"))


class SecretCache:
    """The values of versions, each asked for once and kept in memory alone. A version never changes its value."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], str] = {}

    def get(self, purpose: str, version: str) -> str:
        """The value of a version. Raises what the AWS API raises."""
        found = self._values.get((purpose, version))
        if found is None:
            found = aws.secrets().get_secret_value(SecretId=_name(purpose), VersionId=version)["SecretString"]
            self._values[purpose, version] = found
        return found


def current(purpose: str) -> tuple[str, str]:
    """Version and value of what is used now."""
    found = aws.secrets().get_secret_value(SecretId=_name(purpose))
    return found["VersionId"], found["SecretString"]


def record_fact(versions: Versions) -> dict[str, str]:
    """What a host's record tells of the secrets that it uses: `app-writer=ID app-session-key=ID,ID`. No value is in it."""
    return {"secrets": " ".join(f"{purpose}={','.join(ids)}" for purpose, ids in sorted(versions.items()))} if versions else {}


class ChangeNotice:
    """When to look at the secrets: when somebody has given notice, and every `RECHECK_INTERVAL` seconds. What failed is due again then."""

    def __init__(self) -> None:
        self._known: bytes | None = None
        self._next = float("-inf")
        self._found: bytes | None = None

    def is_new(self) -> bool:
        """Whether somebody has given notice since the last look that was done. Without an answer nobody has."""
        try:
            self._found = aws.fetch_object(NOTICE_KEY)
        except Exception:  # not there, as long as nobody ever gave any; or no answer
            return False
        return self._found != self._known

    def due(self, now: float) -> bool:
        """Whether it is time to look although nobody has given notice."""
        return now >= self._next

    def mark_done(self, now: float) -> None:
        """Notes that a look came to its end."""
        self._known, self._next = self._found, now + RECHECK_INTERVAL


def _name(purpose: str) -> str:
    return f"{config.load_common().secret_prefix}/{purpose}"
