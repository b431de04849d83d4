"""Finds all types and functions that the provider implements in the folders of `services`, and pairs facts and classes by name.

A type is an entry in its folder's `spec.yaml`, under its token, and a class in a module beside it with the name at the token's end.
Nothing else names it. `aws:ec2/vpc:Vpc` is implemented by `Vpc`, `aws:ssm/getParameter:getParameter` by `GetParameter`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from types import ModuleType
from typing import Final, TypeVar

from lab.provider import services
from lab.provider.handler import Function, Handler
from lab.provider.rules.from_spec import with_spec
from lab.provider.rules.model import TypeRules
from lab.provider.spec import common_spec
from lab.provider.spec.model import FunctionSpec, ResourceSpec, ServiceSpec
from lab.provider.spec.parser import parse

SPEC_FILE: Final = "spec.yaml"

_Class = TypeVar("_Class", bound=Handler | Function)


class RegistryError(Exception):
    """Facts without a class, a class without facts, or two of one name."""


class UnknownTypeError(ValueError):
    """The token is not a type or function of the SDK, or this provider does not implement it."""


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A resource type. `rules` are the handler's own, completed from the facts; `service` is its folder's name."""

    service: str
    spec: ResourceSpec
    rules: TypeRules
    handler: Handler


@dataclass(frozen=True, kw_only=True)
class FunctionType:
    """A function."""

    service: str
    spec: FunctionSpec
    function: Function


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The types and functions by token, and the facts of each service by its folder's name."""

    services: Mapping[str, ServiceSpec]
    resources: Mapping[str, ResourceType]
    functions: Mapping[str, FunctionType]


def discover() -> Registry:
    """Reads the folders of `services`. Raises RegistryError, SpecError for malformed facts, and FileNotFoundError for missing ones."""
    specs: dict[str, ServiceSpec] = {}
    types: dict[str, ResourceType] = {}
    functions: dict[str, FunctionType] = {}
    for found in pkgutil.iter_modules(services.__path__):
        name, package = found.name, f"{services.__name__}.{found.name}"
        spec = specs[name] = parse(f"{name}/{SPEC_FILE}", resources.files(package).joinpath(SPEC_FILE).read_text(), common_spec().sources)
        for token in (types.keys() | functions.keys()) & (spec.types.keys() | spec.functions.keys()):
            raise RegistryError(f"{name}/{SPEC_FILE}: another service's {SPEC_FILE} has facts of {token} too")
        paths = importlib.import_module(package).__path__
        modules = [importlib.import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(paths)]
        for token, make_handler in pair_classes(name, spec.types, _classes(modules, Handler)).items():
            handler = make_handler()
            rules = with_spec(token, spec.types[token], handler.rules)
            types[token] = ResourceType(service=name, spec=spec.types[token], rules=rules, handler=handler)
        for token, make_function in pair_classes(name, spec.functions, _classes(modules, Function)).items():
            functions[token] = FunctionType(service=name, spec=spec.functions[token], function=make_function())
    return Registry(services=specs, resources=types, functions=functions)


def pair_classes(service: str, tokens: Iterable[str], classes: Iterable[type[_Class]]) -> dict[str, Callable[[], _Class]]:
    """Returns the class of each of a service's tokens. Raises RegistryError for a token or class without its pair, or a duplicate name."""
    by_name = _unique(service, ((class_name(token), token) for token in tokens))
    by_class = _unique(service, ((each.__name__, each) for each in classes))
    for name in by_name.keys() - by_class.keys():
        raise RegistryError(f"{service}/{SPEC_FILE} has facts of {by_name[name]}, and no module beside it has a class {name}")
    for name in by_class.keys() - by_name.keys():
        raise RegistryError(f"{by_class[name].__module__} has a class {name}, and {service}/{SPEC_FILE} no facts of a token that ends so")
    return {by_name[name]: by_class[name] for name in by_name}


def class_name(token: str) -> str:
    """Returns the name of the class that implements a type or function."""
    last = token.rpartition(":")[2]
    return last[:1].upper() + last[1:]


_T = TypeVar("_T")


def _unique(service: str, named: Iterable[tuple[str, _T]]) -> dict[str, _T]:
    found: dict[str, _T] = {}
    for name, each in named:
        if name in found:
            raise RegistryError(f"{service}: {found[name]} and {each} are both called {name}")
        found[name] = each
    return found


def _classes(modules: Iterable[ModuleType], kind: type[_Class]) -> Iterator[type[_Class]]:
    for module in modules:
        for name, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, kind) and found.__module__ == module.__name__ and not name.startswith("_"):
                yield found


REGISTRY: Final = discover()


def resource_type(token: str) -> ResourceType:
    """Returns an implemented resource type. Raises UnknownTypeError if it is not implemented."""
    return _known(token, REGISTRY.resources, "resource type")


def function_type(token: str) -> FunctionType:
    """Returns an implemented function. Raises UnknownTypeError if it is not implemented."""
    return _known(token, REGISTRY.functions, "function")


def _known(token: str, table: Mapping[str, _T], kind: str) -> _T:
    if token not in table:
        known = ", ".join(sorted(table))
        raise UnknownTypeError(f"{token}: the lab's provider does not implement this {kind}; it implements {known}")
    return table[token]
