"""Hands the faults of the API, of which the registry keeps descriptions, to the API gateway."""

from collections.abc import Sequence

from lab.cloud.api_fault_filter import ApiFault as DoorFault
from lab.cloud.api_fault_filter import ApiFaultFilter
from lab.hypervisor.faults.api import ApiDown, ApiSlow, ApiThrottle
from lab.hypervisor.faults.fault import Fault, LabSnapshot


class ApiFaultInjector:
    """See `lab.hypervisor.faults.fault.FaultInjector`."""

    def __init__(self, gateway: ApiFaultFilter) -> None:
        self._filter = gateway

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """See `FaultInjector`."""
        del snapshot
        self._filter.set_faults([one for fault in faults if (one := _to_api_fault(fault)) is not None])

    def before_boot(self, instance_id: str) -> None:
        """See `FaultInjector`. The API has nothing to do with it."""


def _to_api_fault(fault: Fault) -> DoorFault | None:
    match fault:
        case ApiThrottle(service=service, percent=percent, rate=rate):
            return DoorFault(kind="throttle", service=service, probability=1.0 if percent is None else percent / 100, rate=rate)
        case ApiSlow(service=service, milliseconds=milliseconds):
            return DoorFault(kind="slow", service=service, delay=milliseconds / 1000)
        case ApiDown(service=service):
            return DoorFault(kind="down", service=service)
        case _:
            return None
