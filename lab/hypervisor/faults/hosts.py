"""Faults of hosts, and of their disks."""

import re
from abc import ABC
from typing import Annotated

from pydantic import field_validator

from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.command_line import HOSTS, Parameter
from lab.hypervisor.faults.fault import Fault, FaultError, LabSnapshot

ROOT = "root"
DATA = "data"
"""All data volumes of a host."""


class HostFault(Fault, ABC):
    """A fault of one host, given by name or instance id."""

    command_group = HOSTS

    host: Annotated[str, Parameter(metavar="HOST", help="A host's name, such as web-1, or its instance id.")]

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        return [] if snapshot.hosts(self.host) else [f"there is no host {self.host} now"]


class DiskFault(HostFault, ABC):
    """A fault of a host's disk."""

    volume: Annotated[
        str,
        Parameter(
            option="--volume", metavar="data|root|VOLUME-ID", help="The disk: all data volumes, the root disk, or one volume by its id."
        ),
    ] = DATA
    """`root`, `data` (all data volumes) or a volume id."""

    @field_validator("volume")
    @classmethod
    def _validate_volume(cls, given: str) -> str:
        if given not in (ROOT, DATA) and not re.fullmatch(r"vol-[0-9a-f]+", given):
            raise ValueError(f"volume {given!r}: give `root`, `data` (all data volumes of the host), or a volume's id such as vol-0123abcd")
        return given

    def disk_label(self) -> str:
        """Describes the affected disk for people."""
        return {ROOT: f"the root disk of {self.host}", DATA: f"the data volume of {self.host}"}.get(
            self.volume, f"volume {self.volume} of {self.host}"
        )

    def volumes_of(self, machine: DesiredMachine) -> list[str]:
        """Returns the ids of the host's data volumes that are affected."""
        attached = [volume.volume_id for volume in machine.volumes]
        return attached if self.volume == DATA else [volume_id for volume_id in attached if volume_id == self.volume]

    def check(self, snapshot: LabSnapshot) -> None:
        machines = snapshot.require_host(self.host)
        if self.volume != ROOT and not any(self.volumes_of(machine) for machine in machines):
            there = [ROOT, *(volume.volume_id for machine in machines for volume in machine.volumes)]
            raise FaultError(f"volume {self.volume!r}: {self.host} has no such disk; give --volume with one of {', '.join(there)}")

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        machines = snapshot.hosts(self.host)
        if self.volume == ROOT or not machines or any(self.volumes_of(machine) for machine in machines):
            return super().inactive_reasons(snapshot)
        return [f"{self.host} has no such disk now"]
