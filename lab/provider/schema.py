"""The inputs that each resource type accepts: read from the SDK's classes, plus rules of the AWS provider that types cannot express.

Both Check and the unit tests' strict monitor use `check_properties`, so that a program that the real provider rejects is rejected
everywhere.
"""

from __future__ import annotations

import collections.abc
import functools
import importlib
import inspect
import sys
import threading
import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import pulumi
import pulumi._types as sdk_types

from lab.provider.codec import UNKNOWN, Asset, Props, is_unknown, unwrap
from lab.provider.registry import UnknownTypeError, resource_type
from lab.provider.rules.model import TypeRules, Violation
from lab.provider.rules.validators import tags

__all__ = [
    "UNKNOWN",
    "Violation",
    "check_properties",
    "force_new_paths",
    "nested_fields",
    "output_names",
    "resource_fields",
    "rules_of",
]

Kind = Literal["str", "bool", "int", "float", "any", "asset", "list", "map", "obj", "union"]


@dataclass(frozen=True)
class Shape:
    """A property's type; `inner` has the item type of a list or map, or the members of a union."""

    kind: Kind
    inner: tuple[Shape, ...] = ()
    cls: type[Any] | None = None


@dataclass(frozen=True)
class Field:
    """One property of a resource or nested type, under its wire (camelCase) name."""

    name: str
    shape: Shape
    required: bool


_import_lock = threading.Lock()
"""The SDK loads its modules at first use, and a second thread could see a partially loaded one."""


@functools.cache
def _resource_class(token: str) -> type[Any]:
    with _import_lock:
        return _load_resource_class(token)


def _load_resource_class(token: str) -> type[Any]:
    try:
        package, path, name = token.split(":")
        module = path.split("/")[0]
        root = f"pulumi_{package}"
        with warnings.catch_warnings():  # the SDK's modules warn of their own deprecated types when they are loaded
            warnings.simplefilter("ignore", DeprecationWarning)
            found = getattr(importlib.import_module(root if module == "index" else f"{root}.{module}"), name)
    except (ValueError, ImportError, AttributeError) as error:
        raise UnknownTypeError(f"{token}: the SDK has no such resource type") from error
    if getattr(found, "pulumi_type", None) != token:
        raise UnknownTypeError(f"{token}: the SDK has no such resource type")
    return cast("type[Any]", found)


def _shape(annotation: Any, scope: dict[str, Any]) -> Shape:
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        annotation = eval(annotation, scope)  # noqa: S307 - the SDK's own forward references, in the SDK's own module
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Union:
        return _union(args, scope)
    if inspect.isclass(origin) and issubclass(origin, collections.abc.Sequence):
        return Shape("list", (_shape(args[0], scope),))
    if inspect.isclass(origin) and issubclass(origin, collections.abc.Mapping):
        return Shape("map", (_shape(args[1], scope),))
    if annotation in (str, bool, int, float):
        return Shape(cast("Kind", annotation.__name__))
    if annotation is typing.Any:
        return Shape("any")
    if sdk_types.is_input_type(annotation):
        return Shape("obj", cls=annotation)
    if typing.is_typeddict(annotation):  # FooArgsDict beside FooArgs
        return Shape("obj", cls=getattr(sys.modules[annotation.__module__], annotation.__name__.removesuffix("Dict")))
    if inspect.isclass(annotation) and issubclass(annotation, pulumi.Asset | pulumi.Archive):
        return Shape("asset")
    return Shape("str")  # enumerations of strings, and resources given for their id


def _union(members: Sequence[Any], scope: dict[str, Any]) -> Shape:
    shapes: list[Shape] = []
    for member in members:
        forward = member.__forward_arg__ if isinstance(member, typing.ForwardRef) else ""
        skip = (
            member is type(None) or typing.get_origin(member) in (collections.abc.Awaitable, pulumi.Output) or forward.startswith("Output[")
        )
        if not skip and (shape := _shape(member, scope)) not in shapes:
            shapes.append(shape)
    objects = [shape for shape in shapes if shape.kind == "obj"]
    if objects and len(objects) == len(shapes):
        return objects[0]
    return shapes[0] if len(shapes) == 1 else Shape("union", tuple(shapes))


@functools.cache
def _fields(cls: type[Any]) -> Mapping[str, Field]:
    wire_names = sdk_types.input_type_py_to_pulumi_names(cls)
    scope = vars(sys.modules[cls.__module__])
    found: dict[str, Field] = {}
    for python_name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:  # a rule's `self` is a property
        name = wire_names.get(python_name, python_name)
        found[name] = Field(name, _shape(parameter.annotation, scope), parameter.default is inspect.Parameter.empty)
    return found


@functools.cache
def resource_fields(token: str) -> Mapping[str, Field]:
    """The inputs of a resource type by wire name. Raises UnknownTypeError."""
    module = sys.modules[_resource_class(token).__module__]
    return _fields(getattr(module, module.__all__[0]))


@functools.cache
def output_names(token: str) -> frozenset[str]:
    """The wire names of everything the type puts out (its inputs among them). Raises UnknownTypeError."""
    return frozenset(sdk_types.resource_pulumi_to_py_names(_resource_class(token)))


