"""Fault injection at the API gateway (`lab.cloud.api_gateway`), before a call is authorized: throttling, latency, dropped connections.

It affects all callers of the gateway, hosts and programs on this machine alike. The lab's own parts call moto directly, so machines still
follow the API's state, and the metadata service is not affected.

- A throttled call is refused with its service's own error (`lab.cloud.aws_errors`) and has no effect.
- A delayed call waits and then proceeds, even if its caller has given up meanwhile.
- For a call whose connection is dropped, the gateway reads the request and closes the connection without a response; it has no effect.
"""

import random
import time
from collections.abc import Callable, Iterable

from lab.call_effects import CallEffect, CallEvaluator, CallFault
from lab.cloud.aws_errors import AwsError
from lab.cloud.calls import Call

_RATE_EXCEEDED = {
    "ec2": "Request limit exceeded.",
    "s3": "Please reduce your request rate.",
}


class ApiFaultFilter:
    """The API's active faults. Calls are evaluated in one event loop; `set_faults` may be called from any thread.

    Tests replace `clock` (seconds) and `lot` (a random number from 0 to 1).
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, rng: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._rng = rng
        self._active: tuple[tuple[CallFault, CallEvaluator], ...] = ()

    def set_faults(self, faults: Iterable[CallFault]) -> None:
        """Replaces the faults. A fault that was active before keeps its state."""
        requested, previous = tuple(faults), dict(self._active)
        evaluators = {fault: previous.get(fault) or fault.make_evaluator(clock=self._clock, rng=self._rng) for fault in requested}
        self._active = tuple((fault, evaluators[fault]) for fault in requested)

    def evaluate(self, call: Call) -> CallEffect:
        """Returns the combined effect on a call made now: delays add up, and a dropped connection takes precedence over throttling."""
        found = [effects(call.service) for fault, effects in self._active if fault.affects(call.service)]
        return CallEffect(
            delay=sum(effect.delay for effect in found),
            throttled=any(effect.throttled for effect in found),
            drop_connection=any(effect.drop_connection for effect in found),
        )


def throttling_error(service: str) -> AwsError:
    """Returns the service's own error for a throttled call."""
    return AwsError(kind="throttled", message=_RATE_EXCEEDED.get(service, "Rate exceeded"))
