"""Compares the state (including drift) with the program's inputs, and determines what each change requires."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from lab.provider.codec import UNKNOWN, Asset, Props, is_unknown, unwrap
from lab.provider.rules.model import TypeRules, as_list
from lab.provider.schema import Field, Shape, force_new_paths, nested_fields, resource_fields, rules_of

Kind = Literal["add", "delete", "update"]


@dataclass(frozen=True)
class Change:
    """One changed path (`tags.Name`, `ingress[0].fromPort`), as the engine shows it."""

    path: str
    kind: Kind
    replaces: bool = False

    @property
    def property_name(self) -> str:
        """The name of the property that contains the path."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]


@dataclass(frozen=True)
class Diff:
    """All changes; `delete_before_replace` if the old resource must be deleted before its replacement can be made."""

    changes: tuple[Change, ...]
    delete_before_replace: bool

    @property
    def replaces(self) -> tuple[str, ...]:
        """The paths whose change replaces the resource."""
        return tuple(change.path for change in self.changes if change.replaces)

    @property
    def property_names(self) -> frozenset[str]:
        """The names of the changed properties."""
        return frozenset(change.property_name for change in self.changes)


def compute_diff(
    token: str, *, state: Mapping[str, Any], old_inputs: Mapping[str, Any], news: Mapping[str, Any], ignored: Iterable[str] = ()
) -> Diff:
    """Compares by the type's semantics: lists without order, policies as documents, absent properties as AWS interprets them."""
    rules, fields = rules_of(token), _fields(token)
    olds, was, wanted = unwrap(state), unwrap(old_inputs), _with_nested_defaults(rules, unwrap(state), unwrap(news))
    found: list[Change] = []
    for name, shape in fields.items():
        found.extend(_property(rules, shape, name, olds, was, wanted))
    found = [change for change in found if not any(_covers(path, change.path) for path in ignored) and not _keeps_computed(rules, change)]
    force_new = force_new_paths(token)
    if rules.replace_if is not None and found:
        force_new |= rules.replace_if(olds, wanted, frozenset(change.property_name for change in found))
    marked = tuple(
        Change(change.path, change.kind, any(_covers(path, re.sub(r"\[\d+\]", "", change.path)) for path in force_new)) for change in found
    )
    return Diff(marked, any(change.replaces for change in marked) and _delete_before_replace(rules, wanted))


def with_replacements(token: str, diff: Diff, replacing: frozenset[str], news: Mapping[str, Any]) -> Diff:
    """Returns the changes, with those of the named properties marked as replacing."""
    marked = tuple(Change(change.path, change.kind, change.replaces or change.property_name in replacing) for change in diff.changes)
    return Diff(marked, any(change.replaces for change in marked) and _delete_before_replace(rules_of(token), news))


def _keeps_computed(rules: TypeRules, change: Change) -> bool:
    """Whether a property inside an object was removed from the program but has a value from AWS, which is kept."""
    return change.kind == "delete" and "." in change.path and re.sub(r"\[\d+\]", "[]", change.path) in rules.computed


def _with_nested_defaults(rules: TypeRules, olds: Props, news: Props) -> Props:
    """Fills in absent properties of given objects for which the provider's schema has a default."""
    filled = dict(news)
    for path, value in rules.defaults.items():
        outer, dot, inner = path.partition(".")
        if dot and isinstance(filled.get(outer), dict) and isinstance(olds.get(outer), dict) and olds[outer].get(inner) is not None:
            filled[outer] = {inner: value, **filled[outer]}
    return filled


def values_equal(token: str, name: str, live: object, desired: object) -> bool:
    """Whether a live value equals the desired one, by the property's semantics."""
    rules, fields = rules_of(token), _fields(token)
    if name not in fields:
        return live == desired
    return not list(_property(rules, fields[name], name, {name: unwrap(live)}, {}, {name: unwrap(desired)}))


def _fields(token: str) -> dict[str, Shape]:
    shapes = {name: field.shape for name, field in resource_fields(token).items()}
    if "tags" in shapes:
        shapes["tagsAll"] = shapes["tags"]
    return shapes


def _delete_before_replace(rules: TypeRules, news: Mapping[str, Any]) -> bool:
    defaults = cast("list[str]", news.get("__defaults") or [])
    return rules.naming is not None and news.get(rules.naming.field) is not None and rules.naming.field not in defaults


def _covers(path: str, changed: str) -> bool:
    return changed == path or changed.startswith((f"{path}.", f"{path}["))


