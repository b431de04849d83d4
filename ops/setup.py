"""Gets what the lab needs once a machine: the Pulumi CLI and the host images."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lab.engine import pulumi_cli
from lab.image.build import build
from lab.image.store import ImageStore

ProgressCallback = Callable[[str], None]


def ensure_all(on_progress: ProgressCallback) -> None:
    """Gets the Pulumi CLI and the host images, side by side, where they are not in the cache. Says the seconds of each."""

    def pulumi() -> None:
        pulumi_cli.ensure(on_progress)

    def host_images() -> None:
        # The baked image is made from the plain one (and fetches MySQL meanwhile), so there is seldom anything left to do for the second.
        store = ImageStore.default()
        for variant in ("baked", "plain"):
            build(store, store.recipe(variant), lambda line: on_progress(f"host image: {line}"))

    steps: dict[str, Callable[[], None]] = {"Pulumi CLI": pulumi, "host images": host_images}
    with ThreadPoolExecutor(len(steps)) as pool:
        for result in [pool.submit(_timed, name, step, on_progress) for name, step in steps.items()]:
            result.result()


def _timed(name: str, step: Callable[[], None], on_progress: ProgressCallback) -> None:
    started = time.monotonic()
    step()
    seconds = time.monotonic() - started
    if seconds >= 1:
        on_progress(f"set-up: {name:<20} {seconds:6.1f} s")
