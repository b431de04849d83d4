"""`python -m lab.image build [--plain]`: builds this clone's host image unless it is cached, and prints its path."""

import argparse
import os
import sys
import time

from lab.hypervisor.run import CommandError
from lab.image.build import build
from lab.image.store import ImageStore


def main() -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.image", description="The image that the lab's hosts boot.")
    commands = parser.add_subparsers(dest="command", required=True)
    build_command = commands.add_parser("build", help="build the image unless it is cached")
    build_command.add_argument("--plain", action="store_true", help="Debian alone, without the roles' packages")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("image: building a host image needs root (debootstrap makes device files and enters a chroot)", file=sys.stderr)
        return 1
    start = time.monotonic()
    store = ImageStore.default()
    try:
        root = build(
            store, store.recipe("plain" if arguments.plain else "baked"), lambda line: print(f"image: {line}", file=sys.stderr, flush=True)
        )
    except CommandError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    print(f"image: ready after {time.monotonic() - start:.1f} s", file=sys.stderr)
    print(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
