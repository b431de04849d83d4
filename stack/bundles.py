"""What hosts fetch from the artifact bucket: each role's static files, and the app with its wheels.

Both are named by a hash and made to the byte alike on every machine, so that a preview tells no difference where there is none:
a role's bundle by the hash of its bytes, the app's by the hash of its sources (with requirements.lock, which fixes every wheel), so
that its name is known before any wheel is fetched.
"""

import hashlib
import io
import os
import re
import stat
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

import pulumi

from stack.wheels import WHEEL_TARGET, WheelsError, download_wheels

USERDATA = Path(__file__).resolve().parent.parent / "userdata"

# Never part of a bundle: what tools leave behind.
IGNORED_FOLDERS = frozenset({"__pycache__", ".git", ".venv", "venv", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
# `.env` is where people keep secrets while they develop: a bundle holds none.
IGNORED_FILES = frozenset({".env", ".DS_Store"})
IGNORED_SUFFIXES = (".pyc", ".pyo", ".swp", "~")

_MAX_BLOCK = 0xFFFF
"""Bytes that a stored block of gzip holds at most."""

REQUIRED_APP_FILES = {
    "wsgi.py": "the module that holds the WSGI callable",
    "requirements.lock": "all that the app needs, resolved and with hashes "
    "(uv pip compile requirements.in -o requirements.lock --generate-hashes --python-version 3.13 "
    "--python-platform x86_64-manylinux_2_40)",
}


class BundleError(pulumi.RunError):
    """A bundle cannot be made; the engine shows the text alone: what was given, the rule and the remedy."""


@dataclass(frozen=True, kw_only=True)
class BuiltBundle:
    """A bundle: its key in the artifact bucket, the hash that names it, and its file here (None: not built, see `app_bundle`)."""

    key: str
    sha256: str
    path: Path | None


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One file of a bundle: its name there, and what was read of it here. `link` is a symbolic link's target; then there is no content."""

    name: str
    path: Path
    sha256: str = hashlib.sha256().hexdigest()
    size: int = 0
    executable: bool = False
    link: str | None = None

    @property
    def mode(self) -> int:
        return 0o755 if self.executable else 0o644


def cache_folder() -> Path:
    """Where built bundles are kept: `WEBSTACK_CACHE` or `~/.cache/webstack`, folder `bundles`."""
    return Path(os.environ.get("WEBSTACK_CACHE") or Path.home() / ".cache" / "webstack") / "bundles"


def role_bundle(role: str, *, userdata: Path = USERDATA) -> BuiltBundle:
    """The static files (all but *.j2) that hosts of `role` get: `common` and the role's own, at their paths on the host.

    Raises BundleError for a role without files and for two files of one path.
    """
    if not (userdata / role).is_dir():
        raise BundleError(f"there is no role {role!r}: {userdata} has no folder of this name")
    entries: dict[str, _Entry] = {}
    for tree in (userdata / "common", userdata / role):
        for entry in _walk(tree, links=True):
            if entry.name.endswith(".j2"):
                continue
            if entry.name in entries:
                raise BundleError(f"both userdata/common and userdata/{role} have {entry.name}: a host's file has one source; remove one")
            entries[entry.name] = entry
    buffer = io.BytesIO()
    _pack(entries.values(), buffer)
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    key = f"roles/{role}/{sha256}.tar.gz"
    return BuiltBundle(key=key, sha256=sha256, path=_cache(key, lambda file: file.write(buffer.getvalue())))


def app_bundle(app_dir: Path, *, build: bool) -> BuiltBundle:
    """The app of `app_dir` with its wheels for the hosts.

    build: fetch the wheels and make the file unless the cache has it. A preview needs the name alone: without `build` nothing is made,
    and `path` is None unless the cache has the file.
    Raises BundleError for a folder that is no app, or when wheels cannot be fetched.
    """
    _check_app(app_dir)
    sources = list(_walk(app_dir, links=False))
    sha256 = manifest_hash(sources)
    key = f"app/{sha256}.tar.gz"
    path = cache_folder() / key
    if path.is_file():
        return BuiltBundle(key=key, sha256=sha256, path=path)
    if not build:
        return BuiltBundle(key=key, sha256=sha256, path=None)
    with tempfile.TemporaryDirectory() as folder:
        try:
            wheels = download_wheels(app_dir / "requirements.lock", Path(folder))
        except WheelsError as error:
            raise BundleError(f"the wheels of {app_dir}/requirements.lock cannot be fetched: {error}") from None
        entries = [replace(entry, name=f"app/{entry.name}") for entry in sources]
        entries += [_hash_file(f"wheels/{wheel.name}", wheel, executable=False) for wheel in wheels]
        return BuiltBundle(key=key, sha256=sha256, path=_cache(key, lambda file: _pack(entries, file, content_mtimes=True)))


def manifest_hash(sources: Iterable[_Entry]) -> str:
    """The hash that names an app: over a first line with the format and target, then path, mode and content's hash of each file.

    The host computes the same from what it has unpacked (userdata/web/…/web_role/app_bundle.py).
    """
    lines = [f"webstack app 1 {WHEEL_TARGET}\n"]
    lines += [f"{entry.name}\0{entry.mode:o}\0{entry.sha256}\n" for entry in sorted(sources, key=lambda entry: entry.name)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check_app(app_dir: Path) -> None:
    if not app_dir.is_dir():
        raise BundleError(f"the app's folder {app_dir} does not exist: give the path of a folder with a WSGI app")
    for name, meaning in REQUIRED_APP_FILES.items():
        if not (app_dir / name).is_file():
            raise BundleError(f"{app_dir} holds no app: it lacks {name}, {meaning}")
    lock = _logical_lines(app_dir / "requirements.lock")
    lines = [line for line in lock if re.match(r"[A-Za-z0-9]", line)]
    bare = [line.split()[0] for line in lines if "--hash=" not in line]
    if bare:
        raise BundleError(
            f"{app_dir}/requirements.lock has no hash for {', '.join(bare)}: hosts install nothing unverified; "
            "resolve it anew with uv pip compile --generate-hashes"
        )
    marked = [line.split()[0] for line in lines if ";" in line]
    if marked:
        # pip judges markers by the Python that it runs under: this machine would choose other wheels than the hosts need.
        raise BundleError(
            f"{app_dir}/requirements.lock has a condition (after a semicolon) for {', '.join(marked)}: it must be resolved for the hosts "
            "alone; use uv pip compile --python-version 3.13 --python-platform x86_64-manylinux_2_40"
        )


def _logical_lines(lock: Path) -> list[str]:
    """The lines of a lock, each as one though it goes on. Raises BundleError where it is no text or cannot be read."""
    try:
        return lock.read_bytes().decode().replace("\\\n", " ").splitlines()
    except OSError as error:
        raise _unreadable(lock, error) from None
    except UnicodeDecodeError as error:
        raise BundleError(f"{lock} is no UTF-8 text (byte {error.start + 1}): resolve it anew with uv pip compile") from None


def _unreadable(path: Path | str, error: OSError) -> BundleError:
    return BundleError(f"{path} cannot be read ({error.strerror}): let this user read it, or put it somewhere else")


def _raise_unreadable(error: OSError) -> None:
    raise _unreadable(error.filename, error)


def _check_name(path: Path, relative: str) -> None:
    """Raises BundleError for a name whose bytes are no UTF-8: the hash that names a bundle is over texts."""
    try:
        relative.encode()
    except UnicodeEncodeError:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise BundleError(f"{shown} has a name that is no UTF-8 text: rename it, or put it somewhere else") from None


def _walk(tree: Path, *, links: bool) -> Iterator[_Entry]:
    """The files of a folder, sorted by path."""
    for folder, folders, names in os.walk(tree, onerror=_raise_unreadable):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS)
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *linked]):
            path = Path(folder) / name
            relative = path.relative_to(tree).as_posix()
            if name in IGNORED_FILES or name.endswith(IGNORED_SUFFIXES):
                continue
            _check_name(path, relative)
            if path.is_symlink():
                if not links:
                    raise BundleError(f"{path} is a symbolic link: an app's bundle holds plain files only; put the file itself there")
                yield _Entry(name=relative, path=path, link=str(path.readlink()))
            elif path.is_file():
                yield _hash_file(relative, path, executable=bool(path.stat().st_mode & stat.S_IXUSR))
            else:
                raise BundleError(f"{path} is neither a file nor a folder: remove it")


