"""Wheels for the hosts (Debian 13: Python 3.13, glibc 2.41, x86-64), fetched on whatever machine this is."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

WHEEL_TARGET = "cp313 manylinux_2_40_x86_64"
# pip takes a wheel for the very tags it is given: every older glibc must be named as well. https://peps.python.org/pep-0600/
PLATFORM_TAGS = [
    *(f"manylinux_2_{minor}_x86_64" for minor in range(40, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
    "linux_x86_64",
]
PIP_TIMEOUT = 300


class WheelsError(Exception):
    """Wheels cannot be fetched; the text says why and what to do."""


def download_wheels(lock: Path, folder: Path) -> list[Path]:
    """Fetch the wheel of each line of `lock`, verified by its hash, into `folder`; the wheels, sorted. Raises WheelsError.

    Nothing is resolved here (--no-deps): pip would resolve by this machine's Python and not the hosts'.
    """
    command = [*_pip_command(), "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--requirement", str(lock), "--dest", str(folder)]
    command += ["--implementation", "cp", "--python-version", "3.13", "--abi", "cp313", "--abi", "abi3", "--abi", "none"]
    for platform in PLATFORM_TAGS:
        command += ["--platform", platform]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise WheelsError(f"pip did not finish within {PIP_TIMEOUT} s; check the network and pip's index settings") from None
    if result.returncode != 0:
        lines = [line for line in result.stderr.strip().splitlines() if line.strip()][-4:]
        raise WheelsError(
            "pip said:\n  " + "\n  ".join(lines) + "\nThis needs a package index (pip's usual settings) with a wheel of each for Debian 13."
        )
    return sorted(folder.glob("*.whl"))


def _pip_command() -> list[str]:
    """The command of pip: this environment's own, else one that uv brings."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if uv is None:
        raise WheelsError(f"neither pip nor uv is installed: run {sys.executable} -m ensurepip, or install uv")
    return [uv, "tool", "run", "--quiet", "pip"]
