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
    """Freezes runs of hosts. What is frozen stands in the kernel's control groups alone."""

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

    # Before a boot there is nothing to forget: new control groups are not frozen.


class Freeze(HostFault):
    """Freeze a host: none of its programs runs, and nobody is told.

    Its kernel goes on, as one whose machine only hangs would: pings are answered, connections are taken and bytes acknowledged, until its
    buffers are full. The API still shows `running`. `kill`, and a stop or termination whose patience is over, end it as on EC2; what is
    started after that is not frozen. Programs run by `webstack lab exec` are not the host's own and do run.
    """

    injector = FreezeInjector

    kind: Literal["freeze"] = "freeze"
    injected_at: float = Field(default_factory=time.time)
    """Seconds since the epoch: runs that began later are not meant."""

    def summary(self) -> str:
        return f"{self.host} is frozen"

    def check(self, snapshot: LabSnapshot) -> None:
        machines = snapshot.require_host(self.host)
        if not any(snapshot.machine(machine).supervisor() for machine in machines):
            raise FaultError(f"{self.host} does not run: only a running host can be frozen. Start it: webstack lab start {self.host}")

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        if any(self.applies_to(snapshot.machine(machine)) for machine in snapshot.hosts(self.host)):
            return []
        return super().inactive_reasons(snapshot) or [f"{self.host} has been off since, and what starts anew is not frozen"]

    def applies_to(self, machine: "Machine") -> bool:
        """Whether it is the machine's present run that is frozen."""
        booted = machine.booted_at()
        return machine.supervisor() is not None and booted is not None and booted < self.injected_at
