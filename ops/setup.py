"""Gets what the lab needs once a machine: the Pulumi CLI and the host images."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lab.engine import pulumi_cli
from lab.image.build import build
from lab.image.store import ImageStore

ProgressCallback = Callable[[str], None]


def ensure_all(say: ProgressCallback) -> None:
    """Gets the Pulumi CLI and the host images, side by side, where they are not in the cache. Says the seconds of each."""

    def pulumi() -> None:
        pulumi_cli.ensure(say)

    def host_images() -> None:
        # The baked image is made from the plain one (and fetches MySQL meanwhile), so there is seldom anything left to do for the second.
        store = ImageStore.default()
        for variant in ("baked", "plain"):
            build(store, store.recipe(variant), lambda line: say(f"host image: {line}"))

    steps: dict[str, Callable[[], None]] = {"Pulumi CLI": pulumi, "host images": host_images}
    with ThreadPoolExecutor(len(steps)) as pool:
        for result in [pool.submit(_timed, name, step, say) for name, step in steps.items()]:
            result.result()


def _timed(name: str, step: Callable[[], None], say: ProgressCallback) -> None:
    started = time.monotonic()
    step()
    seconds = time.monotonic() - started
    if seconds >= 1:
        say(f"set-up: {name:<20} {seconds:6.1f} s")
