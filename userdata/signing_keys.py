"""The third-party signing keys that hosts trust for packages, each pinned as a file in a role's bundle, and their expiry dates.

A test reads fingerprint and expiry from the files themselves.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A pinned public key."""

    signs: str
    """What is signed with it, for people."""
    path: Path
    fingerprint: str
    expires: date
    """The day (UTC) on which it expires."""
    source: str
    """Where its owner publishes it and its successor."""


MYSQL: Final = SigningKey(
    signs="MySQL's packages",
    path=_ROOT / "database/usr/local/share/webstack/mysql.asc",
    fingerprint="BCA43417C3B485DD128EC6D4B7B3B788A8D3785C",
    expires=date(2027, 10, 23),
    source="https://dev.mysql.com/doc/refman/9.7/en/checking-gpg-signature.html",
)
SESSION_MANAGER: Final = SigningKey(
    signs="Session Manager's agent",
    path=_ROOT / "common/usr/local/share/webstack/amazon-ssm-agent.asc",
    # The same key as in aws/amazon-ecs-ami, files/amazon-ssm-agent.gpg.
    fingerprint="1C5B395CBE5E74E2F1CA21592784DBF388D19D46",
    expires=date(2027, 11, 25),
    source="https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html",
)
SIGNING_KEYS: Final = (MYSQL, SESSION_MANAGER)
