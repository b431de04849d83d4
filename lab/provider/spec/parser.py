"""From the YAML text to the facts: strict, because a mistyped key would be a fact that nobody asks for."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml

from lab.provider.spec.model import (
    AutoNaming,
    Case,
    FunctionSpec,
    Group,
    IamActions,
    Input,
    Note,
    Output,
    ResourceSpec,
    Sample,
    ServiceSpec,
    SpecError,
)

_T = TypeVar("_T")
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast, where it was built in
_TEXTS: Final = ("source", "fact", "format", "field")
_FLAGS: Final = ("required", "computed", "document", "local_only", "secret", "list", "suffix", "lowercase", "remains")
_MAPPINGS: Final = ("before", "after", "when", "unless", "inputs", "update", "replace")
_KINDS: Final[dict[str, type]] = (
    dict.fromkeys(_TEXTS, str) | dict.fromkeys(_FLAGS, bool) | dict.fromkeys(_MAPPINGS, dict) | {"max_length": int}
)


def parse(name: str, text: str, sources: Mapping[str, str]) -> ServiceSpec:
    """The facts of one file; `sources` are those that its lines may name besides its own. Raises SpecError: the place and the rule."""
    try:
        document = yaml.load(text, _LOADER)  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise SpecError(f"{name}: not YAML: {error}") from error
    root = _mapping(document, name)
    return _FileParser(name, sources, _mapping(root.get("sources") or {}, f"{name}: sources")).parse(root)


class _FileParser:
    """One file's reader; it knows the sources that its lines may name."""

    def __init__(self, name: str, sources: Mapping[str, str], own: Mapping[str, str]) -> None:
        self.name = name
        self.own = own
        self.sources = {**sources, **own}

    def parse(self, node: Mapping[str, Any]) -> ServiceSpec:
        self._keys(node, {"sources", "common", "types", "functions"}, "")
        return ServiceSpec(
            sources=self.own,
            common=self._table(node, "common", self._input, ""),
            types=self._table(node, "types", self._type, ""),
            functions=self._table(node, "functions", self._function, ""),
        )

    def _type(self, node: Mapping[str, Any], at: str) -> ResourceSpec:
        self._keys(node, {field.name for field in dataclasses.fields(ResourceSpec)}, at)
        return ResourceSpec(
            id=self._line(Output, node.get("id"), f"{at}.id"),
            iam_actions=self._iam_actions(node, at),
            inputs=self._table(node, "inputs", self._input, at),
            outputs=self._table(node, "outputs", self._output, at),
            groups=self._rows(node, "groups", self._group, at),
            naming=self._line(AutoNaming, node["naming"], f"{at}.naming") if "naming" in node else None,
            cases=self._rows(node, "cases", lambda row, place: self._line(Case, row, place), at),
            notes=self._rows(node, "notes", lambda row, place: self._line(Note, row, place), at),
            sample=self._sample(node["sample"], f"{at}.sample") if "sample" in node else None,
        )

    def _function(self, node: Mapping[str, Any], at: str) -> FunctionSpec:
        self._keys(node, {field.name for field in dataclasses.fields(FunctionSpec)}, at)
        return FunctionSpec(
            id=self._line(Output, node.get("id"), f"{at}.id"),
            iam_actions=self._iam_actions(node, at),
            outputs=self._table(node, "outputs", self._output, at),
            notes=self._rows(node, "notes", lambda row, place: self._line(Note, row, place), at),
        )

    def _input(self, node: Mapping[str, Any], at: str) -> Input:
        return self._line(Input, node, at)

    def _output(self, node: Mapping[str, Any], at: str) -> Output:
        return self._line(Output, node, at)

    def _group(self, node: Mapping[str, Any], at: str) -> Group:
        return self._line(Group, {**node, "of": self._names(node, "property", at)}, at)

    def _iam_actions(self, node: Mapping[str, Any], at: str) -> IamActions:
        place = f"{at}.iam_actions"
        line = _mapping(node.get("iam_actions"), f"{self.name}: {place}")
        return self._line(IamActions, {**line, "of": self._names(line, "action", place)}, place)

    def _sample(self, node: Any, at: str) -> Sample:
        line = _mapping(node, f"{self.name}: {at}")
        return self._line(Sample, {**line, "needs": self._names({"needs": [], **line}, "type", at, "needs")}, at)

    def _names(self, node: Mapping[str, Any], kind: str, at: str, key: str = "of") -> tuple[str, ...]:
        members = node.get(key)
        if not isinstance(members, list) or not all(isinstance(member, str) for member in cast("list[object]", members)):
            raise SpecError(f"{self.name}: {at}.{key}: expected a list of {kind} names, got {members!r}")
        return tuple(cast("list[str]", members))

    def _table(self, node: Mapping[str, Any], key: str, parse_item: Callable[[Mapping[str, Any], str], _T], at: str) -> dict[str, _T]:
        place = f"{at}.{key}".lstrip(".")
        table = _mapping(node.get(key, {}), f"{self.name}: {place}")
        return {name: parse_item(_mapping(row, f"{self.name}: {place}.{name}"), f"{place}.{name}") for name, row in table.items()}

    def _rows(self, node: Mapping[str, Any], key: str, parse_item: Callable[[Mapping[str, Any], str], _T], at: str) -> tuple[_T, ...]:
        rows = node.get(key, [])
        if not isinstance(rows, list):
            raise SpecError(f"{self.name}: {at}.{key}: expected a list, got {type(rows).__name__}")
        places = [(row, f"{at}.{key}[{index}]") for index, row in enumerate(cast("list[Any]", rows))]
        return tuple(parse_item(_mapping(row, f"{self.name}: {place}"), place) for row, place in places)

    def _line(self, kind: Callable[..., _T], node: Any, at: str) -> _T:
        """One line: its keys, its types, its source."""
        line = _mapping(node, f"{self.name}: {at}")
        known = {field.name: field for field in dataclasses.fields(cast("Any", kind))}
        self._keys(line, set(known), at)
        for key, field in known.items():
            if key not in line and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise SpecError(f"{self.name}: {at}: has no `{key}`")
        for key, value in line.items():
            self._value(kind, key, value, at)
        return kind(**line)

    def _value(self, kind: Any, key: str, value: Any, at: str) -> None:
        choices = _choices(kind).get(key, ())
        if choices and value not in choices:
            raise SpecError(f"{self.name}: {at}.{key}: expected one of {', '.join(choices)}; got {value!r}")
        if key in _KINDS and not isinstance(value, _KINDS[key]):
            raise SpecError(f"{self.name}: {at}.{key}: expected {_KINDS[key].__name__}; got {value!r}")
        if key == "source" and not value.startswith("https://") and value.split(" ")[0] not in self.sources:
            raise SpecError(f"{self.name}: {at}.source: expected https:// or a name of `sources` to begin it; got {value!r}")

    def _keys(self, node: Mapping[str, Any], known: set[str], at: str) -> None:
        for key in node.keys() - known:
            raise SpecError(f"{self.name}: {at or 'the file'}: unknown key {key!r}; known are {', '.join(sorted(known))}")


@functools.cache
def _choices(kind: Any) -> dict[str, tuple[Any, ...]]:
    """The words that each key of a line may have as its value, where they are few."""
    return {name: get_args(hint) for name, hint in get_type_hints(kind).items() if get_origin(hint) is Literal}


def _mapping(node: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(node, dict) or not all(isinstance(key, str) for key in cast("dict[object, object]", node)):
        raise SpecError(f"{at}: expected a mapping with names as keys, got {type(cast('object', node)).__name__}")
    return cast("Mapping[str, Any]", node)
