"""Hands the faults of the API, of which the registry keeps descriptions, to the API's door."""

from collections.abc import Sequence

from lab.cloud.api_faults import ApiFault as DoorFault
from lab.cloud.api_faults import ApiFaults
from lab.hypervisor.faults.api import ApiDown, ApiSlow, ApiThrottle
from lab.hypervisor.faults.fault import Fault, Scene


class DoorFaults:
    """See `lab.hypervisor.faults.fault.Effector`."""

    def __init__(self, door: ApiFaults) -> None:
        self._door = door

    def apply(self, faults: Sequence[Fault], scene: Scene) -> None:
        """See `Effector`."""
        del scene
        self._door.have([one for fault in faults if (one := _at_the_door(fault)) is not None])

    def booting(self, instance_id: str) -> None:
        """See `Effector`. The API has nothing to do with it."""


def _at_the_door(fault: Fault) -> DoorFault | None:
    match fault:
        case ApiThrottle(service=service, percent=percent, rate=rate):
            return DoorFault(kind="throttle", service=service, share=1.0 if percent is None else percent / 100, rate=rate)
        case ApiSlow(service=service, milliseconds=milliseconds):
            return DoorFault(kind="slow", service=service, delay=milliseconds / 1000)
        case ApiDown(service=service):
            return DoorFault(kind="down", service=service)
        case _:
            return None
