"""Nothing that the program sets is without a fact of AWS's provider (`lab/provider/conformance`) and the source of it."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from lab.provider.conformance import facts_of, known
from lab.provider.schema import Field, nested_fields, resource_fields
from tests.unit.stack.conftest import RunProgram


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_type_and_property_of_the_program_has_its_line(program: RunProgram, stack: str) -> None:
    missing: set[tuple[str, str]] = set()
    for item in program(stack).resources:
        if item.token.startswith("aws:"):
            told = facts_of(item.token)
            lines = known().common.keys() | (told.inputs.keys() if told is not None else set[str]())
            missing |= {(item.token, path) for path in _paths(resource_fields(item.token), item.inputs, "") if path not in lines}
    assert missing == set()


def _paths(fields: Mapping[str, Field], given: Mapping[str, Any], at: str) -> Iterator[str]:
    """Every path that inputs set, as the facts write it; the keys of a map are none."""
    for name, value in given.items():
        path, shape = f"{at}{name}", fields[name].shape
        yield path
        if shape.cls is not None and isinstance(value, dict):
            yield from _paths(nested_fields(shape), cast("dict[str, Any]", value), f"{path}.")
        elif shape.kind == "list" and shape.inner[0].cls is not None and isinstance(value, list):
            for item in cast("list[dict[str, Any]]", value):
                yield from _paths(nested_fields(shape.inner[0]), item, f"{path}[].")
