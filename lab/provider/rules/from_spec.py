"""A type's rules with what the facts say of it: what replaces, what an absent property means, what goes together, how it is named.

A handler's own rules add what no table says: checks of values, and what the lab does not serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from lab.provider.rules.model import ReplaceIf, TypeRules
from lab.provider.spec.model import UNSET, Input, ResourceSpec

_RULES_ONLY_FIELDS: Final = frozenset({"checks", "validate_change", "unsupported", "cross_check", "normalizers", "replace_if"})
"""The fields of a type's rules that no fact speaks of."""


def with_spec(token: str, spec: ResourceSpec, rules: TypeRules) -> TypeRules:
    """The rules of a type, completed by its facts. Raises ValueError where the rules say themselves what the facts are for."""
    for field in fields(TypeRules):
        if field.name not in _RULES_ONLY_FIELDS and getattr(rules, field.name) != getattr(TypeRules(), field.name):
            raise ValueError(f"{token}: {field.name} belongs into the facts of this type (spec.yaml), not into its rules")
    inner = {path: line for path, line in spec.inputs.items() if path.count(".") == 1 and "[]" not in path}
    top = {name: line for name, line in spec.inputs.items() if "." not in name and "[]" not in name}
    return replace(
        rules,
        force_new=frozenset(name for name, line in spec.inputs.items() if line.change == "replace" and not line.unless),
        exactly_one=_groups(spec, "exactly one"),
        at_least_one=_groups(spec, "at least one"),
        conflicts=_groups(spec, "conflict"),
        requires={group.of[0]: group.of[1] for group in spec.groups if group.kind == "needs"},
        naming=spec.naming,
        defaults={name: line.default for name, line in (top | inner).items() if line.default is not UNSET},
        computed=frozenset(path for path, line in spec.inputs.items() if line.computed),
        json_documents=frozenset(name for name, line in top.items() if line.document),
        local_only=frozenset(name for name, line in top.items() if line.local_only),
        secret=frozenset(name for name, line in (*top.items(), *spec.outputs.items()) if line.secret),
        replace_if=_conditional({name: line for name, line in top.items() if line.when or line.unless}, rules.replace_if),
    )


def _groups(spec: ResourceSpec, kind: str) -> tuple[tuple[str, ...], ...]:
    return tuple(group.of for group in spec.groups if group.kind == kind)


def _conditional(lines: Mapping[str, Input], more: ReplaceIf | None) -> ReplaceIf | None:
    """Which of the changed properties replace under the values that the program wants."""
    if not lines:
        return more

    def replaces(state: Mapping[str, Any], news: Mapping[str, Any], changed: frozenset[str]) -> frozenset[str]:
        found = frozenset(name for name in changed & lines.keys() if _replaces(lines[name], news))
        return found | more(state, news, changed) if more is not None else found

    return replaces


def _replaces(line: Input, news: Mapping[str, Any]) -> bool:
    if line.unless:
        return any(news.get(name) != value for name, value in line.unless.items())
    return all(news.get(name) == value for name, value in line.when.items())