def _hash_file(name: str, path: Path, *, executable: bool) -> _Entry:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return _Entry(name=name, path=path, sha256=sha256, size=file.tell(), executable=executable)
    except OSError as error:
        raise _unreadable(path, error) from None


def _pack(entries: Iterable[_Entry], target: IO[bytes], *, content_mtimes: bool = False) -> None:
    """Writes a tar archive, in gzip's form, that depends on nothing but names, contents and modes. It lists no folders, so that unpacking
    changes none. A file is read and written in pieces: a bundle may be larger than this machine's memory.

    times: give each file a time that its content decides. Nginx makes a file's ETag of its time and size alone: with one time for
    all, a changed file of the same size would pass for the old one.
    Raises BundleError where a file is no longer what it was when the bundle got its name.
    """
    packed = _StoredGzip(target)
    # A stream of tarfile's is asked for nothing but to be written to.
    with tarfile.open(fileobj=cast("IO[bytes]", packed), mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for entry in sorted(entries, key=lambda entry: entry.name):
            info = tarfile.TarInfo(entry.name)
            info.mode = entry.mode
            if entry.link is not None:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
            info.size = entry.size
            info.mtime = 1_000_000_000 + int(entry.sha256[:7], 16) if content_mtimes else 0
            if entry.link is not None:
                archive.addfile(info)
                continue
            with entry.path.open("rb") as file:
                same = os.fstat(file.fileno()).st_size == entry.size
                content = _HashingReader(file)
                if same:
                    archive.addfile(info, content)
            if not same or content.sha256.hexdigest() != entry.sha256:
                raise BundleError(f"{entry.path} was changed while its bundle was made: run `up` again when nobody writes there")
    packed.close()


class _HashingReader:
    """A file that is read, and the hash of what has been."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        return data


class _StoredGzip:
    """Writes a gzip file of stored blocks (RFC 1951, 1952): zlib's releases compress differently, and then a source would have two hashes.

    Nothing is lost by it: wheels are compressed already, and a role's files are small.
    """

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._block = bytearray()
        self._crc = self._length = 0
        target.write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")

    def write(self, data: bytes, /) -> int:
        self._crc, self._length = zlib.crc32(data, self._crc), self._length + len(data)
        self._block += data
        while len(self._block) > _MAX_BLOCK:
            self._write_block(self._block[:_MAX_BLOCK], last=False)
            del self._block[:_MAX_BLOCK]
        return len(data)

    def close(self) -> None:
        """Writes what ends the file, and leaves the target open."""
        self._write_block(self._block, last=True)
        self._target.write(struct.pack("<II", self._crc, self._length & 0xFFFFFFFF))

    def _write_block(self, block: bytes | bytearray, *, last: bool) -> None:
        self._target.write(struct.pack("<BHH", last, len(block), len(block) ^ _MAX_BLOCK) + block)


def _cache(key: str, write: Callable[[IO[bytes]], object]) -> Path:
    """Puts a bundle into the cache, whole or not at all."""
    path = cache_folder() / key
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
            try:
                write(draft)
            except BaseException:
                Path(draft.name).unlink()
                raise
        Path(draft.name).chmod(0o644)
        Path(draft.name).replace(path)
    return path
