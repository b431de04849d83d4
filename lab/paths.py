"""Where the lab keeps things outside the clone: caches that can be made again, and the state of each lab."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
"""The clone that this program runs from."""


def cache_folder() -> Path:
    """The folder of everything that is made once a machine (CLI, host images, bundles): `WEBSTACK_CACHE`, else `~/.cache/webstack`."""
    return Path(os.environ.get("WEBSTACK_CACHE") or Path.home() / ".cache" / "webstack")
