"""Rotations side by side, until all are done or patience ends."""

import time
from collections.abc import Callable, Sequence

from ops.failures import UserError
from ops.rotation.fleet import Fleet, Word
from ops.rotation.steps import Awaited, Rotation, Say

POLL = 2.0
"""Seconds between two looks at labels and hosts."""

Sleep = Callable[[float], None]


class NotYetError(UserError):
    """Patience ended before all hosts were there; what was done holds, and the same command goes on."""


def rotate(fleet: Fleet, purposes: Sequence[str], *, revoke: bool, seconds: float, say: Say, sleep: Sleep = time.sleep) -> None:
    """Rotates secrets. Raises NotYetError."""

    def step(rotations: list[Rotation]) -> list[Awaited]:
        hosts = fleet.hosts()
        return [one for rotation in rotations for one in rotation.step(hosts)]

    pending = [Rotation(fleet, purpose, revoke=revoke, say=say) for purpose in purposes]

    def awaited() -> list[Awaited] | None:
        found = step([rotation for rotation in pending if not rotation.done])
        return None if all(rotation.done for rotation in pending) else found

    wait(awaited, seconds=seconds, say=say, sleep=sleep)


def wait(look: Callable[[], list[Awaited] | None], *, seconds: float, say: Say, sleep: Sleep = time.sleep) -> None:
    """Looks until there is nobody to wait for any more (None), and tells each thing that is awaited once. Raises NotYetError."""
    began = time.monotonic()
    told: set[str] = set()
    while (found := look()) is not None:
        for one in map(str, found):
            if one not in told:
                told.add(one)
                say(f"  {one}")
        if found and time.monotonic() - began > seconds:
            lines = "\n".join(f"  {one}" for one in found)
            raise NotYetError(
                f"not everywhere after {seconds:.0f} s:\n{lines}\n"
                "What was done holds and the site serves: the old one is accepted meanwhile. The same command goes on from here."
            )
        if found:
            sleep(POLL)


def serving_certificate(hosts: Sequence[Word], secret: str, fingerprint: str) -> list[Awaited] | None:
    """The load balancers that take their certificate from this secret and do not serve that one, and those of which nobody can read
    where they take it from; None where there is none."""
    unread = [Awaited(host=host.name, what=host.unreadable) for host in hosts if host.role == "load_balancer" and host.unreadable]
    concerned = [host for host in hosts if host.facts.get("tls_secret") == secret]
    late = [host for host in concerned if host.facts.get("certificate") != fingerprint]
    return [*(Awaited(host=host.name, what="does not serve the new certificate yet") for host in late), *unread] or None
