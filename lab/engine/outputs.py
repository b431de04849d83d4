"""Reads a stack's outputs from the engine's own file, without loading the engine's libraries, which takes a second."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lab.engine.backend import checkpoint_file


def read(home: Path, project: str, stack: str) -> Mapping[str, object]:
    """Returns the stack's outputs from its last `up`; empty if there is no stack or its file cannot be read."""
    try:
        loaded: object = json.loads(checkpoint_file(home / "backend", project, stack).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    resources = _mapping(_mapping(_mapping(loaded).get("checkpoint")).get("latest")).get("resources")
    for resource in cast("list[object]", resources) if isinstance(resources, list) else []:
        if _mapping(resource).get("type") == "pulumi:pulumi:Stack":
            return _mapping(_mapping(resource).get("outputs"))
    return {}


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
