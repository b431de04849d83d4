"""The form of the facts. Properties are named as on the wire (camelCase); a path in an object has dots, one in a list's items `[]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

Verdict = Literal["none", "update", "replace", "delete first"]
"""What a change takes: nothing, an update in place, a replacement, a replacement that deletes the old one first."""

NOTHING: Final = object()
"""Stands for the default of a property that has none."""


class FactsError(ValueError):
    """A line of the data is malformed; the message names the file, the path in it and the rule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One property that a program can set.

    change     what a changed value takes
    when       values of other properties under which a change replaces all the same (`{userDataReplaceOnChange: true}`)
    unless     values of other properties under which a change does not replace
    default    what an absent property means: state that differs is a change
    kept       absent means "as it is" (Optional and Computed)
    document   compared as a policy: the order of keys and lists, and a list of one, mean nothing
    unread     no refresh reads it: it lives in the program and the state alone
    secret     sensitive in the provider's schema
    """

    change: Literal["update", "replace"]
    source: str
    required: bool = False
    when: Mapping[str, object] = field(default_factory=dict[str, object])
    unless: Mapping[str, object] = field(default_factory=dict[str, object])
    default: object = NOTHING
    kept: bool = False
    document: bool = False
    unread: bool = False
    secret: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A computed value. `format` is a template (`formats.py`) of the text, or of each item where `list` is true."""

    format: str
    source: str
    list: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Properties that go together or do not: `needs` reads "the first needs the second"."""

    kind: Literal["exactly one", "at least one", "conflict", "needs"]
    of: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How the provider names what the program leaves unnamed: the resource's name, a dash and seven hex digits."""

    field: str = "name"
    longest: int = 255
    prefix: str = ""
    suffix: bool = True
    lower: bool = False


@dataclass(frozen=True, kw_only=True)
class NamingFact(Naming):
    """A naming with the place it was read in."""

    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A change of several properties, or to another spelling, and what it takes. `before` is the state and the inputs that made it."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    verdict: Verdict
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What no table says: order, waits, what a deletion does, what a refresh sees."""

    about: Literal["create", "read", "update", "delete", "check", "order"]
    fact: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Asks:
    """What the provider reads of AWS for it, at any time of its life: the IAM actions that the calls need."""

    of: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteFirst:
    """A replacement of this type deletes the old one first, however it is named."""

    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeFacts:
    """All that is known of a resource type."""

    id: Output
    asks: Asks
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output] = field(default_factory=dict[str, Output])
    groups: tuple[Group, ...] = ()
    naming: NamingFact | None = None
    delete_first: DeleteFirst | None = None
    cases: tuple[Case, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionFacts:
    """All that is known of a function (invoke)."""

    id: Output
    asks: Asks
    outputs: Mapping[str, Output] = field(default_factory=dict[str, Output])
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Conformance:
    """The facts of all files; `common` holds the inputs that many types share."""

    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    common: Mapping[str, Input] = field(default_factory=dict[str, Input])
    types: Mapping[str, TypeFacts] = field(default_factory=dict[str, TypeFacts])
    functions: Mapping[str, FunctionFacts] = field(default_factory=dict[str, FunctionFacts])

    def with_more(self, other: Conformance, name: str) -> Conformance:
        """Both together. Raises FactsError where both speak of the same thing. `name`: the file of the other one."""
        merged: dict[str, dict[str, Any]] = {}
        for part in fields(self):
            ours, theirs = getattr(self, part.name), getattr(other, part.name)
            for twice in sorted(ours.keys() & theirs.keys()):
                raise FactsError(f"{name}: {part.name}.{twice} stands in another file already; say it in one place")
            merged[part.name] = {**ours, **theirs}
        return Conformance(**merged)
