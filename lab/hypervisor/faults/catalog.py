"""Finds all kinds of faults in the modules of `kinds`, and parses and serializes descriptions."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lab.hypervisor.faults import kinds
from lab.hypervisor.faults.fault import Fault, FaultError, FaultInjector, InjectorContext


def _kinds() -> Iterator[type[Fault]]:
    for found in pkgutil.iter_modules(kinds.__path__):
        module = importlib.import_module(f"{kinds.__name__}.{found.name}")
        for value in vars(module).values():
            if (
                inspect.isclass(value)
                and issubclass(value, Fault)
                and value.__module__ == module.__name__
                and not inspect.isabstract(value)
            ):
                yield value


KINDS: tuple[type[Fault], ...] = tuple(sorted(_kinds(), key=lambda kind: kind.command_group.order))
"""Every kind, sorted by command_group, then by module name, then by position in the module."""

_BY_NAME = {kind.kind_name(): kind for kind in KINDS}


def create_injectors(context: InjectorContext) -> list[FaultInjector]:
    """Makes the injectors of all kinds, one of each type."""
    return [injector.create(context) for injector in dict.fromkeys(kind.injector for kind in KINDS)]


def parse(description: object) -> Fault:
    """Returns the fault of a description such as `{"kind": "drop", "from": "web-1", "to": "db-1"}`. Raises FaultError."""
    named = cast("Mapping[str, object]", description).get("kind") if isinstance(description, Mapping) else None
    kind = _BY_NAME.get(str(named))
    if kind is None:
        raise FaultError(f"fault {description!r}: it needs a kind, one of {', '.join(map(repr, _BY_NAME))}")
    try:
        return kind.model_validate(description)
    except ValidationError as error:
        raise FaultError("; ".join(_format_error(one) for one in error.errors())) from None


def serialize(fault: Fault) -> dict[str, Any]:
    """Returns the description, which `parse` reads."""
    return fault.model_dump(mode="json", by_alias=True)


def _format_error(error: ErrorDetails) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    return f"{'.'.join(map(str, error['loc']))} {error['input']!r}: {error['msg']}"
