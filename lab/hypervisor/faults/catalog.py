"""All kinds of faults, as the modules of `kinds` define them, and how a description becomes one."""

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
"""Every kind: by family, then by the modules' names, then as they stand there."""

_BY_NAME = {kind.kind_name(): kind for kind in KINDS}


def create_injectors(context: InjectorContext) -> list[FaultInjector]:
    """What makes all kinds real, one of each type."""
    return [injector.create(context) for injector in dict.fromkeys(kind.injector for kind in KINDS)]


def parse(description: object) -> Fault:
    """The fault that a description means, `{"kind": "drop", "from": "web-1", "to": "db-1"}` for instance. Raises FaultError."""
    named = cast("Mapping[str, object]", description).get("kind") if isinstance(description, Mapping) else None
    kind = _BY_NAME.get(str(named))
    if kind is None:
        raise FaultError(f"fault {description!r}: a fault has a kind, one of {', '.join(map(repr, _BY_NAME))}")
    try:
        return kind.model_validate(description)
    except ValidationError as error:
        raise FaultError("; ".join(_format_error(one) for one in error.errors())) from None


def serialize(fault: Fault) -> dict[str, Any]:
    """The description that `parse` reads."""
    return fault.model_dump(mode="json", by_alias=True)


def _format_error(error: ErrorDetails) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    return f"{'.'.join(map(str, error['loc']))} {error['input']!r}: {error['msg']}"
