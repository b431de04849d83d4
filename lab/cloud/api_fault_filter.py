"""Fault injection at the API gateway (`lab.cloud.api_gateway`), before a call is authorized: throttling, latency, dropped connections.

It strikes whoever comes to the gateway, hosts and programs on this machine alike. The lab's own parts ask moto directly, so machines
obey all the time, and the metadata service has nothing to do with it.

- A call that is throttled is refused in its service's own words (`lab.cloud.aws_errors`), and not done.
- One that is delayed waits, then goes its way; one whose caller has given up in the meantime is done all the same.
- Of one whose connection is dropped the gateway takes the request, does not do it and closes the connection without an answer.
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
    """The faults that the API has now. Calls meet them in one event loop, `set_faults` is called from any thread.

    `clock` and `lot` (0 to 1) are for tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, rng: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._rng = rng
        self._active: tuple[tuple[CallFault, CallEvaluator], ...] = ()

    def set_faults(self, faults: Iterable[CallFault]) -> None:
        """From now on there are these and no others. One that was there before goes on where it is."""
        requested, previous = tuple(faults), dict(self._active)
        evaluators = {fault: previous.get(fault) or fault.make_evaluator(clock=self._clock, rng=self._rng) for fault in requested}
        self._active = tuple((fault, evaluators[fault]) for fault in requested)

    def evaluate(self, call: Call) -> CallEffect:
        """What becomes of a call that comes now. Of several faults the delays add up, and no answer goes before a refusal."""
        found = [effects(call.service) for fault, effects in self._active if fault.affects(call.service)]
        return CallEffect(
            delay=sum(effect.delay for effect in found),
            throttled=any(effect.throttled for effect in found),
            drop_connection=any(effect.drop_connection for effect in found),
        )


def throttling_error(service: str) -> AwsError:
    """What a service says to one call too many."""
    return AwsError(kind="throttled", message=_RATE_EXCEEDED.get(service, "Rate exceeded"))
