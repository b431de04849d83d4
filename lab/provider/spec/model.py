"""The form of the facts. Properties are named as on the wire (camelCase); a path in an object has dots, one in a list's items `[]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

ChangeEffect = Literal["none", "update", "replace", "delete first"]
"""What a change takes: nothing, an update in place, a replacement, a replacement that deletes the old one first."""

UNSET: Final = object()
"""Stands for the default of a property that has none."""


class SpecError(ValueError):
    """A line of the data is malformed; the message names the file, the path in it and the rule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One property that a program can set.

    change     what a changed value takes
    when       values of other properties under which a change replaces all the same (`{userDataReplaceOnChange: true}`)
    unless     values of other properties under which a change does not replace
    default    what an absent property means: state that differs is a change
    computed   absent means "as it is" (Optional and Computed)
    document   compared as a policy: the order of keys and lists, and a list of one, mean nothing
    local_only no refresh reads it: it lives in the program and the state alone
    secret     sensitive in the provider's schema
    """

    change: Literal["update", "replace"]
    source: str
    required: bool = False
    when: Mapping[str, object] = field(default_factory=dict[str, object])
    unless: Mapping[str, object] = field(default_factory=dict[str, object])
    default: object = UNSET
    computed: bool = False
    document: bool = False
    local_only: bool = False
    secret: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A computed value. `format` is a template (`text_templates.py`) of the text, or of each item where `list` is true.

    secret: sensitive in the provider's schema
    """

    format: str
    source: str
    list: bool = False
    secret: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Properties that go together or do not: `needs` reads "the first needs the second"."""

    kind: Literal["exactly one", "at least one", "conflict", "needs"]
    of: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoNaming:
    """How the provider names what the program leaves unnamed: the resource's name, a dash and seven hex digits."""

    source: str
    field: str = "name"
    max_length: int = 255
    suffix: bool = True
    lowercase: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A change of several properties, or to another spelling, and what it takes. `before` is the state and the inputs that made it."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    effect: ChangeEffect
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What no table says: order, waits, what a deletion does, what a refresh sees."""

    about: Literal["create", "read", "update", "delete", "check", "order"]
    fact: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class IamActions:
    """What the provider reads of AWS for it, at any time of its life: the IAM actions that the calls need."""

    of: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Inputs that AWS takes, of which a test makes a resource to follow it through its life.

    A text `${folder.Type.output}` stands for an output of the resource that another type's sample makes, `${other folder.Type.output}` for
    one of a second resource of that type, in which `replace` is changed.

    needs     types (`folder.Type`) whose sample has to be there first although no input names it
    update    what changes in place and is seen by a refresh (null: left out); empty where there is no such property
    replace   what replaces when it changes; empty where there is no such property
    remains   a deletion leaves it as it is, for a refresh to find
    """

    inputs: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    update: Mapping[str, Any] = field(default_factory=dict[str, Any])
    replace: Mapping[str, Any] = field(default_factory=dict[str, Any])
    remains: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceSpec:
    """All that is known of a resource type."""

    id: Output
    iam_actions: IamActions
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output] = field(default_factory=dict[str, Output])
    groups: tuple[Group, ...] = ()
    naming: AutoNaming | None = None
    cases: tuple[Case, ...] = ()
    notes: tuple[Note, ...] = ()
    sample: Sample | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSpec:
    """All that is known of a function (invoke)."""

    id: Output
    iam_actions: IamActions
    outputs: Mapping[str, Output] = field(default_factory=dict[str, Output])
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSpec:
    """The facts of one file; `common` holds the inputs that types of every service share."""

    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    common: Mapping[str, Input] = field(default_factory=dict[str, Input])
    types: Mapping[str, ResourceSpec] = field(default_factory=dict[str, ResourceSpec])
    functions: Mapping[str, FunctionSpec] = field(default_factory=dict[str, FunctionSpec])
