"""What labs change on the machine as a whole, outside any lab's own names: recorded by the first lab, put back after the last.

The record lies beside the labs' state, so that any clone, and a tear-down after a crash, finds it.
"""

import contextlib
import fcntl
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lab.files import make_private_dir
from lab.hypervisor import namespaces
from lab.hypervisor.run import run
from lab.names import STATE_ROOT, LabNames

_SYSCTLS = {"fs/inotify/max_user_instances": 8192}
"""All guests are root of one kernel and share root's allowance; with the usual 128 the systemd of the thirtieth host fails."""

_ORIGINALS_FILE = STATE_ROOT / "machine.json"


def acquire(names: LabNames) -> None:
    """Makes the lab's state folder and what all labs need of the machine; the first lab writes down how it found the machine."""
    with _locked():
        if not _ORIGINALS_FILE.exists():
            before = {path: Path("/proc/sys", path).read_text().strip() for path in _SYSCTLS}
            scratch = _ORIGINALS_FILE.with_suffix(".new")
            scratch.write_text(json.dumps({"sysctls": before, "netns_folder": namespaces.NETNS_DIR.exists()}))
            scratch.rename(_ORIGINALS_FILE)
        names.make_state_dir()
        for path, least in _SYSCTLS.items():
            file = Path("/proc/sys", path)
            if int(file.read_text()) < least:
                file.write_text(str(least))


def release() -> None:
    """After a lab's state folder has been removed: if it was the last lab, puts the machine back as the first one found it."""
    if not STATE_ROOT.is_dir():
        return
    labs = STATE_ROOT / "labs"
    with _locked():
        if labs.is_dir() and any(labs.iterdir()):
            return
        if _ORIGINALS_FILE.exists():
            record = json.loads(_ORIGINALS_FILE.read_text())
            for path, value in record["sysctls"].items():
                Path("/proc/sys", path).write_text(value)
            if not record["netns_folder"] and not namespaces.names():
                _unmount_netns_folder()
            _ORIGINALS_FILE.unlink()
        with contextlib.suppress(OSError):
            labs.rmdir()
        (STATE_ROOT / ".lock").unlink()
    with contextlib.suppress(OSError):
        STATE_ROOT.rmdir()


def _unmount_netns_folder() -> None:
    if namespaces.NETNS_DIR.is_mount():
        run(["umount", namespaces.NETNS_DIR])
    with contextlib.suppress(OSError):
        namespaces.NETNS_DIR.rmdir()


@contextmanager
def _locked() -> Generator[None]:
    make_private_dir(STATE_ROOT)
    with (STATE_ROOT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
