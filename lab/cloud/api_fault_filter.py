"""Fault injection at the API gateway (`lab.cloud.api_gateway`), before a call is authorized: throttling, latency, dropped connections.

It strikes whoever comes to the gateway, hosts and programs on this machine alike. The lab's own parts ask moto directly, so machines
obey all the time, and the metadata service has nothing to do with it.

- throttle: the call is refused in its service's own words (`lab.cloud.aws_errors`), and not done. Either a share of all calls, or all that
  exceed a rate: a bucket that holds one second's calls and fills at the rate, as EC2's does
  (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html).
- slow: the call waits, then goes its way; one whose caller has given up in the meantime is done all the same.
- down: the gateway takes the call, does not do it and closes the connection without an answer.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from lab.cloud.aws_errors import AwsError
from lab.cloud.calls import Call

_RATE_EXCEEDED = {
    "ec2": "Request limit exceeded.",
    "s3": "Please reduce your request rate.",
}


@dataclass(frozen=True, kw_only=True)
class ApiFault:
    """One fault of the API."""

    kind: Literal["throttle", "slow", "down"]
    service: str = ""
    """The prefix of the service's IAM actions (`ec2`, `cloudwatch`); empty: every service."""
    probability: float = 1.0
    """Of the calls that it may strike, how many it does strike: 0 to 1, by lot."""
    rate: float | None = None
    """Throttle alone, and then instead of the share: calls in a second that are let through, each service's counted apart."""
    delay: float = 0.0
    """Slow alone: seconds."""

    def matches(self, call: Call) -> bool:
        """Whether the call is to a service that the fault is about."""
        return self.service in ("", call.service)


@dataclass(frozen=True, kw_only=True)
class FaultEffect:
    """What becomes of a call: it waits `delay` seconds, and then is refused, or gets no answer, or goes its way."""

    delay: float = 0.0
    error: AwsError | None = None
    drop_connection: bool = False


class ApiFaultFilter:
    """The faults that the API has now. Calls meet them in one event loop, `set_faults` is called from any thread.

    `clock` and `lot` (0 to 1) are for tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, lot: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._random = lot
        self._faults: tuple[ApiFault, ...] = ()
        self._buckets: dict[tuple[ApiFault, str], _TokenBucket] = {}

    def set_faults(self, faults: Iterable[ApiFault]) -> None:
        """From now on there are these and no others."""
        self._faults = tuple(faults)
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[0] in self._faults}

    def evaluate(self, call: Call) -> FaultEffect:
        """What becomes of a call that comes now. Of several faults the delays add up, and no answer goes before a refusal."""
        struck = [fault for fault in self._faults if fault.matches(call) and self._triggers(fault, call)]
        kinds = {fault.kind for fault in struck}
        throttled = AwsError(kind="throttled", message=_RATE_EXCEEDED.get(call.service, "Rate exceeded"))
        return FaultEffect(
            delay=sum(fault.delay for fault in struck if fault.kind == "slow"),
            error=throttled if "throttle" in kinds else None,
            drop_connection="down" in kinds,
        )

    def _triggers(self, fault: ApiFault, call: Call) -> bool:
        if fault.rate is None:
            return self._random() < fault.probability
        now = self._clock()
        bucket = self._buckets.setdefault((fault, call.service), _TokenBucket(rate=fault.rate, tokens=max(1.0, fault.rate), updated_at=now))
        return not bucket.take(now)


@dataclass(kw_only=True)
class _TokenBucket:
    """Holds one second's calls, but one at the least."""

    rate: float
    tokens: float
    updated_at: float

    def take(self, now: float) -> bool:
        """Whether there is one for a call that comes now."""
        self.tokens = min(max(1.0, self.rate), self.tokens + (now - self.updated_at) * self.rate)
        self.updated_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
