"""The stack files that are shipped are their users' to edit: here they are only shown to be valid."""

from typing import Any

import pytest
import yaml

from lab.engine.workspace import stack_names
from stack.configuration import validate
from tests.unit.stack.conftest import REPOSITORY


@pytest.mark.parametrize("stack", stack_names(REPOSITORY))
def test_a_stack_file_is_valid(stack: str) -> None:
    config: dict[str, Any] = yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())["config"]
    raw = {key.removeprefix("webstack:"): value for key, value in config.items() if key.startswith("webstack:")}
    region = str(config["aws:region"])
    validate(stack=stack, raw=raw, region=region, zones=lambda: [f"{region}{letter}" for letter in "abcd"], repository=REPOSITORY)


def test_the_stacks_that_the_readme_names_are_there() -> None:
    assert {"dev", "prod"} <= set(stack_names(REPOSITORY))
