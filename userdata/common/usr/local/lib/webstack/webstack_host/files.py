"""Atomic file writes."""

import grp
import os
import pwd
import tempfile
from pathlib import Path


def write(path: str | Path, content: str | bytes, *, owner: str = "root", group: str = "root", mode: int = 0o644) -> bool:
    """Replaces the file at `path` atomically, with owner and mode set from the start. Returns whether anything changed."""
    return write_for(path, content, uid=pwd.getpwnam(owner).pw_uid, gid=grp.getgrnam(group).gr_gid, mode=mode)


def write_for(path: str | Path, content: str | bytes, *, uid: int, gid: int, mode: int) -> bool:
    """Like `write`, for an owner without a permanent name, such as systemd's dynamic users."""
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and not path.is_symlink():
        status = path.stat()
        if (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (uid, gid, mode) and path.read_bytes() == data:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return True


def directory(path: str | Path, *, owner: str = "root", group: str = "root", mode: int = 0o755) -> Path:
    """Makes a folder if it does not exist, and sets its owner and mode."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    path.chmod(mode)
    return path
