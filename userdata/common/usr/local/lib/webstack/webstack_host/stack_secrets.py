"""This stack's secrets by staging label, and when to read them. Secrets Manager's labels are the whole state of a rotation.

`AWSCURRENT` is in use, `AWSPENDING` is accepted because it will be used, `AWSPREVIOUS` is still accepted
(https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html). Reading the labels takes a call that
returns no value (DescribeSecret); each version's value is read only once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webstack_host import aws, config

NOTICE_KEY = "secrets/changed"
"""The object that is rewritten whenever labels change: reading it costs a tenth of reading a single secret."""
NOTICE_INTERVAL = 5.0
"""Seconds between two reads of that object."""
RECHECK_INTERVAL = 120.0
"""Seconds between two reads of the secrets themselves without a notice: others than `webstack rotate` may change them."""

Versions = Mapping[str, Sequence[str]]
"""Purpose → version ids: first the one in use, then the others that are accepted."""


@dataclass(frozen=True, kw_only=True)
class StagingLabels:
    """The version id of each of a secret's labels; empty if no version has the label."""

    current: str
    pending: str = ""
    previous: str = ""


def labels(purpose: str) -> StagingLabels:
    """Returns the labels of this stack's secret for a purpose, such as `app-writer`. Raises what the AWS API raises."""
    stages = aws.secrets().describe_secret(SecretId=_name(purpose)).get("VersionIdsToStages", {})

    def at(label: str) -> str:
        return next((version for version, found in stages.items() if label in found), "")

    current, pending = at("AWSCURRENT"), at("AWSPENDING")
    return StagingLabels(current=current, pending="" if pending == current else pending, previous=at("AWSPREVIOUS"))


class SecretCache:
    """Caches the values of versions, only in memory. A version's value never changes."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], str] = {}

    def get(self, purpose: str, version: str) -> str:
        """Returns the value of a version. Raises what the AWS API raises."""
        found = self._values.get((purpose, version))
        if found is None:
            found = aws.secrets().get_secret_value(SecretId=_name(purpose), VersionId=version)["SecretString"]
            self._values[purpose, version] = found
        return found


def current(purpose: str) -> tuple[str, str]:
    """Returns the id and the value of the current version."""
    found = aws.secrets().get_secret_value(SecretId=_name(purpose))
    return found["VersionId"], found["SecretString"]


def record_fact(versions: Versions) -> dict[str, str]:
    """Returns the record's fact about the secrets in use: `app-writer=ID app-session-key=ID,ID`. It contains no value."""
    return {"secrets": " ".join(f"{purpose}={','.join(ids)}" for purpose, ids in sorted(versions.items()))} if versions else {}


class ChangeNotice:
    """Tells when to read the secrets: after a notice, and every `RECHECK_INTERVAL` seconds. A failed read is due again."""

    def __init__(self) -> None:
        self._known: bytes | None = None
        self._next = float("-inf")
        self._found: bytes | None = None

    def is_new(self) -> bool:
        """Whether there was a notice since the last completed read. False if it cannot be read."""
        try:
            self._found = aws.fetch_object(NOTICE_KEY)
        except Exception:  # the object is missing before the first notice; or S3 does not answer
            return False
        return self._found != self._known

    def due(self, now: float) -> bool:
        """Whether it is time to read the secrets even without a notice."""
        return now >= self._next

    def mark_done(self, now: float) -> None:
        """Records a completed read."""
        self._known, self._next = self._found, now + RECHECK_INTERVAL


def _name(purpose: str) -> str:
    return f"{config.load_common().secret_prefix}/{purpose}"
