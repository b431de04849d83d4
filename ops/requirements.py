"""What must be so on a machine before the lab can run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.disk_space import GIB, require_free
from lab.names import LabNames
from ops.errors import UserError

TOOLS = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "nft": "nftables", "mkfs.ext4": "e2fsprogs", "ip": "iproute2"}
"""Programs that the lab runs, each with the Debian package that brings it."""

FILE_SYSTEMS = Path("/proc/filesystems")
"""What this kernel mounts at this moment; a module's file system is listed once the module is loaded (proc(5))."""

MIN_FREE_BYTES = GIB
"""Bytes that five hosts write until they serve, with as much again to live on: 640 MB seen."""

ROOTLESS_HINT = (
    "Without it you can still have:\n"
    "  make test-unit             the tests that need neither root nor network\n"
    "  webstack lab preview       the plan of the whole stack by the real engine"
)


def require_root(command: str) -> None:
    """Raises UserError where this process is not root's."""
    if os.geteuid() != 0:
        raise UserError(f"`{command}` needs root: it creates namespaces, mounts and loop devices. Run it as root (sudo).\n{ROOTLESS_HINT}")


def require_host(command: str) -> None:
    """Raises UserError, naming what is missing, where the lab cannot run on this machine."""
    if not sys.platform.startswith("linux"):
        raise UserError(f"`{command}` needs Linux: the lab boots Linux hosts on this machine's kernel.\n{ROOTLESS_HINT}")
    require_root(command)
    missing = {package for program, package in TOOLS.items() if shutil.which(program) is None}
    if missing:
        raise UserError(f"`{command}` needs these packages: {', '.join(sorted(missing))}. Install them with `make setup`.")
    if not _kernel_mounts("xfs"):
        raise UserError(f"`{command}` needs a kernel with XFS for the databases' volumes, and `modprobe xfs` did not provide it.")


def _kernel_mounts(file_system: str) -> bool:
    """Whether this kernel mounts it, after its module has been asked for: the lab's hosts cannot load modules themselves."""
    if not _is_listed(file_system) and (modprobe := shutil.which("modprobe")) is not None:
        subprocess.run([modprobe, "--quiet", file_system], check=False)
    return _is_listed(file_system)


def _is_listed(file_system: str) -> bool:
    return any(line.split()[-1] == file_system for line in FILE_SYSTEMS.read_text().splitlines())


def require_disk_space(names: LabNames) -> None:
    """Raises NoSpaceError where the disk could not hold what the lab's hosts write."""
    require_free(names.state_dir, MIN_FREE_BYTES, f"lab {names.name!r}")
