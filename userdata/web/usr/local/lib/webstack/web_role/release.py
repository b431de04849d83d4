"""The app's release on this host: /opt/app/<hash>, with /opt/app/current naming the one that runs."""

import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

from webstack_host import aws

from web_role import app_bundle

HOME = Path("/opt/app")
COMPLETE = ".installed"
"""Written last into a release: without it the folder is what a killed installation left."""


def install(key: str, sha256: str, *, home: Path = HOME, fetch: Callable[[str], bytes] = aws.fetch_object) -> bool:
    """Fetches, verifies and unpacks the release unless it is here already, and makes it the current one; whether anything changed.

    Raises what `app_bundle.install` raises for a bundle that is not what its name says.
    """
    release, current = home / sha256[:16], home / "current"
    if (release / COMPLETE).exists() and current.resolve() == release.resolve():
        return False
    if not (release / COMPLETE).exists():
        shutil.rmtree(release, ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        app_bundle.install(fetch(key), sha256, release)
        date_by_content(release / "app" / "static")
        (release / COMPLETE).touch()
    draft = home / ".current"
    draft.unlink(missing_ok=True)
    draft.symlink_to(release.name)
    draft.replace(current)
    for other in home.iterdir():
        if other not in (release, current):
            shutil.rmtree(other, ignore_errors=True)
    return True


def date_by_content(folder: Path) -> None:
    """Gives each file a time made from its content.

    Nginx makes an ETag of a file's time and size. The bundle has one time for all, for reproducible builds, so a changed file of the same
    size would keep its ETag; the time of the installation would differ from host to host.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            moment = 1_000_000_000 + zlib.crc32(path.read_bytes()) % 500_000_000
            os.utime(path, (moment, moment))
