"""The wait for load balancers that send requests to every web host of this `up`: after DNS names them, and before an old one is deleted.

A web host's word that it serves is its own. What counts for visitors is a load balancer's, whose checks come from elsewhere: it writes into
its readiness record which addresses it finds up (`servers_up`) and what it was told by the others (`servers_down`).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import pulumi

from stack.host_status import record_key
from stack.readiness import Clock, HostApi
from stack.readiness_record import InvalidRecordError, ReadinessRecord, parse_record

TIMEOUT: Final = 120.0
"""Seconds at most. A load balancer needs some ten: it asks DNS again within a second, for which names live 5 s, and checks twice."""
POLL_INTERVAL: Final = 1.0
"""Seconds between two looks at a record."""


@dataclass(frozen=True, kw_only=True)
class BackendStatus:
    """What a load balancer says of web hosts, by their private addresses."""

    up: frozenset[str]
    down: Mapping[str, str]

    def down_reason(self, address: str) -> str:
        """Why the host at this address gets no requests; empty where it gets some."""
        return "" if address in self.up else self.down.get(address, "does not know it yet")


class BackendsNotReadyError(pulumi.RunError):
    """A load balancer does not send requests to a new web host; no old one has been deleted."""

    def __init__(self, lines: Sequence[str]) -> None:
        remedy = (
            "Nothing was deleted. A host that does not answer may have lost its machine: check its state, and start it again. If this `up` "
            "made new hosts, load balancers already use those alone: fix or revert the change and run `up` again. What HAProxy's words "
            "mean: docs/checks.md"
        )
        super().__init__("\n".join([*lines, "", remedy]))


class BackendWaiter:
    """The wait of one `up`. `enabled` is false in a preview and where nobody waits for hosts."""

    def __init__(self, *, client_factory: Callable[[], HostApi], enabled: bool, timeout: float, clock: Clock | None = None) -> None:
        self._client_factory = client_factory
        self._enabled = enabled
        self._timeout = min(timeout, TIMEOUT)
        self._clock = clock or Clock()

    def require_ready(
        self,
        balancers: Mapping[str, tuple[pulumi.Output[str], pulumi.Output[str]]],
        web_hosts: Mapping[str, pulumi.Output[str]],
        *,
        bucket: pulumi.Output[str],
        depends_on: Sequence[pulumi.Output[Any]],
    ) -> pulumi.Output[None]:
        """Done once every load balancer sends requests to every web host. Raises BackendsNotReadyError.

        `balancers`: host → role id and instance id; `web_hosts`: host → private address; the wait begins `after` all those.
        """

        async def waited(values: list[Any]) -> None:
            ids, addresses, name, *_ = values
            if self._enabled:
                keys = {host: record_key(role, instance) for host, (role, instance) in ids.items()}
                await self.poll_until_ready(cast("str", name), keys, cast("dict[str, str]", addresses))

        given = {host: pulumi.Output.all(*both) for host, both in balancers.items()}
        return pulumi.Output.all(given, dict(web_hosts), bucket, *depends_on).apply(waited)

    async def poll_until_ready(self, bucket: str, keys: Mapping[str, str], web_hosts: Mapping[str, str]) -> None:
        """Looks at the records at `keys` until each lists all `web_hosts` (host → address). Raises BackendsNotReadyError."""
        found = await asyncio.gather(
            *(self._poll_balancer(self._client_factory(), bucket, host, key, web_hosts) for host, key in keys.items())
        )
        if lines := [line for lines in found for line in lines]:
            raise BackendsNotReadyError(lines)

    async def _poll_balancer(
        self, client_factory: HostApi, bucket: str, balancer: str, key: str, web_hosts: Mapping[str, str]
    ) -> list[str]:
        """What is missing in the end, a line for each host."""
        began, last_reason = self._clock.now(), ""
        while True:
            missing = await self._missing(client_factory, bucket, key, web_hosts)
            waited = self._clock.now() - began
            if not missing:
                if last_reason:
                    pulumi.log.info(f"{balancer}: sends requests to {', '.join(web_hosts)}")
                return []
            if waited >= self._timeout:
                return [f"{balancer} sends no requests to {host} after {waited:.0f} s: {why}" for host, why in missing.items()]
            reason = "; ".join(f"{host}: {why}" for host, why in missing.items())
            if reason != last_reason:
                pulumi.log.info(f"{balancer}: does not send requests to all web hosts yet: {reason}")
                last_reason = reason
            await self._clock.sleep(min(POLL_INTERVAL, self._timeout - waited))

    async def _missing(self, client_factory: HostApi, bucket: str, key: str, web_hosts: Mapping[str, str]) -> dict[str, str]:
        """Web host → why it gets no requests."""
        try:
            stored = await asyncio.to_thread(client_factory.get_object, bucket, key)
        except Exception as error:
            return dict.fromkeys(web_hosts, f"AWS does not answer: {type(error).__name__}: {error}")
        try:
            status = None if stored is None else backend_status(parse_record(stored.body))
        except InvalidRecordError as error:
            return dict.fromkeys(web_hosts, str(error))
        if status is None:
            return dict.fromkeys(web_hosts, "its record does not say which web hosts it sends requests to")
        return {host: f"{why} ({address})" for host, address in web_hosts.items() if (why := status.down_reason(address))}


def backend_status(record: ReadinessRecord) -> BackendStatus | None:
    """A load balancer's word in its readiness record; None where it says nothing of web hosts."""
    up = record.facts.get("servers_up")
    if up is None:
        return None
    down = [one.partition(": ") for one in record.facts.get("servers_down", "").split("; ") if one]
    return BackendStatus(up=frozenset(up.split()), down={address: reason for address, _, reason in down})
