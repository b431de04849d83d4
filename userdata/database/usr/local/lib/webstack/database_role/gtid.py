"""Sets of global transaction identifiers (GTIDs) in MySQL's notation, with the set operations that decisions need. Pure.

A set is written `source:1-5:7,source:tag:1-3`; a source is a server's UUID, a tag (since MySQL 8.3) names a group within it and holds for
the intervals that follow it. Intervals here are half open, so that neighbours join and differences need no special case.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Interval = tuple[int, int]
"""An interval's first number, and the first number after it."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TAG = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_NUMBERS = re.compile(r"([1-9][0-9]*)(?:-([1-9][0-9]*))?")


@dataclass(frozen=True)
class GtidSet:
    """A set of transactions: for each (source UUID, tag) its intervals, sorted and disjoint."""

    intervals: Mapping[tuple[str, str], tuple[Interval, ...]] = field(default_factory=dict[tuple[str, str], tuple[Interval, ...]])

    @classmethod
    def parse(cls, text: str) -> "GtidSet":
        """Parses MySQL's notation; line breaks and spaces are ignored. Raises ValueError, which names the invalid part."""
        found: dict[tuple[str, str], list[Interval]] = {}
        for entry in filter(None, ("".join(part.split()).lower() for part in text.split(","))):
            source, *rest = entry.split(":")
            if not _UUID.fullmatch(source):
                raise ValueError(f"not a set of transactions: {entry!r} does not begin with a server's UUID")
            tag = ""
            for part in rest:
                numbers = _NUMBERS.fullmatch(part)
                if numbers:
                    first = int(numbers[1])
                    found.setdefault((source, tag), []).append((first, int(numbers[2] or first) + 1))
                elif _TAG.fullmatch(part):
                    tag = part
                else:
                    raise ValueError(f"not a set of transactions: {part!r} in {entry!r} is neither numbers nor a tag")
        return cls(_normal(found))

    def __or__(self, other: "GtidSet") -> "GtidSet":
        """The union."""
        keys = {*self.intervals, *other.intervals}
        return GtidSet(_normal({key: (*self.intervals.get(key, ()), *other.intervals.get(key, ())) for key in keys}))

    def __sub__(self, other: "GtidSet") -> "GtidSet":
        """The difference, like MySQL's GTID_SUBTRACT(self, other)."""
        return GtidSet(_normal({key: _without(parts, other.intervals.get(key, ())) for key, parts in self.intervals.items()}))

    def __le__(self, other: "GtidSet") -> bool:
        """Whether this is a subset of the other."""
        return not self - other

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def count(self) -> int:
        """Returns the number of transactions in it."""
        return sum(end - first for parts in self.intervals.values() for first, end in parts)

    def sources(self) -> frozenset[str]:
        """Returns the UUIDs of the servers on which its transactions were made."""
        return frozenset(source for source, _ in self.intervals)

    def without_source(self, source: str) -> "GtidSet":
        """Returns the set without the transactions made on the server `source`."""
        return GtidSet({key: parts for key, parts in self.intervals.items() if key[0] != source.lower()})

    def __str__(self) -> str:
        return ",".join(
            ":".join((source, *((tag,) if tag else ()), *(f"{first}-{end - 1}" if end - first > 1 else str(first) for first, end in parts)))
            for (source, tag), parts in sorted(self.intervals.items())
        )


EMPTY = GtidSet()


def _normal(found: Mapping[tuple[str, str], Iterable[Interval]]) -> dict[tuple[str, str], tuple[Interval, ...]]:
    joined = {key: _joined(parts) for key, parts in found.items()}
    return {key: joined[key] for key in sorted(joined) if joined[key]}


def _joined(parts: Iterable[Interval]) -> tuple[Interval, ...]:
    result: list[Interval] = []
    for first, end in sorted(part for part in parts if part[0] < part[1]):
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((first, end))
    return tuple(result)


def _without(parts: Iterable[Interval], taken: Iterable[Interval]) -> list[Interval]:
    left = list(parts)
    for first, end in taken:
        left = [piece for a, b in left for piece in ((a, min(b, first)), (max(a, end), b)) if piece[0] < piece[1]]
    return left
