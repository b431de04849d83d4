"""What a fault does to AWS API calls: decided by its kind (`lab.hypervisor.faults.kinds.api`), applied by the API gateway."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class CallEffect:
    """What happens to a call: it waits `delay` seconds and then gets no answer, is throttled, or proceeds."""

    delay: float = 0.0
    throttled: bool = False
    drop_connection: bool = False


CallEvaluator = Callable[[str], CallEffect]
"""Called with the service of each call that a fault affects; keeps what state it needs between calls."""


class CallFault(Protocol):
    """An API fault as the gateway sees it. Equal faults count as one."""

    def affects(self, service: str) -> bool:
        """Whether it applies to calls to this service, named by the prefix of its IAM actions (`ec2`, `cloudwatch`)."""
        ...

    def make_evaluator(self, *, clock: Callable[[], float], rng: Callable[[], float]) -> CallEvaluator:
        """Called once, when the fault is injected. `clock` returns seconds; `rng` returns a random number from 0 up to 1."""
        ...
