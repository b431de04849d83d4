"""Mistakes in the configuration, gathered and shown all at once, without a traceback."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

UNSET = object()
"""The value of a key that was not given at all."""

REDACTED = object()
"""A value that must not be shown."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake: where it stands, what was given, which rule that breaks and what to do."""

    key: str
    value: object
    rule: str
    remedy: str

    def __str__(self) -> str:
        """Three lines, as a person reads them."""
        return f"  {self.key} = {_format_value(self.value)}\n    rule:   {self.rule}\n    remedy: {self.remedy}"


class ConfigurationError(pulumi.RunError):
    """All mistakes of a stack's configuration. The engine shows its text alone."""

    def __init__(self, problems: Sequence[Problem], *, effect: str = "nothing was changed") -> None:
        count = "a mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"the configuration has {count}; {effect}\n\n" + "\n\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def _format_value(value: object) -> str:
    if value is UNSET:
        return "(not set)"
    if value is REDACTED:
        return "[secret]"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
