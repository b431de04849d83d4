"""Errors of the engine's state files."""

import contextlib
from collections.abc import Generator
from pathlib import Path

from lab.errors import LabError


class LostStateError(LabError):
    """The engine's state no longer shows what exists: the lab must be started afresh."""


class CorruptStateError(LostStateError):
    """A file of the engine's state is corrupt; the message names it."""

    def __init__(self, path: Path, rule: str) -> None:
        super().__init__(f"{path}: {rule}. `webstack lab up` then starts the lab afresh; `webstack lab down` removes it")


class StateAccessError(LabError):
    """The operating system refuses access to a file of the engine's state. Nothing is lost, and nothing was changed."""

    def __init__(self, path: object, error: OSError) -> None:
        super().__init__(f"{path} cannot be used: {error.strerror}. Nothing was changed; fix the cause and run the command again")


@contextlib.contextmanager
def translate_state_errors(folder: Path) -> Generator[None]:
    """Translates OSErrors about the engine's files below `folder`.

    Raises CorruptStateError if a folder is in a file's place or a file in a folder's, and StateAccessError for a full disk, missing
    permissions and everything else.
    """
    try:
        yield
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise CorruptStateError(_path(error, folder), "is a folder where a file belongs, or a file where a folder belongs") from None
    except OSError as error:
        raise StateAccessError(_path(error, folder), error) from None


def _path(error: OSError, folder: Path) -> Path:
    """Returns the error's path; of two paths the second, which was to be replaced."""
    named = error.filename2 or error.filename
    return Path(named) if isinstance(named, str | Path) else folder
