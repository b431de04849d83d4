"""Reads the status file that cloud-init keeps about its boot in a running machine.

https://docs.cloud-init.io/en/25.1/explanation/failure_states.html
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

_RECORD = Path("var/lib/cloud/data/status.json")
_CURRENT_BOOT_LINK = Path("run/cloud-init/status.json")
"""A link to the status file. cloud-init makes it at each boot; until then the file is the last boot's."""

_MAX_BYTES = 1024 * 1024
"""The most bytes that are read of the file: the guest owns it and may write anything into it."""

_BROKEN_CONFIG = ("Failed loading yaml blob", "Unhandled non-multipart", "Unexpected failure parsing")
_LAST_STAGE = "modules-final"


@dataclass(frozen=True, kw_only=True)
class CloudInitStatus:
    """cloud-init's status of one boot. `errors` are its own messages, one line each, the most informative first."""

    finished: bool
    errors: tuple[str, ...] = ()


def parse(text: str) -> CloudInitStatus:
    """Parses the status file. Invalid text, such as a half-written file, gives an empty status."""
    try:
        stages = _mapping(_mapping(json.loads(text)).get("v1"))
    except (ValueError, RecursionError):
        return CloudInitStatus(finished=False)
    errors: list[str] = []
    warnings: list[str] = []
    for stage in stages.values():
        errors += _texts(_mapping(stage).get("errors"))
        for said in _mapping(_mapping(stage).get("recoverable_errors")).values():
            warnings += _texts(said)
    broken = [line for beginning in _BROKEN_CONFIG for line in warnings if line.startswith(beginning)]
    finished = bool(_mapping(stages.get(_LAST_STAGE)).get("finished"))
    return CloudInitStatus(finished=finished, errors=tuple(dict.fromkeys(" ".join(line.split()) for line in [*broken, *errors, *warnings])))


def read_status(init_pid: int) -> CloudInitStatus:
    """Returns the status of the machine with this PID 1, an empty one if it has no file yet. Follows no link out of the guest's files."""
    try:
        root = os.open(f"/proc/{init_pid}/root", os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return CloudInitStatus(finished=False)
    try:
        os.stat(_CURRENT_BOOT_LINK, dir_fd=root, follow_symlinks=False)
        return parse(_read_below(root, _RECORD))
    except OSError:
        return CloudInitStatus(finished=False)
    finally:
        os.close(root)


def _read_below(folder: int, path: Path) -> str:
    """Reads a regular file below an open folder. Raises OSError, also if any part of the path is a symbolic link."""
    opened: list[int] = []
    try:
        for part in path.parts[:-1]:
            folder = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            opened.append(folder)
        with os.fdopen(os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb") as file:
            return file.read(_MAX_BYTES).decode(errors="replace")
    finally:
        for number in opened:
            os.close(number)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    return [str(line) for line in cast("list[object]", value)] if isinstance(value, list) else []
