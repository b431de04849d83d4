"""The file system takes the size of its volume: while MySQL runs, and never in its way.

A volume that is made larger shows its new size to the running instance; its file system stays as it was until somebody extends it
(docs.aws.amazon.com/ebs/latest/userguide/recognize-expanded-volume-linux.html). A timer looks every few seconds; so does each boot.
"""

from webstack_host import files
from webstack_host.run import CommandError, run

from . import paths

BOOT_TIMEOUT = 10.0
"""Seconds that a boot has for it: to extend a file system takes a moment, and MySQL waits for the boot. The timer has more patience."""


def grow(*, seconds: float = 120.0) -> bool:
    """Extends the file system to its device's end, where it does not reach there already; False, and told by `facts`, where that failed.

    MySQL serves all the same from the space that there is.
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
    """What the readiness record tells of it: nothing while all is well."""
    try:
        lines = paths.GROWTH_FAILED.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {"data_volume": f"its file system was not extended, and that is tried again: {' '.join(lines)}"}


def _save_failure(failure: str | None) -> None:
    """Keeps a failure for the readiness record. A root disk that is full or read-only keeps it out of there, and MySQL from nothing."""
    try:
        if failure is None:
            paths.GROWTH_FAILED.unlink(missing_ok=True)
        else:
            files.write(paths.GROWTH_FAILED, failure)
    except OSError as error:
        print(f"webstack: {paths.GROWTH_FAILED} could not be written: {error}", flush=True)
