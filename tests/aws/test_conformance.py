"""What a life of the program puts out, by the real engine, has the form that the sources say (`lab/provider/services/*/spec.yaml`)."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from lab.provider.registry import resource_type
from lab.provider.spec.model import Output
from lab.provider.spec.text_templates import matches
from tests.aws.harness import Stack

STACKS = ["dev", "prod"]


@pytest.mark.parametrize("name", STACKS)
def test_every_id_and_output_of_the_stack_has_the_form_that_the_sources_say(name: str, request: pytest.FixtureRequest) -> None:
    stack: Stack = request.getfixturevalue(name)
    found = [
        f"{resource['urn'].rpartition('$')[2]}: {output} is {text!r}, expected {line.format}"
        for resource in _resources(stack)
        for output, text, line in _unlike(resource)
    ]
    assert found == []


@pytest.mark.parametrize("name", STACKS)
def test_what_the_sources_say_of_an_absent_property_stands_in_the_state(name: str, request: pytest.FixtureRequest) -> None:
    stack: Stack = request.getfixturevalue(name)
    for resource in _resources(stack):
        for path, line in resource_type(resource["type"]).spec.inputs.items():
            if isinstance(line.default, str | bool | int) and path not in resource["inputs"] and "." not in path:
                assert resource["outputs"].get(path) == line.default, f"{resource['urn']}: {path}"


def _resources(stack: Stack) -> list[dict[str, Any]]:
    deployment = stack.engine.stack.export_stack().deployment or {}
    resources = cast("list[dict[str, Any]]", deployment["resources"])
    return [resource for resource in resources if resource["type"].startswith("aws:")]


def _unlike(resource: Mapping[str, Any]) -> Iterator[tuple[str, object, Output]]:
    """The outputs that have another form: name, text, what is said of it."""
    told = resource_type(resource["type"]).spec
    state = resource["outputs"] | {"id": resource["id"]}
    for name, line in {"id": told.id, **told.outputs}.items():
        texts = cast("list[object]", state.get(name) or [None]) if line.list else [state.get(name)]
        yield from ((name, text, line) for text in texts if not matches(line.format, text, state))
