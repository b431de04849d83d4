"""Faults of the AWS API: it throttles, is slow, or is down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import field_validator, model_validator

from lab.call_effects import CallEffect, CallEvaluator
from lab.hypervisor.faults.api_fault import ApiFault
from lab.hypervisor.faults.command_line import Parameter

_MAX_DELAY_MS = 60_000
_DEFAULT_PERCENT = 50.0


class ApiThrottle(ApiFault):
    """Throttle calls as AWS does when there are too many. Without --percent and --rate, half of them are refused.

    Each service answers with its own error: EC2 with RequestLimitExceeded and S3 with SlowDown, status 503; IAM, STS and Route 53 with
    Throttling and the others with ThrottlingException, status 400. A refused call has no effect.
    """

    kind: Literal["api-throttle"] = "api-throttle"
    percent: Annotated[float | None, Parameter(option="--percent", help="The percentage of calls to refuse, at random.")] = None
    rate: Annotated[float | None, Parameter(option="--rate", help="Refuse calls beyond this many per second and service.")] = None

    @model_validator(mode="after")
    def _require_percent_or_rate(self) -> Self:
        if (self.percent is None) == (self.rate is None):
            raise ValueError("api throttle: give either --percent (the percentage of calls to refuse) or --rate (calls per second)")
        if self.percent is not None and not 0 < self.percent <= 100:
            raise ValueError(f"percent {self.percent:g}: give the percentage of calls to refuse, more than 0 and up to 100")
        if self.rate is not None and not 0.01 <= self.rate <= 10_000:
            raise ValueError(f"rate {self.rate:g}: give the calls per second to let through, from 0.01 to 10000")
        return self

    def summary(self) -> str:
        how = f"{self.percent:g} % of all calls" if self.percent is not None else f"what exceeds {self.rate:g} calls a second"
        return f"{self.target_label()} throttles {how}"

    @classmethod
    def describe(cls, arguments: Mapping[str, object]) -> dict[str, object]:
        description = super().describe(arguments)
        return description if {"percent", "rate"} & description.keys() else description | {"percent": _DEFAULT_PERCENT}

    def make_evaluator(self, *, clock: Callable[[], float], rng: Callable[[], float]) -> CallEvaluator:
        if self.rate is not None:
            return _RateLimit(self.rate, clock)
        share = (self.percent or 0) / 100
        return lambda _service: CallEffect(throttled=rng() < share)


class ApiSlow(ApiFault):
    """Delay each call. A call whose caller gives up meanwhile still takes effect, as on AWS."""

    kind: Literal["api-slow"] = "api-slow"
    milliseconds: Annotated[float, Parameter(metavar="MILLISECONDS", help="How long each call is delayed before it is carried out.")]

    @field_validator("milliseconds")
    @classmethod
    def _duration(cls, given: float) -> float:
        if not 1 <= given <= _MAX_DELAY_MS:
            raise ValueError(f"delay {given:g}: give milliseconds from 1 to {_MAX_DELAY_MS}, such as 500")
        return given

    def summary(self) -> str:
        return f"{self.target_label()} answers {self.milliseconds:g} ms late"

    def make_evaluator(self, *, clock: Callable[[], float], rng: Callable[[], float]) -> CallEvaluator:
        effect = CallEffect(delay=self.milliseconds / 1000)
        return lambda _service: effect


class ApiDown(ApiFault):
    """Answer no call: the connection is accepted and closed without a response, and the call has no effect."""

    kind: Literal["api-down"] = "api-down"

    def summary(self) -> str:
        return f"{self.target_label()} is down"

    def make_evaluator(self, *, clock: Callable[[], float], rng: Callable[[], float]) -> CallEvaluator:
        return lambda _service: CallEffect(drop_connection=True)


class _RateLimit:
    """Throttles calls beyond a rate, with a token bucket for each service that holds one second's calls and refills at the rate, as EC2's
    do (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, _TokenBucket] = {}

    def __call__(self, service: str) -> CallEffect:
        now = self._clock()
        bucket = self._buckets.setdefault(service, _TokenBucket(rate=self._rate, tokens=max(1.0, self._rate), updated_at=now))
        return CallEffect(throttled=not bucket.take(now))


@dataclass(kw_only=True)
class _TokenBucket:
    """Holds one second's calls, but at least one."""

    rate: float
    tokens: float
    updated_at: float

    def take(self, now: float) -> bool:
        """Takes a token for a call at `now` (seconds). Returns False if there is none."""
        self.tokens = min(max(1.0, self.rate), self.tokens + (now - self.updated_at) * self.rate)
        self.updated_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
