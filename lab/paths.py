"""The clone's folder, and the cache folder outside it."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
"""The clone that this program runs from."""


def cache_folder() -> Path:
    """The folder for what is made once per machine (CLI, host images, bundles): `WEBSTACK_CACHE`, or else `~/.cache/webstack`."""
    return Path(os.environ.get("WEBSTACK_CACHE") or Path.home() / ".cache" / "webstack")
