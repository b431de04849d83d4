"""What a fault of the AWS API does to calls. Its kind says it (`lab.hypervisor.faults.kinds.api`), the API gateway does it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class CallEffect:
    """What becomes of a call: it waits `delay` seconds, and then gets no answer, or is refused as one too many, or goes its way."""

    delay: float = 0.0
    throttled: bool = False
    drop_connection: bool = False


CallEvaluator = Callable[[str], CallEffect]
"""Called with the service of each call that a fault affects; remembers what it must of earlier ones."""


class CallFault(Protocol):
    """A fault of the API, as the gateway knows it. Two that are equal are one fault given twice."""

    def affects(self, service: str) -> bool:
        """Whether it is about calls to this service, named by the prefix of its IAM actions (`ec2`, `cloudwatch`)."""
        ...

    def make_evaluator(self, *, clock: Callable[[], float], rng: Callable[[], float]) -> CallEvaluator:
        """Called once, when the fault is given. `clock` tells seconds, `lot` draws from 0 up to 1."""
        ...
