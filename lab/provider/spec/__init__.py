"""What AWS's own provider does with each type and function of the program, as data with the place it was read in beside every line.

The data (one YAML file for each service) are what the lab's provider takes its tables from (`rules/from_spec.py`), what the unit tests'
strict monitor makes its answers of, and what the tests derive their cases from. `docs/conformance.md` says how to add to them.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

from lab.provider.spec.model import ProviderSpec, ResourceSpec
from lab.provider.spec.parser import parse

FOLDER: Final = Path(__file__).parent
SOURCES: Final = FOLDER / "sources.yaml"

__all__ = ["FOLDER", "load_spec", "spec_of"]


@functools.cache
def load_spec() -> ProviderSpec:
    """Everything in this folder. Raises SpecError for a line that is malformed or names no source."""
    found = parse(SOURCES.name, SOURCES.read_text(), {})
    for path in sorted(set(FOLDER.glob("*.yaml")) - {SOURCES}):
        found = found.merge(parse(path.name, path.read_text(), found.sources), path.name)
    return found


def spec_of(token: str) -> ResourceSpec | None:
    """The facts of a resource type; None for one of which there are none."""
    return load_spec().types.get(token)
