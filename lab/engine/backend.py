"""The engine's storage of a lab's stack: Pulumi's own file backend, with checks for what a killed engine may leave."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lab.engine import stack_yaml
from lab.engine.state_errors import CorruptStateError, translate_state_errors
from lab.files import write_atomic

_META = "version: 1\n"
"""The content of the backend's `.pulumi/meta.yaml` (pulumi/pulumi, pkg/backend/diy/meta.go). Without it the backend assumes an old format
and finds no stack."""

_CRASH_HINT = "as a killed engine or a full disk leaves it"


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The stacks of one engine, in a folder."""

    folder: Path
    passphrase_file: Path

    @property
    def url(self) -> str:
        """The backend's URL. `metadata=skip` (gocloud.dev/blob/fileblob) stores no attribute files beside the state: nothing reads them,
        they are not written atomically, and an empty one makes the state unreadable."""
        return f"{self.folder.as_uri()}?metadata=skip"

    def prepare(self, project: str, stack: str) -> None:
        """Prepares the folder for an engine, whatever the last one left. Raises CorruptStateError and StateAccessError."""
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
    """Returns the file of a stack's state in a backend's folder."""
    return folder / ".pulumi" / "stacks" / project / f"{stack}.json"


def _is_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint as the engine always writes it: with the format's version and the latest deployment.

    Without the deployment the engine would take the stack for an empty one and create everything a second time
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
