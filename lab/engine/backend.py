"""Where the engine keeps a lab's stack: Pulumi's own file backend, and what a killed engine may have left of it."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lab.engine import stack_yaml
from lab.engine.state_errors import CorruptStateError, translate_state_errors
from lab.files import write_atomic

_META = "version: 1\n"
"""What the backend writes into `.pulumi/meta.yaml` (pulumi/pulumi, pkg/backend/diy/meta.go); without it, it takes the store for an old one
and finds no stack."""

_CRASH_HINT = "as a killed engine or a full disk leaves it"


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The stacks of one engine, in a folder."""

    folder: Path
    passphrase_file: Path

    @property
    def url(self) -> str:
        """The backend's address. No attributes are kept beside its files (gocloud.dev/blob/fileblob, `metadata=skip`): nothing here reads
        them, they are not written in one step, and one that is empty keeps the engine from reading its state."""
        return f"{self.folder.as_uri()}?metadata=skip"

    def prepare(self, project: str, stack: str) -> None:
        """Makes the folder what an engine can start on, whatever the last one left. Raises CorruptStateError, StateAccessError."""
        with translate_state_errors(self.folder):
            self._prepare(project, stack)

    def _prepare(self, project: str, stack: str) -> None:
        store = self.folder / ".pulumi"
        store.mkdir(parents=True, exist_ok=True)
        for stale in (*(store / "locks").rglob("*.json"), *store.rglob("*.attrs")):
            stale.unlink()
        meta = store / "meta.yaml"
        if meta.exists() and not _is_meta(meta):
            write_atomic(meta, _META)
        checkpoint = checkpoint_file(self.folder, project, stack)
        if checkpoint.exists() and not _is_checkpoint(checkpoint):
            raise CorruptStateError(checkpoint, f"is not a whole checkpoint of a stack, {_CRASH_HINT}")
        if not _has_passphrase(self.passphrase_file):
            if checkpoint.exists():
                raise CorruptStateError(self.passphrase_file, f"holds no passphrase, {_CRASH_HINT}, and the state is encrypted with one")
            write_atomic(self.passphrase_file, secrets.token_urlsafe(32), mode=0o600)


def checkpoint_file(folder: Path, project: str, stack: str) -> Path:
    """Where a backend in that folder keeps what the engine knows of a stack."""
    return folder / ".pulumi" / "stacks" / project / f"{stack}.json"


def _is_checkpoint(path: Path) -> bool:
    """Whether a file holds a stack as the engine writes it, from its first moment on: the version of the form, and the latest deployment.

    Without the latter the engine takes the stack for an empty one, and would make everything a second time
    (pulumi/pulumi, sdk/go/common/apitype/core.go, VersionedCheckpoint and CheckpointV3).
    """
    try:
        loaded: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    checkpoint = _of(loaded, "checkpoint")
    return isinstance(_of(loaded, "version"), int) and isinstance(_of(checkpoint, "latest"), dict)


def _of(value: object, key: str) -> object:
    return cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None


def _is_meta(path: Path) -> bool:
    try:
        return _of(stack_yaml.parse(path.read_bytes()), "version") is not None
    except stack_yaml.YamlError:
        return False


def _has_passphrase(path: Path) -> bool:
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except (FileNotFoundError, UnicodeDecodeError):
        return False
