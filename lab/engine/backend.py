"""Where the engine keeps a lab's stack: Pulumi's own file backend, and what a killed engine may have left of it."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.errors import LabError
from lab.files import write_whole

_META = "version: 1\n"
"""What the backend writes into `.pulumi/meta.yaml` (pulumi/pulumi, pkg/backend/diy/meta.go); without it, it takes the store for an old one
and finds no stack."""


class LostStateError(LabError):
    """The engine no longer knows what exists: whoever goes on starts afresh."""


class DamagedStateError(LostStateError):
    """A file of the engine's state is empty or cut off; the message names it."""

    def __init__(self, path: Path, rule: str) -> None:
        super().__init__(
            f"{path}: {rule}, as a killed engine or a full disk leaves it. `webstack lab up` then starts the lab afresh; "
            "`webstack lab down` takes it away"
        )


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

    def open(self, project: str, stack: str) -> None:
        """Makes the folder what an engine can start on, whatever the last one left. Raises DamagedStateError."""
        store = self.folder / ".pulumi"
        store.mkdir(parents=True, exist_ok=True)
        for stale in (*(store / "locks").rglob("*.json"), *store.rglob("*.attrs")):
            stale.unlink()
        meta = store / "meta.yaml"
        if meta.exists() and not _is_meta(meta):
            write_whole(meta, _META)
        checkpoint = store / "stacks" / project / f"{stack}.json"
        if checkpoint.exists() and not _is_object(checkpoint):
            raise DamagedStateError(checkpoint, "is not a whole JSON object")
        if not self.passphrase_file.exists() or not self.passphrase_file.read_text().strip():
            if checkpoint.exists():
                raise DamagedStateError(self.passphrase_file, "holds no passphrase, and the state is encrypted with one")
            write_whole(self.passphrase_file, secrets.token_urlsafe(32), mode=0o600)


def _is_object(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:
        return False


def _is_meta(path: Path) -> bool:
    try:
        loaded: object = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError):
        return False
    return isinstance(loaded, dict) and "version" in loaded