def _property(rules: TypeRules, shape: Shape, name: str, olds: Props, old_inputs: Props, news: Props) -> Iterable[Change]:
    old, new = olds.get(name), news.get(name)
    if new is None:
        if name in rules.defaults:
            if old is not None and old != rules.defaults[name]:
                yield Change(name, "update")
        elif name not in rules.computed and old_inputs.get(name) is not None and old not in (None, "", [], {}):
            yield Change(name, "delete")
        return
    if old is None and name in rules.local_only and new is False:
        return
    if name in rules.normalizers and isinstance(old, str) and isinstance(new, str):
        old, new = rules.normalizers[name](old), rules.normalizers[name](new)
    if name in rules.json_documents and not is_unknown(new) and old is not None:
        if canonical(old) != canonical(new):
            yield Change(name, "update")
        return
    yield from _compare(shape, old, new, old_inputs.get(name), name)


def _compare(shape: Shape, old: Any, new: Any, old_input: Any, path: str) -> Iterable[Change]:
    if new is UNKNOWN or old is None or old is UNKNOWN:
        if old is not None or new not in ([], {}, "", False):
            yield Change(path, "add" if old is None else "update")
    elif isinstance(old, Asset) and isinstance(new, Asset):
        if old.hash != new.hash:
            yield Change(path, "update")
    elif shape.kind == "list" and isinstance(old, list) and isinstance(new, list):
        yield from _lists(shape.inner[0], cast("list[Any]", old), cast("list[Any]", new), as_list(old_input), path)
    elif shape.kind == "map" and isinstance(old, dict) and isinstance(new, dict):
        yield from _maps(shape.inner[0], cast("Props", old), cast("Props", new), path)
    elif shape.cls is not None and isinstance(old, dict) and isinstance(new, dict):
        yield from _objects(
            nested_fields(shape),
            cast("Props", old),
            cast("Props", new),
            cast("Props", old_input if isinstance(old_input, dict) else {}),
            path,
        )
    elif old != new:
        yield Change(path, "update")


def _maps(inner: Shape, old: Props, new: Props, path: str) -> Iterable[Change]:
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            yield Change(f"{path}.{key}", "delete")
        elif key not in old:
            yield Change(f"{path}.{key}", "add")
        else:
            yield from _compare(inner, old[key], new[key], None, f"{path}.{key}")


def _objects(fields: Mapping[str, Field], old: Props, new: Props, old_inputs: Props, path: str) -> Iterable[Change]:
    for name, field in fields.items():
        if new.get(name) is not None:
            yield from _compare(field.shape, old.get(name), new[name], old_inputs.get(name), f"{path}.{name}")
        elif old_inputs.get(name) is not None and old.get(name) not in (None, "", [], {}, False):
            yield Change(f"{path}.{name}", "delete")


def _lists(inner: Shape, old: list[Any], new: list[Any], old_input: list[Any], path: str) -> Iterable[Change]:
    """Compares lists. Order has no meaning in any list of the implemented types; unmatched items are reported by index.

    The program may have removed properties of an item, so each live item is compared with its last input as well.
    """
    old_items = [_last_input_for(inner, item, old_input, at) for at, item in enumerate(old)]
    left = list(range(len(old)))
    unmatched: list[int] = []
    for index, item in enumerate(new):
        match = next((at for at in left if not list(_compare(inner, old[at], item, old_items[at], ""))), None)
        if match is None:
            unmatched.append(index)
        else:
            left.remove(match)
    for index in unmatched:
        if left:
            at = min(left, key=lambda at: (len(list(_compare(inner, old[at], new[index], old_items[at], ""))), at != index))
            left.remove(at)
            yield from _compare(inner, old[at], new[index], old_items[at], f"{path}[{index}]")
        else:
            yield Change(f"{path}[{index}]", "add")
    for at in left:
        yield Change(f"{path}[{at}]", "delete")


def _last_input_for(inner: Shape, live: Any, old_input: list[Any], index: int) -> Any:
    """Returns the program's earlier item for a live one: the equal one or else, after drift, the one at the same index."""
    equal = (item for item in old_input if not list(_compare(inner, live, item, None, "")))
    return next(equal, old_input[index] if index < len(old_input) else None)


def canonical(document: Any) -> Any:
    """Returns a policy document in a canonical form: a single action as a list of one, lists without order."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return document
    return _canonical(document)


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _set(item) if key in _SETS else _canonical(item) for key, item in cast("Props", value).items()}
    if isinstance(value, list):
        return [_canonical(item) for item in cast("list[Any]", value)]
    return value


_SETS = frozenset({"Action", "NotAction", "Resource", "NotResource", "AWS", "Service", "Federated", "Statement"})


def _set(value: Any) -> Any:
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    return sorted((_canonical(item) for item in items), key=lambda item: json.dumps(item, sort_keys=True, default=str))
