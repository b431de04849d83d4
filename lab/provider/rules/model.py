"""The form of a type's rules, and the order in which to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from lab.provider.spec.model import AutoNaming

Validator = Callable[[Any], str | None]
"""A value's rule: None, or the sentence that says what is wrong."""

ReplaceIf = Callable[[Mapping[str, Any], Mapping[str, Any], frozenset[str]], frozenset[str]]
"""Further paths that replace: from the state, the wanted inputs and the changed properties."""


@dataclass(frozen=True)
class Violation:
    """One refused property: its wire path (`tags.Name`, `rules[0].days`) and the rule it breaks."""

    path: str
    message: str


@dataclass(frozen=True, kw_only=True)
class TypeRules:
    """What the AWS provider knows of a type beyond the SDK's signatures.

    force_new     paths (no indexes) whose change replaces; a path covers what lies under it
    defaults      what an absent property means: state that differs is a change (`outer.inner`: of an object that is given)
    computed      optional properties that AWS fills in: absent means "as it is" (`outer.inner`, `outer[].inner`: inside one)
    json_documents  properties compared as JSON documents
    normalizers   properties of several spellings, and what gives the one by which they are compared and kept in the state
    unsupported   properties of the real provider that this one does not support: rejected with an error
    local_only    properties that live only in the program and the state, never in AWS
    replace_if    further paths that replace, from the state, the news and the changed paths
    validate_change  why the provider rejects the change in the plan already, from the state and the news; None where it does not
    """

    force_new: frozenset[str] = frozenset()
    exactly_one: tuple[tuple[str, ...], ...] = ()
    at_least_one: tuple[tuple[str, ...], ...] = ()
    conflicts: tuple[tuple[str, ...], ...] = ()
    requires: Mapping[str, str] = field(default_factory=dict[str, str])
    checks: Mapping[str, Validator] = field(default_factory=dict[str, Validator])
    unsupported: frozenset[str] = frozenset()
    cross_check: Callable[[dict[str, Any]], Iterable[Violation]] | None = None
    naming: AutoNaming | None = None
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    computed: frozenset[str] = frozenset()
    json_documents: frozenset[str] = frozenset()
    normalizers: Mapping[str, Callable[[str], str]] = field(default_factory=dict[str, Callable[[str], str]])
    local_only: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    replace_if: ReplaceIf | None = None
    validate_change: Callable[[Mapping[str, Any], Mapping[str, Any]], str | None] | None = None


def name_set(text: str) -> frozenset[str]:
    """A set of names from one line of words."""
    return frozenset(text.split())


def as_list(value: Any) -> list[Any]:
    """The items of a list property; none where it is absent or unknown."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def indexed_dicts(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The known objects of a list property with their indexes."""
    return [(index, cast("dict[str, Any]", item)) for index, item in enumerate(as_list(value)) if isinstance(item, dict)]


def as_dict(value: Any) -> dict[str, Any]:
    """An object property; empty where it is absent or unknown."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
