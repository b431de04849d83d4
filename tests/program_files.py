"""The stacks that tests apply, and copies of the program for tests that change it."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from lab.paths import REPOSITORY

STACKS = REPOSITORY / "tests" / "stacks"
"""The tests' own stack files: a user who edits the shipped ones breaks no test."""

PROGRAM_FILES = ("__main__.py", "Pulumi.yaml", "stack", "userdata", "app")
"""What the engine runs."""


def stack_file(stack: str) -> Path:
    """The tests' file of a stack."""
    return STACKS / f"Pulumi.{stack}.yaml"


def stack_config(stack: str) -> dict[str, Any]:
    """The configuration in it."""
    return yaml.safe_load(stack_file(stack).read_text())["config"]


def copy_program(target: Path, *, extra: Iterable[str] = ()) -> Path:
    """Copies the program and the tests' stack files into `target`, with what else of the repository stands in `extra`; gives `target`."""
    for name in (*PROGRAM_FILES, *extra):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    for file in STACKS.glob("Pulumi.*.yaml"):
        shutil.copy(file, target)
    return target
