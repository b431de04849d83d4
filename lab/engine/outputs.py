"""What a lab's stack gives out, read from the engine's own file: without the engine, whose libraries take a second to load."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lab.engine.backend import checkpoint_file


def read(home: Path, project: str, stack: str) -> Mapping[str, object]:
    """The outputs of the stack as its last `up` left them; nothing where there is no stack, or no file that can be read."""
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
