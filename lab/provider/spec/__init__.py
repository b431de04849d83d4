"""The form of what AWS's own provider does with a type or function: data with the place it was read in beside every line.

The facts themselves stand with their services (`services/*/spec.yaml`), and what services share in `common.yaml` here. How to add to them:
`docs/conformance.md`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

from lab.provider.spec.model import ServiceSpec
from lab.provider.spec.parser import parse

_COMMON: Final = Path(__file__).parent / "common.yaml"

__all__ = ["common_spec"]


@functools.cache
def common_spec() -> ServiceSpec:
    """What services share. Raises SpecError for a line that is malformed or names no source."""
    return parse(_COMMON.name, _COMMON.read_text(), {})
