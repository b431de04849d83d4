"""Machine-wide settings that labs change: the first lab records the old values, and they are restored after the last.

The record is stored beside the labs' state, where any clone finds it, also after a crash.
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
"""All guests run as root on one kernel and share root's limit; with the default of 128 systemd fails in the thirtieth host."""

_ORIGINALS_FILE = STATE_ROOT / "machine.json"


def acquire(names: LabNames) -> None:
    """Makes the lab's state folder and applies the settings that labs need. The first lab records the old values."""
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
    """Restores the recorded settings if no lab is left. Call it after removing a lab's state folder."""
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
