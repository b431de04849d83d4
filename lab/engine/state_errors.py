"""The files in which an engine keeps what it knows, and what is said where they cannot be used."""

import contextlib
from collections.abc import Generator
from pathlib import Path

from lab.errors import LabError


class LostStateError(LabError):
    """The engine no longer knows what exists: whoever goes on starts afresh."""


class CorruptStateError(LostStateError):
    """A file of the engine's state is not what the engine wrote; the message names it."""

    def __init__(self, path: Path, rule: str) -> None:
        super().__init__(f"{path}: {rule}. `webstack lab up` then starts the lab afresh; `webstack lab down` takes it away")


class StateAccessError(LabError):
    """This machine does not let the engine use a file of its state: nothing is lost, and nothing was changed."""

    def __init__(self, path: object, error: OSError) -> None:
        super().__init__(f"{path} cannot be used: {error.strerror}. Nothing was changed; put that right and run the command again")


@contextlib.contextmanager
def translate_state_errors(folder: Path) -> Generator[None]:
    """Says in words what the engine's own files below `where` refuse.

    Raises CorruptStateError where a folder stands in a file's place, or a file in a folder's; StateAccessError for a full disk, missing
    rights and all else.
    """
    try:
        yield
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise CorruptStateError(_path(error, folder), "is a folder where a file belongs, or a file where a folder belongs") from None
    except OSError as error:
        raise StateAccessError(_path(error, folder), error) from None


def _path(error: OSError, folder: Path) -> Path:
    """What the error speaks of: of two paths the second, which the first was to replace."""
    named = error.filename2 or error.filename
    return Path(named) if isinstance(named, str | Path) else folder
