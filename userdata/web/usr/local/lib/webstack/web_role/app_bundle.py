"""Installs the app's bundle: verifies its sources, makes a virtual environment from its wheels, offline, then switches to it."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

TARGET = Path("/opt/app")
# Debian's package python3-venv brings pip as a wheel here.
PIP_WHEELS = Path("/usr/share/python-wheels")
FORMAT = "webstack app 1 cp313 manylinux_2_40_x86_64"
INSTALLED_MARKER = ".installed"


class BundleError(Exception):
    """The bundle is invalid or cannot be installed; the message says why."""


def install(tarball: Path, sha256: str, target: Path = TARGET, *, pip_wheels: Path = PIP_WHEELS) -> Path:
    """Installs the bundle `sha256` as `target`/releases/`sha256`, points `target`/current at it, and returns the release's folder.

    The release contains `app` (the sources) and `venv`. Does nothing if it is already installed. Raises BundleError, and then leaves
    `current` unchanged.
    """
    release = target / "releases" / sha256
    if not (release / INSTALLED_MARKER).exists():
        umask = os.umask(0o022)
        try:
            # Made at its final path, because a virtual environment's scripts contain it. Complete only once INSTALLED exists.
            shutil.rmtree(release, ignore_errors=True)
            release.mkdir(parents=True)
            _unpack(tarball, release)
            _verify(release / "app", sha256)
            _make_environment(release, pip_wheels)
            shutil.rmtree(release / "wheels", ignore_errors=True)
            (release / INSTALLED_MARKER).touch()
        except BaseException:
            shutil.rmtree(release, ignore_errors=True)
            raise
        finally:
            os.umask(umask)
    _switch(target, release)
    return release


def manifest_hash(app: Path) -> str:
    """Returns the hash that names these sources: of the format line, and each file's path, mode and content hash (see stack/bundles.py)."""
    lines = [f"{FORMAT}\n"]
    for path in sorted((path for path in app.rglob("*") if not path.is_dir()), key=lambda path: path.relative_to(app).as_posix()):
        mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{path.relative_to(app).as_posix()}\0{mode:o}\0{digest}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _unpack(tarball: Path, folder: Path) -> None:
    """Unpacks `app/` and `wheels/`, plain files only. The data filter rejects every path that leads out of `folder`."""
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            for member in archive:
                if not member.isfile() or member.name.split("/")[0] not in {"app", "wheels"}:
                    raise BundleError(
                        f"{tarball} holds {member.name!r}: only plain files under app/ and wheels/ belong into an app's bundle"
                    )
                archive.extract(member, folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BundleError(f"{tarball} cannot be unpacked: {error}") from error


def _verify(app: Path, sha256: str) -> None:
    for name in ("wsgi.py", "requirements.lock"):
        if not (app / name).is_file():
            raise BundleError(f"the bundle has no app/{name}")
    found = manifest_hash(app)
    if found != sha256:
        raise BundleError(f"the bundle's sources have the hash {found}, not {sha256}: it is damaged or not the one meant; upload it again")


def _make_environment(release: Path, pip_wheels: Path) -> None:
    pips = sorted(pip_wheels.glob("pip-*.whl"))
    if not pips:
        raise BundleError(f"{pip_wheels} holds no pip: the package python3-venv is missing")
    environment = release / "venv"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(environment)
    # A wheel is importable as it is: the environment's Python runs pip from pip's own wheel. Each wheel is verified against its hash in the
    # lock file, which the bundle's name covers.
    command = [str(environment / "bin" / "python"), f"{pips[-1]}/pip", "--isolated"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--no-cache-dir", "install", "--no-index", "--no-deps"]
    command += ["--no-compile", "--only-binary", ":all:", "--require-hashes", "--find-links", str(release / "wheels")]
    command += ["--requirement", str(release / "app" / "requirements.lock")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BundleError("pip could not install the wheels:\n" + "\n".join(result.stderr.strip().splitlines()[-5:]))
    # The service may not write here: without bytecode every worker would compile everything at every start.
    # A file that cannot be compiled is not an error (packages include samples for other Pythons); importing it would fail.
    compile_all = [sys.executable, "-m", "compileall", "-qq", "-j", "0", str(release / "app"), str(environment / "lib")]
    subprocess.run(compile_all, capture_output=True, check=False)


def _switch(target: Path, release: Path) -> None:
    """Points `current` at the release atomically, and removes all releases but it and the previous one."""
    current = target / "current"
    before = current.resolve() if current.is_symlink() else None
    draft = target / ".current"
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("releases") / release.name)
    draft.replace(current)
    for other in (target / "releases").iterdir():
        if other.name != release.name and other != before:
            shutil.rmtree(other, ignore_errors=True)
