"""A package mirror: serves a folder of .debs like Debian's archive, under the archive's host names.

Hosts that boot the plain image install their packages from it over the network, as they do from the archive on AWS. It is not signed by
Debian, so the image's apt source needs `[trusted=yes]`. Suites other than the release itself are empty.
"""

import gzip
import hashlib
import re
import socket
from email.utils import formatdate
from pathlib import Path

from aiohttp import web

MIRROR_HOSTS = ("deb.debian.org", "cdn-aws.deb.debian.org", "security.debian.org", "repo.mysql.com")
RELEASE_SUITE = "trixie"

_INDEX = "main/binary-amd64/Packages"
_SUITE_FILE = re.compile(r"/(?:[\w./-]+/)?dists/(?P<suite>[\w-]+)/(?P<file>[\w./-]+)")
_PACKAGE = re.compile(r"/(?:[\w./-]+/)?pool/(?P<name>[\w.+~%-]+\.deb)")


class PackageMirror:
    """Serves `folder`, which contains .debs and their `Packages` index with relative names (`Filename: ./x.deb`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = b""
        self._date = ""
        self._runner: web.ServerRunner | None = None

    async def start(self, listening: socket.socket) -> None:
        """Reads the index and serves on a socket that is already listening. Raises OSError if there is no index."""
        index = self._folder / "Packages"
        text = index.read_text()
        self._date = formatdate(index.stat().st_mtime, usegmt=True)
        self._index = re.sub(r"(?m)^Filename: (?:\./)?", "Filename: pool/", text).encode()
        self._runner = web.ServerRunner(web.Server(self._serve), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def stop(self) -> None:
        """Stops serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        package = _PACKAGE.fullmatch(request.path)
        if package is not None:
            file = self._folder / package["name"]
            return web.FileResponse(file) if file.is_file() else _not_found()
        wanted = _SUITE_FILE.fullmatch(request.path)
        content = self.suite_files(wanted["suite"]).get(wanted["file"]) if wanted else None
        if content is None:
            return _not_found()
        return web.Response(body=content, content_type="application/octet-stream")

    def suite_files(self, suite: str) -> dict[str, bytes]:
        """Returns the files below `dists/<suite>/`: the index, compressed and not, and the Release file with the checksums of both."""
        index = self._index if suite == RELEASE_SUITE else b""
        files = {_INDEX: index, f"{_INDEX}.gz": gzip.compress(index, mtime=0)}
        sums = "".join(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n" for name, content in files.items())
        head = f"Origin: Debian\nLabel: webstack lab\nSuite: {suite}\nCodename: {suite}\nDate: {self._date}\n"
        head += "Architectures: amd64\nComponents: main\n"
        return {**files, "Release": f"{head}SHA256:\n{sums}".encode()}


def _not_found() -> web.Response:
    return web.Response(status=404, text="Not in the lab's package mirror.\n")
