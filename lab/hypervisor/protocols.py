"""The interface between the hypervisor and the cloud's services.

`lab.cloud.services.CloudServices` is the other side. It is started with a `RouterNamespace` to listen in and a `ChangeListener` to call
when something may have changed. The hypervisor reports to it when a machine has really stopped, since moto has no machines and would show
`stopped` at once.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from lab.hypervisor import namespaces


@dataclass(frozen=True, kw_only=True)
class RouterNamespace:
    """The router's network namespace, which exists before the services start and until after they stop.

    Its loopback has these addresses from the start: `names.METADATA_ADDRESS`, `names.RESOLVER_ADDRESS`, `LabNames.api_address` and
    `LabNames.s3_address`.
    """

    name: str

    def listen(self, kind: socket.SocketKind, address: str, port: int) -> socket.socket:
        """Opens a non-blocking socket bound there, listening if `SOCK_STREAM`. Call it once per address, so that replies come from it."""
        return namespaces.open_socket_in(self.name, socket.AF_INET, kind, (address, port))


class ChangeListener(Protocol):
    """Called, in the daemon's event loop, after each call to the API that may have changed something. Returns at once."""

    def __call__(self, *, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
        """`region` and `service` as in the signature's scope (`eu-central-1`, `ec2`), `action` as in an IAM action (`RebootInstances`),
        `parameters` the flat query (`InstanceId.1`). The hypervisor handles every region named in a call."""
        ...


MachineEvent = Literal["started", "stopped", "terminated", "detached", "busy"]
"""What may have happened to a machine:

- `started`: it was switched on; `pending` becomes `running`. Also reported if it failed to boot: EC2 has no state for that.
- `stopped`: it is off and its root disk is kept; `stopping` becomes `stopped` (as does `running`, if it powered itself off).
- `terminated`: it and its root disk are removed; `shutting-down` becomes `terminated`.
- `detached`: it does not, or no longer, have the volume; `detaching` becomes `available`.
- `busy`: it has kept a `detaching` volume for long.
"""


class MachineStatusReporter(Protocol):
    """Passes machine events from the hypervisor to the API. Reports are idempotent and may be repeated."""

    async def report(self, instance_id: str, event: MachineEvent, volume_id: str | None = None) -> None:
        """Reports an event. `volume_id` is required for `detached` and `busy`."""
        ...
