"""What a scanner said, in one form for all scanners."""

from dataclasses import dataclass
from typing import Final

from lab.errors import LabError

ACCOUNT: Final = "account"
"""The resource of a finding that is about the account as a whole."""


REPOSITORY_SCOPE: Final = "repository"
"""What stands for the stack of a finding that is about the clone itself: its code, its text, its locks."""


class AuditError(LabError):
    """A scanner is missing, did not run, or said what cannot be read; or the reviewed file is not of its form."""


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One thing that a scanner does not like, or that it could not look at."""

    scanner: str
    check: str
    """The scanner's own name for what it looked at; `could-not-run:WHAT` where it could not look."""
    stack: str
    """Which stack; `repository` where it is about the clone."""
    resource: str
    """Which resource or place, by a name that is the same at the next run and in every stack; `account` for the account."""
    severity: str = ""
    detail: str = ""
    """What the scanner said of it."""
