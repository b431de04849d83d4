"""Faults of the AWS API: it throttles, is slow, or is down. Injected at the API gateway (`lab.cloud.api_fault_filter`)."""

from abc import ABC
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lab.aws_services import SERVICES
from lab.hypervisor.faults.fault import Fault, LabSnapshot

_MAX_DELAY_MS = 60_000


class ApiFault(Fault, ABC):
    """Something with the API: whoever calls it through the gateway notices, hosts and programs on this machine; the lab itself does not."""

    service: str = ""
    """Empty: every service."""

    @field_validator("service")
    @classmethod
    def _is_known(cls, given: str) -> str:
        if given and given not in SERVICES:
            raise ValueError(f"service {given!r}: give one of {', '.join(SERVICES)}, or none for the whole API")
        return given

    def check(self, snapshot: LabSnapshot) -> None:
        del snapshot  # it names nothing of the lab

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        del snapshot
        return []

    def target_label(self) -> str:
        """Whose fault it is, in words."""
        return f"the AWS API of {self.service}" if self.service else "the AWS API"


class ApiThrottle(ApiFault):
    """Calls are refused with the service's own error for too many of them: a share of all, or those beyond a rate."""

    kind: Literal["api-throttle"] = "api-throttle"
    percent: float | None = Field(default=None)
    rate: float | None = Field(default=None)
    """Calls a second that each service lets through."""

    @model_validator(mode="after")
    def _require_percent_or_rate(self) -> Self:
        if (self.percent is None) == (self.rate is None):
            raise ValueError("api throttle: give either --percent, how many of a hundred calls are refused, or --rate, calls a second")
        if self.percent is not None and not 0 < self.percent <= 100:
            raise ValueError(f"percent {self.percent:g}: how many of a hundred calls are refused, more than 0 and up to 100")
        if self.rate is not None and not 0.01 <= self.rate <= 10_000:
            raise ValueError(f"rate {self.rate:g}: calls a second that are let through, from 0.01 to 10000")
        return self

    def summary(self) -> str:
        how = f"{self.percent:g} % of all calls" if self.percent is not None else f"what exceeds {self.rate:g} calls a second"
        return f"{self.target_label()} throttles {how}"


class ApiSlow(ApiFault):
    """Each call waits before it goes its way."""

    kind: Literal["api-slow"] = "api-slow"
    milliseconds: float

    @field_validator("milliseconds")
    @classmethod
    def _duration(cls, given: float) -> float:
        if not 1 <= given <= _MAX_DELAY_MS:
            raise ValueError(f"delay {given:g}: milliseconds from 1 to {_MAX_DELAY_MS}, such as 500")
        return given

    def summary(self) -> str:
        return f"{self.target_label()} answers {self.milliseconds:g} ms late"


class ApiDown(ApiFault):
    """No call is done, and none gets an answer."""

    kind: Literal["api-down"] = "api-down"

    def summary(self) -> str:
        return f"{self.target_label()} is down"
