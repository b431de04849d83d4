"""Who may use this machine while a test runs. Two workers share it; a test that times what it sees has it for itself.

Two locks on files, so that a worker that dies holds neither: `turn` is held while somebody waits for the machine, so that one who wants
it alone is not passed by for ever; `machine` is held for as long as the test runs.
"""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOCKS: Final = Path("/run/lock")


@contextmanager
def machine_lock(*, exclusive: bool, folder: Path = LOCKS) -> Generator[None]:
    """Waits for this machine, and holds it: alone, or beside others that do not ask to be alone."""
    with (folder / "webstack-tests.machine").open("w") as held:
        with (folder / "webstack-tests.turn").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(held, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
