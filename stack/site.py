"""The last question of an `up`: whether the site answers its visitors, asked as some of them (`stack.visit`)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pulumi

from stack.addressing import EVERYWHERE
from stack.environment import Environment
from stack.readiness import Clock
from stack.visit import Place, RefusedError, addresses_of, doubt_of_certificate, require_valid, visit

PATIENCE: Final = 30.0
"""Seconds until a site that does not answer is called so: right after a load balancer's start the address takes some to arrive."""
PAUSE: Final = 1.0

VISITS: Final = 10
"""So many visits in a row must succeed: a page that a part of the hosts or of their processes answers with an error does not."""
ENOUGH: Final = 3
ENOUGH_SECONDS: Final = 10.0
"""So many are enough where they take that long, as slow pages do."""

ANSWERS: Final = "the site answers: "
NOT_ASKED: Final = "the site was not asked: "
UNREACHED: Final = "the site could not be asked from here: "
"""What the sentence begins with that ends the question."""


class SiteError(pulumi.RunError):
    """The site does not answer its visitors; nothing that serves has been deleted."""

    def __init__(self, place: Place, seconds: float, refusal: RefusedError, *, good: int = 0, of: int = 0) -> None:
        some = f" ({good} of {of} visits found all well)" if good else ""
        lines = [f"{place.url} does not serve after {seconds:.0f} s: {refusal.reason}{some}", *(f"    {line}" for line in refusal.detail)]
        hint = (
            "Nothing was deleted. Where this machine cannot reach the site, `readiness.site: false` leaves the question out. "
            "Who asks what: docs/checks.md"
        )
        super().__init__("\n".join([*lines, "", hint]))


@dataclass(frozen=True, kw_only=True)
class Site:
    """The question of one `up`. `not_asked` says why it is not put, and is empty where it is."""

    not_asked: str = ""
    building: bool = True
    clock: Clock = field(default_factory=Clock)
    look_up: Callable[[str], "list[str] | None"] = field(default_factory=lambda: addresses_of)

    async def ask(self, place: Place) -> None:
        """Asks until the site answers. Raises SiteError where it does not within PATIENCE; says how it ended."""
        if not self.building:
            return
        if self.not_asked:
            pulumi.log.info(f"{NOT_ASKED}{self.not_asked}")
            return
        if place.name != place.address:
            self._warn_of_the_name(place, await asyncio.to_thread(self.look_up, place.name))
        began, told = self.clock.now(), ""
        visits = good = in_a_row = 0
        row_began = began
        while in_a_row < VISITS and not (in_a_row >= ENOUGH and self.clock.now() - row_began >= ENOUGH_SECONDS):
            visits += 1
            try:
                await asyncio.to_thread(visit, place)
                if in_a_row == 0:
                    row_began = self.clock.now()
                    await asyncio.to_thread(require_valid, place)
            except RefusedError as refusal:
                in_a_row, waited = 0, self.clock.now() - began
                if waited >= PATIENCE:
                    if refusal.silent and place.restricted:
                        pulumi.log.warn(
                            f"{UNREACHED}{refusal.reason}. loadBalancer.allowedCidrs may not hold this machine; that it serves is the load "
                            "balancers' word"
                        )
                        return
                    raise SiteError(place, waited, refusal, good=good, of=visits) from refusal
                if refusal.reason != told:
                    told = refusal.reason
                    pulumi.log.info(f"{place.url}: {told}")
                await self.clock.sleep(PAUSE)
            else:
                good, in_a_row = good + 1, in_a_row + 1
        if place.verified and (doubt := await asyncio.to_thread(doubt_of_certificate, place)):
            pulumi.log.warn(f"{place.url}: its certificate does not prove that name to this machine: {doubt}")
        pulumi.log.info(f"{ANSWERS}{place.url}")

    def _warn_of_the_name(self, place: Place, found: "list[str] | None") -> None:
        if found and place.address in found:
            return
        how = "could not be looked up" if found is None else f"leads to {', '.join(found)}" if found else "is not known to DNS"
        pulumi.log.warn(f"{place.name} {how}, and the site is at {place.address}: make an A record {place.name} → {place.address}")


def of(environment: Environment, *, building: bool) -> Site:
    """The question of this `up`."""
    chosen = environment.settings.readiness
    reason = (
        "readiness.wait is false, nobody waits for hosts either"
        if not chosen.wait
        else "readiness.site is false"
        if not chosen.site
        else ""
    )
    return Site(not_asked=reason, building=building)


def place(environment: Environment, address: str) -> Place:
    """Where the environment's site is; `address` is the Elastic IP's."""
    chosen = environment.settings.load_balancer
    return Place(
        address=address,
        name=environment.site_host(address),
        verified=chosen.tls.mode == "secret",
        restricted=EVERYWHERE not in chosen.allowed_cidrs,
    )
