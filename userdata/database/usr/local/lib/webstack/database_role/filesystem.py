"""Extends the file system to the size of its volume, while MySQL runs.

A running instance sees an enlarged volume's new size, but the file system keeps its size until it is extended
(docs.aws.amazon.com/ebs/latest/userguide/recognize-expanded-volume-linux.html). A timer checks every few seconds, as does each boot.
"""

from webstack_host import files
from webstack_host.run import CommandError, run

from . import paths

BOOT_TIMEOUT = 10.0
"""Seconds that it may take at boot, while MySQL waits: extending a file system takes a moment. The timer allows more."""


def grow(*, seconds: float = 120.0) -> bool:
    """Extends the file system to the end of its device if necessary. Returns False if that failed; `facts` then reports it.

    MySQL serves all the same, with the existing space.
    """
    try:
        run(["xfs_growfs", "-d", paths.VOLUME], timeout=seconds)
    except (CommandError, OSError) as error:
        print(f"webstack: the data volume's file system was not extended: {error}", flush=True)
        _save_failure(f"{error}\n")
        return False
    _save_failure(None)
    return True


def facts() -> dict[str, str]:
    """Returns the readiness record's facts about it; empty while all is well."""
    try:
        lines = paths.GROWTH_FAILED.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {"data_volume": f"its file system was not extended, and that is tried again: {' '.join(lines)}"}


def _save_failure(failure: str | None) -> None:
    """Stores a failure for the readiness record. If the root disk is full or read-only, it is missing there, but MySQL is not affected."""
    try:
        if failure is None:
            paths.GROWTH_FAILED.unlink(missing_ok=True)
        else:
            files.write(paths.GROWTH_FAILED, failure)
    except OSError as error:
        print(f"webstack: {paths.GROWTH_FAILED} could not be written: {error}", flush=True)
