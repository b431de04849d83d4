"""Faults of the AWS API, which the API gateway applies (`lab.cloud.api_fault_filter`)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Self

from pydantic import field_validator

from lab.aws_services import SERVICES
from lab.call_effects import CallEvaluator, CallFault
from lab.hypervisor.faults.command_line import API, Parameter
from lab.hypervisor.faults.fault import Fault, FaultInjector, InjectorContext, LabSnapshot


class ApiFaultInjector(FaultInjector):
    """Passes API faults to the gateway."""

    def __init__(self, set_faults: Callable[[Sequence[CallFault]], None]) -> None:
        self._set_faults = set_faults

    @classmethod
    def create(cls, context: InjectorContext) -> Self:
        """See `FaultInjector`."""
        return cls(context.set_api_faults)

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """See `FaultInjector`."""
        del snapshot
        self._set_faults([fault for fault in faults if isinstance(fault, ApiFault)])


class ApiFault(Fault, ABC):
    """A fault of the API for all callers through the gateway: hosts and programs on this machine, but not the lab itself."""

    command_group = API
    injector = ApiFaultInjector

    service: Annotated[
        str,
        Parameter(option="--service", metavar="SERVICE", help="Only this service: ec2, s3, secretsmanager, sts, … Default: the whole API."),
    ] = ""
    """The affected service; empty: all."""

    @abstractmethod
    def make_evaluator(self, *, clock: Callable[[], float], rng: Callable[[], float]) -> CallEvaluator:
        """See `CallFault`."""

    def affects(self, service: str) -> bool:
        """See `CallFault`."""
        return self.service in ("", service)

    @field_validator("service")
    @classmethod
    def _is_known(cls, given: str) -> str:
        if given and given not in SERVICES:
            raise ValueError(f"service {given!r}: give one of {', '.join(SERVICES)}, or omit it for the whole API")
        return given

    def check(self, snapshot: LabSnapshot) -> None:
        del snapshot  # it depends on nothing in the lab

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        del snapshot
        return []

    def target_label(self) -> str:
        """Describes the affected API for people."""
        return f"the AWS API of {self.service}" if self.service else "the AWS API"
