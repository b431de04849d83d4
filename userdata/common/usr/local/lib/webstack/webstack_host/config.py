"""Loads this host's parameters as objects of the dataclasses from which the program wrote them (`webstack_host.variables`).

User data writes one file at each boot. Roles with a configuration object have a second file, with the values in force. A host's code and
files come from the same release, since the same user data names both, so a file has no key that its dataclass does not have. Only an older
configuration object, which a host reverts to when the new one is refused, may lack keys: those of fields with a default.
"""

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from webstack_host.errors import PermanentError
from webstack_host.variables import HostVariables

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PATH = "/etc/webstack/host.json"
VALUES_PATH = "/etc/webstack/configuration.json"
"""The values of the configuration object in force; missing on hosts without one."""

Model = TypeVar("Model", bound="DataclassInstance")
Variables = TypeVar("Variables", bound=HostVariables)

_SCALARS: Mapping[object, str] = {str: "a string", int: "an integer", bool: "true or false"}
_MAX_SHOWN = 80
"""The most characters of a wrong value that an error shows."""


class ConfigError(PermanentError):
    """A parameter does not fit its dataclass; the message names file, key and rule."""


def load_common() -> HostVariables:
    """Loads the parameters that every role has. Raises ConfigError, and OSError if the file cannot be read."""
    document = _read(PATH)
    names = {field.name for field in fields(HostVariables)}
    return parse(HostVariables, {key: value for key, value in document.items() if key in names}, PATH)


def load(model: type[Variables]) -> Variables:
    """Loads all parameters of the model's role. Raises ConfigError, and OSError if a file cannot be read: the one with the configuration
    object's values is first written when a boot applies them."""
    reloadable = frozenset(model.reloadable())
    values = _convert_fields(model, _read(PATH), PATH, without=reloadable)
    if reloadable:
        values |= _convert_fields(model.configuration, _read(VALUES_PATH), VALUES_PATH)
    return _construct(model, values)


def parse(model: type[Model], document: object, source: str) -> Model:
    """Converts parsed JSON or YAML to an object of a dataclass; `source` names its file in errors. Raises ConfigError."""
    return _construct(model, _convert_fields(model, document, source))


def _read(path: str) -> dict[str, object]:
    try:
        document: object = json.loads(Path(path).read_text())
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}") from error
    return _as_object(document, path, "")


def _construct(model: type[Model], values: dict[str, object]) -> Model:
    return cast("Callable[..., Model]", model)(**values)


def _convert_fields(
    model: "type[DataclassInstance]", document: object, source: str, *, key: str = "", without: Set[str] = frozenset()
) -> dict[str, object]:
    """Returns a dataclass's values by field name; `key` is its position in the source."""
    values = _as_object(document, source, key)
    known = [field for field in fields(model) if field.name not in without]
    names = [field.name for field in known]
    if missing := [field.name for field in known if field.default is MISSING and field.name not in values]:
        raise ConfigError(f"{source}: {_join(key, missing[0])} is missing: {model.__name__} has no default for it")
    if unknown := [name for name in values if name not in names]:
        raise ConfigError(f"{source}: {_join(key, unknown[0])} is unknown: {model.__name__} has {', '.join(names)}")
    types: dict[str, object] = get_type_hints(model)
    return {name: _convert(types[name], values[name], source, _join(key, name)) for name in names if name in values}


def _convert(kind: object, value: object, source: str, key: str) -> object:
    """Converts a value to a field's type."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _construct(kind, _convert_fields(kind, value, source, key=key))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise _wrong(source, key, f"one of {', '.join(get_args(kind))}", value)
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise _wrong(source, key, "a list", value)
        items = cast("list[object]", value)
        return tuple(_convert(get_args(kind)[0], item, source, f"{key}[{number}]") for number, item in enumerate(items))
    if type(value) is not kind:  # in Python, True is an int
        raise _wrong(source, key, _SCALARS[kind], value)
    return value


def _as_object(document: object, source: str, key: str) -> dict[str, object]:
    if not isinstance(document, dict):
        raise _wrong(source, key, "an object", document)
    return cast("dict[str, object]", document)


def _wrong(source: str, key: str, rule: str, value: object) -> ConfigError:
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
    return ConfigError(f"{source}: {key or 'all of it'} must be {rule}, and is {shown}")


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
