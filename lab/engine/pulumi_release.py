"""Pulumi's own release of the CLI, checked before anything of it runs.

The archive comes from Pulumi's download site and the sums that it is held against from the release on GitHub, so that neither alone decides
what runs here. (Pulumi's installer checks nothing: https://get.pulumi.com/install.sh. What a release has:
https://github.com/pulumi/pulumi/releases.)
"""

import hashlib
import platform
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from lab.errors import LabError

ARCHIVE: Final = "https://get.pulumi.com/releases/sdk/{name}"
CHECKSUMS: Final = "https://github.com/pulumi/pulumi/releases/download/v{version}/SHA512SUMS"

DEADLINE: Final = 180
"""Seconds that the downloads may take together before another way is tried."""

_READ_TIMEOUT: Final = 20
"""Seconds without a byte after which a site counts as dead."""

_PROGRAM_FOLDERS: Final = ("pulumi", "bin")
"""The folders of the archive that programs are in: of today's, and of older ones."""


class ReleaseError(LabError):
    """The release cannot be fetched, or is not what it should be; the text says which."""


def install(root: Path, version: str) -> None:
    """Puts the programs of a release into `<root>/bin`, `pulumi` last. Raises ReleaseError and OSError; then nothing of it is there."""
    name = archive_name(version)
    until = time.monotonic() + DEADLINE
    sums = b"".join(_fetch(CHECKSUMS.format(version=version), until)).decode(errors="replace")
    with tempfile.TemporaryFile() as archive:
        digest = hashlib.sha512()
        for block in _fetch(ARCHIVE.format(name=name), until):
            digest.update(block)
            archive.write(block)
        verify_checksum(name, digest.hexdigest(), sums)
        archive.seek(0)
        unpack(archive, root / "bin")


def archive_name(version: str) -> str:
    """The release's archive for this machine. Raises ReleaseError where there is none."""
    system, machine = platform.system().lower(), {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    if system not in ("linux", "darwin") or machine is None:
        raise ReleaseError(f"Pulumi has no release for {platform.system()} on {platform.machine()}")
    return f"pulumi-v{version}-{system}-{machine}.tar.gz"


def verify_checksum(name: str, digest: str, sums: str) -> None:
    """Raises ReleaseError unless `sums` (lines as of sha512sum) has exactly this SHA-512 for the archive."""
    wanted = {
        words[0].lower() for words in (line.split() for line in sums.splitlines()) if len(words) == 2 and words[1].lstrip("*") == name
    }
    if not wanted:
        raise ReleaseError(f"the release has no sum for {name}")
    if wanted != {digest}:
        raise ReleaseError(f"{name} is not what the release says: its SHA-512 is {digest}, and should be {' or '.join(sorted(wanted))}")


def unpack(archive: BinaryIO, folder: Path) -> None:
    """Takes the programs out of an archive: its regular files, by their last name, whatever else is in it. Raises ReleaseError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, tarfile.open(fileobj=archive) as tar:
        for member in tar:
            if member.isreg() and PurePosixPath(member.name).parent.name in _PROGRAM_FOLDERS and (content := tar.extractfile(member)):
                program = Path(scratch, PurePosixPath(member.name).name)
                program.write_bytes(content.read())
                program.chmod(0o755)
        if not Path(scratch, "pulumi").exists():
            raise ReleaseError("the archive has no program `pulumi`")
        for program in sorted(Path(scratch).iterdir(), key=lambda one: one.name == "pulumi"):
            program.replace(folder / program.name)


def _fetch(url: str, until: float) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=_READ_TIMEOUT) as answer:
            while block := answer.read(1 << 20):
                if time.monotonic() > until:
                    raise ReleaseError(f"{url} took longer than {DEADLINE} s")
                yield block
    except HTTPException as error:
        raise ReleaseError(f"{url} ended early: {error!r}") from None
