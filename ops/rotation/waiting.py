"""Runs rotations side by side until all are done or the time is up."""

import time
from collections.abc import Callable, Sequence

from ops.errors import UserError
from ops.rotation.fleet import Fleet, FleetHost
from ops.rotation.steps import PendingHost, ProgressCallback, Rotation

POLL_SECONDS = 2.0
"""Seconds between two looks at labels and hosts."""

Sleep = Callable[[float], None]


class RotationTimeoutError(UserError):
    """Not all hosts were there in time. Old and new secrets are both accepted; the same command continues."""


def rotate(
    fleet: Fleet, purposes: Sequence[str], *, revoke: bool, timeout: float, on_progress: ProgressCallback, sleep: Sleep = time.sleep
) -> None:
    """Rotates secrets. Raises RotationTimeoutError."""

    def step(rotations: list[Rotation]) -> list[PendingHost]:
        hosts = fleet.hosts()
        return [one for rotation in rotations for one in rotation.step(hosts)]

    pending = [Rotation(fleet, purpose, revoke=revoke, on_progress=on_progress) for purpose in purposes]

    def awaited() -> list[PendingHost] | None:
        found = step([rotation for rotation in pending if not rotation.done])
        return None if all(rotation.done for rotation in pending) else found

    wait(awaited, timeout=timeout, on_progress=on_progress, sleep=sleep)


def wait(poll: Callable[[], list[PendingHost] | None], *, timeout: float, on_progress: ProgressCallback, sleep: Sleep = time.sleep) -> None:
    """Polls until there is nothing to wait for (None), and reports each reason for waiting once. Raises RotationTimeoutError."""
    began = time.monotonic()
    reported: set[str] = set()
    while (found := poll()) is not None:
        for one in map(str, found):
            if one not in reported:
                reported.add(one)
                on_progress(f"  {one}")
        if found and time.monotonic() - began > timeout:
            lines = "\n".join(f"  {one}" for one in found)
            raise RotationTimeoutError(
                f"still waiting after {timeout:.0f} s for:\n{lines}\n"
                "The site serves: old and new secrets are both accepted. Run the same command again to continue."
            )
        if found:
            sleep(POLL_SECONDS)


def not_yet_serving(hosts: Sequence[FleetHost], secret: str, fingerprint: str) -> list[PendingHost] | None:
    """The load balancers that take their certificate from this secret and do not serve that one, and those of which nobody can read
    where they take it from; None where there is none."""
    unread = [PendingHost(host=host.name, reason=host.record_error) for host in hosts if host.role == "load_balancer" and host.record_error]
    concerned = [host for host in hosts if host.facts.get("tls_secret") == secret]
    late = [host for host in concerned if host.facts.get("certificate") != fingerprint]
    return [*(PendingHost(host=host.name, reason="does not serve the new certificate yet") for host in late), *unread] or None
