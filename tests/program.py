"""Copies of the program, for tests that change it."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.paths import REPOSITORY

PROGRAM = ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "stack", "userdata", "app")
"""What the engine runs."""


def copy_program(target: Path, *, beside: Iterable[str] = ()) -> Path:
    """Copies the program into the folder `target`, with what else of the repository stands in `beside`; gives `target`."""
    for name in (*PROGRAM, *beside):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target
