"""The seam between the machines and the cloud's services: what each side offers the other.

`lab.cloud.services.CloudServices` is the other side. It is started with a `RouterNamespace` to listen in and with a `ChangeListener`
to tell of calls that changed something; it is told when a machine has really stopped, because moto itself knows of no machine and would
show `stopped` at once.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from lab.hypervisor import namespaces


@dataclass(frozen=True, kw_only=True)
class RouterNamespace:
    """The router's network namespace, which exists from before the services start until after they stop.

    On its loopback stand, from the start: `names.METADATA_ADDRESS`, `names.RESOLVER_ADDRESS`, `LabNames.api_address` and
    `LabNames.s3_address`.
    """

    name: str

    def listen(self, kind: socket.SocketKind, address: str, port: int) -> socket.socket:
        """A non-blocking bound socket there (listening if `SOCK_STREAM`); call it once per address, replies leave from that address."""
        return namespaces.open_socket_in(self.name, socket.AF_INET, kind, (address, port))


class ChangeListener(Protocol):
    """Called, in the daemon's event loop, after each call to the API that may have changed something. Returns at once."""

    def __call__(self, *, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
        """`region` and `service` as in the signature's scope (`eu-central-1`, `ec2`), `action` as in an IAM action (`RebootInstances`),
        `parameters` the flat query (`InstanceId.1`). The hypervisor looks after every region that it has heard of this way."""
        ...


MachineEvent = Literal["started", "stopped", "terminated", "detached", "busy"]
"""What may have happened to a machine:

- `started`: it is switched on; `pending` becomes `running`. Said of one that fails too: the API knows no failed machine.
- `stopped`: it is off, its root disk kept; `stopping` becomes `stopped` (so too for a `running` one that powered itself off).
- `terminated`: it is gone with its root disk; `shutting-down` becomes `terminated`.
- `detached`: it does not have the volume (any more); one that is `detaching` becomes `available`.
- `busy`: it has held a volume that is `detaching` for long.
"""


class MachineStatusReporter(Protocol):
    """What the hypervisor tells the API of machines. Each report may be repeated and does no harm then."""

    async def report(self, instance_id: str, event: MachineEvent, volume_id: str | None = None) -> None:
        """`volume_id`: the volume that `detached` and `busy` are about."""
        ...
