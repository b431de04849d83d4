"""What went wrong, said so that its reader knows what to do: never a traceback for a user's mistake."""

import re
from collections.abc import Sequence

from lab.errors import LabError

_NOISE = (
    re.compile(r"^Program failed with an unhandled exception"),
    re.compile(r"^(update|preview|destroy|refresh) failed$"),
    re.compile(r"^resource registration failed"),
)
_REPEATED_PREFIX = re.compile(r"^(error: )?(an unhandled error occurred|Exception calling application): ")
"""The Automation API says an inline program's own error a second time, behind the first words, and gRPC a callback's behind the others."""

_INVOKE = re.compile(r"^Exception: (invoke of \S+) failed: invocation of \S+ returned an error: (.+)\Z", re.DOTALL | re.MULTILINE)
"""What an inline program's traceback ends with where the API did not answer what the program asked: no line of the program is to blame."""

_ESCAPES = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")


EXIT_INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it (128 + SIGINT)."""


class UserError(LabError):
    """Something the user can put right; the message says what was given, which rule it breaks and what to do."""


def clean_messages(failures: Sequence[str]) -> list[str]:
    """The engine's error messages without its colour codes, the repeats and the lines that only say that something failed."""
    kept: list[str] = []
    for failure in failures:
        text = _REPEATED_PREFIX.sub("", _ESCAPES.sub("", failure).strip()).removeprefix("error: ")
        match = _INVOKE.search(text)
        if match is not None:
            text = f"{match[1].strip()}: {match[2].strip()}"
        if not text or any(pattern.match(text) and "\n" not in text for pattern in _NOISE):
            continue
        if not any(text in other for other in kept):
            kept.append(text)
    return kept
