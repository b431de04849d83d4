"""Downloads Pulumi's own release of the CLI and verifies it before use.

The archive comes from Pulumi's download site and its checksums from the release on GitHub, so that neither site alone decides what runs
here. (Pulumi's installer verifies nothing: https://get.pulumi.com/install.sh. The files of a release:
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
"""Seconds that all downloads together may take."""

_READ_TIMEOUT: Final = 20
"""Seconds without data after which a download fails."""

_PROGRAM_FOLDERS: Final = ("pulumi", "bin")
"""The folders of programs in the archive: in current releases, and in older ones."""


class ReleaseError(LabError):
    """The release cannot be downloaded, or fails verification; the message says which."""


def install(root: Path, version: str) -> None:
    """Installs a release's programs into `<root>/bin`, `pulumi` last. Raises ReleaseError and OSError, and then leaves nothing behind."""
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
    """Returns the name of the release's archive for this machine. Raises ReleaseError if there is none."""
    system, machine = platform.system().lower(), {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    if system not in ("linux", "darwin") or machine is None:
        raise ReleaseError(f"Pulumi has no release for {platform.system()} on {platform.machine()}")
    return f"pulumi-v{version}-{system}-{machine}.tar.gz"


def verify_checksum(name: str, digest: str, sums: str) -> None:
    """Raises ReleaseError unless `sums` (in sha512sum's format) has exactly this SHA-512 for the archive."""
    wanted = {
        words[0].lower() for words in (line.split() for line in sums.splitlines()) if len(words) == 2 and words[1].lstrip("*") == name
    }
    if not wanted:
        raise ReleaseError(f"the release has no checksum for {name}")
    if wanted != {digest}:
        raise ReleaseError(f"{name} does not match the release: its SHA-512 is {digest}, and should be {' or '.join(sorted(wanted))}")


def unpack(archive: BinaryIO, folder: Path) -> None:
    """Extracts the programs from an archive: only its regular files, by base name. Raises ReleaseError."""
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