def nested_fields(shape: Shape) -> Mapping[str, Field]:
    """The fields of an object shape."""
    return _fields(shape.cls) if shape.cls is not None else {}


def rules_of(token: str) -> TypeRules:
    """The provider's rules of an implemented type. Raises UnknownTypeError for one that is not."""
    return resource_type(token).rules


def force_new_paths(token: str) -> frozenset[str]:
    """The properties (paths without indexes) whose change replaces the resource. Raises UnknownTypeError."""
    region = frozenset({"region"}) if "region" in resource_fields(token) else frozenset[str]()
    return rules_of(token).force_new | region


def check_properties(token: str, properties: Mapping[str, object]) -> list[Violation]:
    """Everything the provider refuses in these inputs, in the order of their paths; unknown values are taken to be right.

    Keys are camelCase as on the wire; keys that start with `__` are the provider's own. Raises UnknownTypeError.
    """
    props: Props = {key: value for key, value in unwrap(properties).items() if value is not None and not key.startswith("__")}
    rules = rules_of(token)
    problems = list(_check_object(resource_fields(token), props, ""))
    broken = {problem.path for problem in problems}
    if not broken:  # the rules below may rely on types
        problems.extend(_check_groups(rules, props))
        checks = {"tags": tags} | dict(rules.checks) if "tags" in resource_fields(token) else rules.checks
        for path, check in checks.items():
            for at, value in _values_at(props, path):
                if not is_unknown(value) and (rule := check(value)) is not None:
                    problems.append(Violation(at, rule))
        if rules.cross_check is not None:
            problems.extend(rules.cross_check(props))
    return sorted(problems, key=lambda problem: problem.path)


def _check_object(fields: Mapping[str, Field], props: Mapping[str, object], prefix: str) -> Iterator[Violation]:
    for name, value in props.items():
        if name in fields:
            if value is not None:
                yield from _check_value(fields[name].shape, value, prefix + name)
        elif not name.startswith("__"):
            yield Violation(prefix + name, "unknown property")
    for field in fields.values():
        if field.required and props.get(field.name) is None:
            yield Violation(prefix + field.name, "missing required property")


def _check_value(shape: Shape, value: object, path: str) -> Iterator[Violation]:
    if value is UNKNOWN or shape.kind == "any":
        return
    if shape.kind == "union":
        attempts = [list(_check_value(member, value, path)) for member in shape.inner]
        if not any(not attempt for attempt in attempts):
            yield from min(attempts, key=len)
    elif shape.kind == "list":
        if isinstance(value, list | tuple):
            for index, item in enumerate(cast("Sequence[object]", value)):
                yield from _check_value(shape.inner[0], item, f"{path}[{index}]")
        else:
            yield Violation(path, f"expected a list, got {_type_name(value)}")
    elif shape.kind in ("map", "obj"):
        if not isinstance(value, Mapping):
            yield Violation(path, f"expected an object, got {_type_name(value)}")
        elif shape.cls is not None:
            yield from _check_object(_fields(shape.cls), cast("Mapping[str, object]", value), f"{path}.")
        else:
            for key, item in cast("Mapping[str, object]", value).items():
                yield from _check_value(shape.inner[0], item, f"{path}.{key}")
    elif not _is_kind(shape.kind, value):
        yield Violation(path, f"expected {shape.kind}, got {_type_name(value)}")


def _is_kind(kind: Kind, value: object) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "asset":
            return isinstance(value, Asset | pulumi.Asset | pulumi.Archive)
        case _:
            return isinstance(value, str)


def _type_name(value: object) -> str:
    return {"Mapping": "object", "dict": "an object", "list": "a list"}.get(type(value).__name__, type(value).__name__)


def _check_groups(rules: TypeRules, props: Props) -> Iterator[Violation]:
    for name in sorted(rules.unsupported & props.keys()):
        yield Violation(name, "the lab's provider does not serve this property (the real one does)")
    for group in rules.exactly_one:
        given = [name for name in group if name in props]
        if len(given) != 1:
            got = f"{', '.join(given)} are given" if given else "none is given"
            yield Violation(given[0] if given else group[0], f"exactly one of {', '.join(group)} must be given; {got}")
    for group in rules.at_least_one:
        if not any(name in props for name in group):
            yield Violation(group[0], f"one of {', '.join(group)} must be given")
    for group in rules.conflicts:
        given = [name for name in group if name in props]
        if len(given) > 1:
            yield Violation(given[0], f"conflicts with {', '.join(given[1:])}: only one of them may be given")
    for name, needed in rules.requires.items():
        if name in props and needed not in props:
            yield Violation(name, f"needs {needed} to be given too")


def _values_at(value: Any, path: str, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every value under a path such as `rules[].expiration.days`, with its real path."""
    if path == "":
        if value is not None:
            yield at, value
    elif path.startswith("[]"):
        if isinstance(value, list):
            for index, item in enumerate(cast("list[Any]", value)):
                yield from _values_at(item, path[2:].lstrip("."), f"{at}[{index}]")
    else:
        head, dot, rest = path.partition(".")
        name, bracket, tail = head.partition("[]")
        if isinstance(value, Mapping) and name in value:
            yield from _values_at(value[name], (bracket + tail + dot + rest) if bracket else rest, f"{at}.{name}" if at else name)
