"""The reviewed file: which findings are known, why each of them stays, and whether what it says still holds."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from audit.findings import AuditError, Finding

FILE: Final = Path(__file__).with_name("baseline.yaml")

Pattern = Annotated[str, Field(min_length=1)]


class BaselineEntry(BaseModel):
    """Findings that were looked at together, and why they stay. Patterns are those of file names (`*`, `?`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Literal["stack", "account", "emulator", "repository"]
    """`stack`: true, and accepted; `account`: the account's, not the stack's; `emulator`: not so on AWS, or not to be seen here;
    `repository`: about the clone, and accepted."""
    scanner: Literal["prowler", "parliament", "cloudsplaining", "bandit", "detect-secrets", "pip-audit"]
    checks: tuple[Pattern, ...] = Field(min_length=1)
    resources: tuple[Pattern, ...] = ("*",)
    stacks: tuple[Pattern, ...] = ("*",)
    reason: str = Field(min_length=20)

    def matches(self, finding: Finding) -> bool:
        """Whether the finding is one of these."""
        return (
            finding.scanner == self.scanner
            and _matches(finding.check, self.checks)
            and _matches(finding.resource, self.resources)
            and _matches(finding.stack, self.stacks)
        )


@dataclass(frozen=True, kw_only=True)
class ClassifiedFinding:
    """A finding and the entry that knows it; None where it is new."""

    finding: Finding
    entry: BaselineEntry | None


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """All findings, judged, and what the reviewed file says in vain."""

    classified: Sequence[ClassifiedFinding]
    stale: Sequence[str]

    @property
    def new(self) -> list[Finding]:
        """Findings that no entry knows."""
        return [one.finding for one in self.classified if one.entry is None]

    @property
    def passed(self) -> bool:
        """Whether nothing is new and nothing is in vain."""
        return not self.new and not self.stale


def load(path: Path = FILE) -> list[BaselineEntry]:
    """The entries of the reviewed file. Raises AuditError, which names every mistake."""
    try:
        return TypeAdapter(list[BaselineEntry]).validate_python(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise AuditError(f"{path.name} is not YAML: {error}") from error
    except ValidationError as error:
        mistakes = [f"  entry {'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        raise AuditError(f"{path.name} has mistakes:\n" + "\n".join(mistakes)) from error


def classify(
    findings: Iterable[Finding], entries: Sequence[BaselineEntry], *, complete: bool = True, unavailable: Container[str] = ()
) -> AuditResult:
    """Holds findings against the entries.

    Only a `complete` audit can say that an entry matches nothing, and not for a scanner that is `unavailable`.
    """
    judged: list[ClassifiedFinding] = []
    used: set[tuple[int, str, str]] = set()
    for finding in sorted(findings):
        covering = [number for number, entry in enumerate(entries) if entry.matches(finding)]
        for number in covering:
            used.update(_parts_used(number, entries[number], finding))
        judged.append(ClassifiedFinding(finding=finding, entry=entries[covering[0]] if covering else None))
    in_vain = [
        f"{entry.scanner}, {', '.join(entry.checks)}: the {part} {pattern!r} matches no finding any more; take it out"
        for number, entry in enumerate(entries)
        for part, pattern in _parts(entry)
        if (number, part, pattern) not in used and entry.scanner not in unavailable
    ]
    return AuditResult(classified=judged, stale=in_vain if complete else [])


def _parts(entry: BaselineEntry) -> list[tuple[str, str]]:
    patterns = {"check": entry.checks, "resource": entry.resources, "stack": entry.stacks}
    return [(part, pattern) for part, of_part in patterns.items() for pattern in of_part]


def _parts_used(number: int, entry: BaselineEntry, finding: Finding) -> Iterable[tuple[int, str, str]]:
    texts = {"check": finding.check, "resource": finding.resource, "stack": finding.stack}
    return [(number, part, pattern) for part, pattern in _parts(entry) if fnmatchcase(texts[part], pattern)]


def _matches(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
