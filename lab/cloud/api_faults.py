"""An API that throttles, is slow or is down, on purpose: what the door (`lab.cloud.front`) does to a call before it looks at it.

It strikes whoever comes to a door, hosts and programs on this machine alike. The lab's own parts go past the doors to the API server, so
machines obey all the time, and the metadata service has nothing to do with it.

- throttle: the call is refused in its service's own words (`lab.cloud.denials`), and not done. Either a share of all calls, or all that
  exceed a rate: a bucket that holds one second's calls and fills at the rate, as EC2's does
  (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html).
- slow: the call waits, then goes its way; one whose caller has given up in the meantime is done all the same.
- down: the door takes the call, does not do it and closes the connection without an answer.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from lab.cloud.calls import Call
from lab.cloud.denials import Refusal

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
    share: float = 1.0
    """Of the calls that it may strike, how many it does strike: 0 to 1, by lot."""
    rate: float | None = None
    """Throttle alone, and then instead of the share: calls in a second that are let through, each service's counted apart."""
    delay: float = 0.0
    """Slow alone: seconds."""

    def concerns(self, call: Call) -> bool:
        """Whether the call is to a service that the fault is about."""
        return self.service in ("", call.service)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of a call: it waits `delay` seconds, and then is refused, or gets no answer, or goes its way."""

    delay: float = 0.0
    refusal: Refusal | None = None
    unanswered: bool = False


class ApiFaults:
    """The faults that the API has now. Calls meet them in one event loop, `have` is called from any thread.

    `clock` and `lot` (0 to 1) are for tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, lot: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._lot = lot
        self._faults: tuple[ApiFault, ...] = ()
        self._buckets: dict[tuple[ApiFault, str], _Bucket] = {}

    def have(self, faults: Iterable[ApiFault]) -> None:
        """From now on there are these and no others."""
        self._faults = tuple(faults)
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[0] in self._faults}

    def meet(self, call: Call) -> Outcome:
        """What becomes of a call that comes now. Of several faults the delays add up, and no answer goes before a refusal."""
        struck = [fault for fault in self._faults if fault.concerns(call) and self._strikes(fault, call)]
        kinds = {fault.kind for fault in struck}
        throttled = Refusal(kind="throttled", message=_RATE_EXCEEDED.get(call.service, "Rate exceeded"))
        return Outcome(
            delay=sum(fault.delay for fault in struck if fault.kind == "slow"),
            refusal=throttled if "throttle" in kinds else None,
            unanswered="down" in kinds,
        )

    def _strikes(self, fault: ApiFault, call: Call) -> bool:
        if fault.rate is None:
            return self._lot() < fault.share
        now = self._clock()
        bucket = self._buckets.setdefault((fault, call.service), _Bucket(rate=fault.rate, filled=max(1.0, fault.rate), at=now))
        return not bucket.take(now)


@dataclass(kw_only=True)
class _Bucket:
    """Holds one second's calls, but one at the least."""

    rate: float
    filled: float
    at: float

    def take(self, now: float) -> bool:
        """Whether there is one for a call that comes now."""
        self.filled = min(max(1.0, self.rate), self.filled + (now - self.at) * self.rate)
        self.at = now
        if self.filled < 1:
            return False
        self.filled -= 1
        return True
