"""What must be on the machine before the lab can run, and getting it."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lab.engine import pulumi_cli
from lab.image.build import build
from lab.image.store import Store
from ops.failures import UserError

Say = Callable[[str], None]

TOOLS = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "nft": "nftables", "mkfs.ext4": "e2fsprogs", "ip": "iproute2"}
"""Programs that the lab runs, each with the Debian package that brings it."""

WITHOUT_ROOT = (
    "Without it you can still have:\n"
    "  make test-unit             the tests that need neither root nor network\n"
    "  webstack lab preview       the plan of the whole stack by the real engine"
)


def require_root(command: str) -> None:
    """Raises UserError where this process is not root's."""
    if os.geteuid() != 0:
        raise UserError(f"`{command}` needs root: it makes namespaces, mounts and loop devices. Run it as root (sudo).\n{WITHOUT_ROOT}")


def require_host(command: str) -> None:
    """Raises UserError, naming what is missing, where the lab cannot run on this machine."""
    if not sys.platform.startswith("linux"):
        raise UserError(f"`{command}` needs Linux: the lab boots Linux hosts on this machine's kernel.\n{WITHOUT_ROOT}")
    require_root(command)
    missing = {package for program, package in TOOLS.items() if shutil.which(program) is None}
    if missing:
        raise UserError(f"`{command}` needs these packages: {', '.join(sorted(missing))}. Install them with `make setup`.")


def ensure_all(say: Say) -> None:
    """Gets the Pulumi CLI and the host image, side by side, where they are not in the cache. Says the seconds of each."""

    def pulumi() -> None:
        pulumi_cli.ensure(say)

    def host_image() -> None:
        store = Store.default()
        build(store, store.recipe("baked"), lambda line: say(f"host image: {line}"))

    steps: dict[str, Callable[[], None]] = {"Pulumi CLI": pulumi, "host image": host_image}
    with ThreadPoolExecutor(len(steps)) as pool:
        for result in [pool.submit(_timed, name, step, say) for name, step in steps.items()]:
            result.result()


def _timed(name: str, step: Callable[[], None], say: Say) -> None:
    started = time.monotonic()
    step()
    seconds = time.monotonic() - started
    if seconds >= 1:
        say(f"set-up: {name:<20} {seconds:6.1f} s")
