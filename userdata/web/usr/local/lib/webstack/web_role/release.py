"""The app's release on this host: installed under /opt/app/releases; /opt/app/current points to the one that runs."""

import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from webstack_host import aws
from webstack_host.errors import PermanentError

from web_role import app_bundle

HOME = app_bundle.TARGET

Fetch = Callable[[str, IO[bytes]], None]
"""Writes the object of a key into a file."""


def install(key: str, sha256: str, *, home: Path = HOME, fetch: Fetch = aws.download_object) -> bool:
    """Downloads, verifies and installs the release unless it is current. Returns whether anything changed.

    Raises PermanentError for a bundle that does not match its name.
    """
    release, current = home / "releases" / sha256, home / "current"
    if (release / app_bundle.INSTALLED_MARKER).exists() and current.resolve() == release.resolve():
        return False
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=home, prefix=".bundle-") as tarball:
        fetch(key, tarball)
        tarball.flush()
        try:
            app_bundle.install(Path(tarball.name), sha256, home)
        except app_bundle.BundleError as error:
            raise PermanentError(str(error)) from error
    set_mtime_from_content(release / "app" / "static")
    return True


def set_mtime_from_content(folder: Path) -> None:
    """Sets each file's modification time to a value derived from its content.

    Nginx derives ETags from a file's time and size. All files in the bundle have the same time, for reproducible builds, so a changed file
    of the same size would keep its ETag; the time of the installation would differ between hosts.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            moment = 1_000_000_000 + _crc(path) % 500_000_000
            os.utime(path, (moment, moment))


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value
