"""A host that is frozen."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lab.hypervisor.faults.fault import Fault, FaultError, FaultInjector, LabSnapshot
from lab.hypervisor.faults.hosts import HostFault

if TYPE_CHECKING:
    from lab.hypervisor.machine import Machine


class FreezeInjector(FaultInjector):
    """Freezes hosts' current runs. The state is only in the kernel's control groups."""

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """See `FaultInjector`."""
        wanted = [fault for fault in faults if isinstance(fault, Freeze)]
        for desired in snapshot.live_machines:
            machine = snapshot.machine(desired)
            meant = any(fault.applies_to(machine) for fault in wanted if desired in snapshot.hosts(fault.host))
            if meant != machine.cgroup.frozen():
                if meant:
                    machine.cgroup.freeze()
                else:
                    machine.cgroup.thaw()

    # No `before_boot`: nothing is remembered, and new control groups are not frozen.


class Freeze(HostFault):
    """Freeze a host: none of its programs runs, and nothing reports it.

    Its kernel keeps running, like that of a hung machine: it answers pings, accepts connections and acknowledges data until its buffers are
    full. The API still shows `running`. `kill` ends it, as does a stop or termination after its timeout, as on EC2; the host is not frozen
    when it is started again. Programs run by `webstack lab exec` are not the host's own and are not frozen.
    """

    injector = FreezeInjector

    kind: Literal["freeze"] = "freeze"
    injected_at: float = Field(default_factory=time.time)
    """Seconds since the epoch: runs that began later are not frozen."""

    def summary(self) -> str:
        return f"{self.host} is frozen"

    def check(self, snapshot: LabSnapshot) -> None:
        machines = snapshot.require_host(self.host)
        if not any(snapshot.machine(machine).supervisor() for machine in machines):
            raise FaultError(f"{self.host} is not running, and only a running host can be frozen. Start it: webstack lab start {self.host}")

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        if any(self.applies_to(snapshot.machine(machine)) for machine in snapshot.hosts(self.host)):
            return []
        return super().inactive_reasons(snapshot) or [f"{self.host} has been off since, and a new run is not frozen"]

    def applies_to(self, machine: "Machine") -> bool:
        """Whether the fault applies to the machine's current run."""
        booted = machine.booted_at()
        return machine.supervisor() is not None and booted is not None and booted < self.injected_at
