"""The last question of an `up`: whether the site answers its visitors, asked as some of them (`stack.site_probe`)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pulumi

from stack.addressing import ANY_IPV4
from stack.environment import Environment
from stack.readiness import Clock
from stack.site_probe import ProbeError, SiteEndpoint, certificate_error, probe_site, require_unexpired_certificate, resolve_ipv4

TIMEOUT: Final = 30.0
"""Seconds until a site that does not answer is called so: right after a load balancer's start the address takes some to arrive."""
POLL_INTERVAL: Final = 1.0

REQUIRED_PROBES: Final = 10
"""So many visits in a row must succeed: a page that a part of the hosts or of their processes answers with an error does not."""
REQUIRED_SLOW_PROBES: Final = 3
SLOW_PROBES_SECONDS: Final = 10.0
"""So many are enough where they take that long, as slow pages do."""

SITE_UP: Final = "the site answers: "
SITE_SKIPPED: Final = "the site was not asked: "
SITE_UNREACHABLE: Final = "the site could not be asked from here: "
"""What the sentence begins with that ends the question."""


class SiteError(pulumi.RunError):
    """The site does not answer its visitors; nothing that serves has been deleted."""

    def __init__(self, endpoint: SiteEndpoint, seconds: float, refusal: ProbeError, *, passed: int = 0, total: int = 0) -> None:
        some = f" ({passed} of {total} visits found all well)" if passed else ""
        lines = [
            f"{endpoint.url} does not serve after {seconds:.0f} s: {refusal.reason}{some}",
            *(f"    {line}" for line in refusal.detail),
        ]
        hint = (
            "Nothing was deleted. Where this machine cannot reach the site, set `readiness.site: false` to skip this check. "
            "What it asks: docs/checks.md"
        )
        super().__init__("\n".join([*lines, "", hint]))


@dataclass(frozen=True, kw_only=True)
class SiteCheck:
    """The question of one `up`. `skip_reason` says why it is not put, and is empty where it is."""

    skip_reason: str = ""
    enabled: bool = True
    clock: Clock = field(default_factory=Clock)
    resolve: Callable[[str], "list[str] | None"] = field(default_factory=lambda: resolve_ipv4)

    async def run(self, endpoint: SiteEndpoint) -> None:
        """Asks until the site answers. Raises SiteError where it does not within PATIENCE; says how it ended."""
        if not self.enabled:
            return
        if self.skip_reason:
            pulumi.log.info(f"{SITE_SKIPPED}{self.skip_reason}")
            return
        if endpoint.name != endpoint.address:
            self._warn_dns_mismatch(endpoint, await asyncio.to_thread(self.resolve, endpoint.name))
        began, last_reason = self.clock.now(), ""
        total = passed = in_a_row = 0
        row_began = began
        while in_a_row < REQUIRED_PROBES and not (in_a_row >= REQUIRED_SLOW_PROBES and self.clock.now() - row_began >= SLOW_PROBES_SECONDS):
            total += 1
            try:
                await asyncio.to_thread(probe_site, endpoint)
                if in_a_row == 0:
                    row_began = self.clock.now()
                    await asyncio.to_thread(require_unexpired_certificate, endpoint)
            except ProbeError as refusal:
                in_a_row, waited = 0, self.clock.now() - began
                if waited >= TIMEOUT:
                    if refusal.unreachable and endpoint.restricted:
                        pulumi.log.warn(
                            f"{SITE_UNREACHABLE}{refusal.reason}. loadBalancer.allowedCidrs may not include this machine; "
                            "only the load balancers report that the site serves"
                        )
                        return
                    raise SiteError(endpoint, waited, refusal, passed=passed, total=total) from refusal
                if refusal.reason != last_reason:
                    last_reason = refusal.reason
                    pulumi.log.info(f"{endpoint.url}: {last_reason}")
                await self.clock.sleep(POLL_INTERVAL)
            else:
                passed, in_a_row = passed + 1, in_a_row + 1
        if endpoint.trusted_certificate and (doubt := await asyncio.to_thread(certificate_error, endpoint)):
            pulumi.log.warn(f"{endpoint.url}: its certificate does not prove that name to this machine: {doubt}")
        pulumi.log.info(f"{SITE_UP}{endpoint.url}")

    def _warn_dns_mismatch(self, endpoint: SiteEndpoint, addresses: "list[str] | None") -> None:
        if addresses and endpoint.address in addresses:
            return
        how = "could not be looked up" if addresses is None else f"leads to {', '.join(addresses)}" if addresses else "is not known to DNS"
        pulumi.log.warn(
            f"{endpoint.name} {how}, and the site is at {endpoint.address}: create an A record {endpoint.name} → {endpoint.address}"
        )


def for_environment(environment: Environment, *, enabled: bool) -> SiteCheck:
    """The question of this `up`."""
    chosen = environment.settings.readiness
    reason = (
        "readiness.wait is false, so hosts were not waited for either"
        if not chosen.wait
        else "readiness.site is false"
        if not chosen.site
        else ""
    )
    return SiteCheck(skip_reason=reason, enabled=enabled)


def site_endpoint(environment: Environment, address: str) -> SiteEndpoint:
    """Where the environment's site is; `address` is the Elastic IP's."""
    chosen = environment.settings.load_balancer
    return SiteEndpoint(
        address=address,
        name=environment.site_host(address),
        trusted_certificate=chosen.tls.mode == "secret",
        restricted=ANY_IPV4 not in chosen.allowed_cidrs,
    )
