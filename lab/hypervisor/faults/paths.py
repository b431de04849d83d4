"""Faults of the path between two ends."""

from abc import ABC
from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from lab.hypervisor.faults.command_line import NETWORK, Parameter
from lab.hypervisor.faults.fault import Fault, FaultError, LabSnapshot
from lab.names import WAN

INTERNET = "internet"
"""As an end: everything outside the VPC except AWS's own API. In the lab that is this machine."""

AWS = "aws"
"""As an end: AWS's API and S3, but not the metadata service and the resolver, which are on the host's side of every path."""

_END = "a host by name or instance id"

OneWay = Annotated[bool, Parameter(option="--one-way", help="Only packets from FROM to TO. Default: both directions.")]
"""The option of `both_ways` where that is the default."""


class PairFault(Fault, ABC):
    """A fault between two ends: hosts (by name or instance id), `internet`, or `aws`."""

    command_group = NETWORK
    special_endpoints: ClassVar[tuple[str, ...]] = (INTERNET, AWS)
    """Ends that are allowed besides hosts."""

    source: Annotated[str, Parameter(metavar="FROM", help=f"Where packets come from: {_END}, or `internet`.")] = Field(alias="from")
    target: Annotated[str, Parameter(metavar="TO", help=f"Where they go: {_END}, or `internet`.")] = Field(alias="to")
    both_ways: bool = False
    """Whether packets from `target` to `source` are affected too."""

    @model_validator(mode="after")
    def _validate_endpoints(self) -> Self:
        for end in (self.source, self.target):
            if end in (INTERNET, AWS) and end not in self.special_endpoints:
                raise ValueError(
                    f"{end!r} cannot be an end of this fault: it takes hosts{''.join(f' and {name!r}' for name in self.special_endpoints)}"
                )
        if self.source == self.target:
            raise ValueError(f"from {self.source!r} to {self.target!r}: a host's packets to itself never leave it; give two different ends")
        if {self.source, self.target} == {INTERNET, AWS}:
            raise ValueError(f"from {self.source!r} to {self.target!r}: neither end is a host of the lab; give one")
        return self

    def directions(self) -> Iterator[tuple[str, str]]:
        """Yields the affected directions as source and target."""
        yield self.source, self.target
        if self.both_ways:
            yield self.target, self.source

    def path_label(self) -> str:
        """Describes the affected packets for people."""
        return f"between {self.source} and {self.target}" if self.both_ways else f"from {self.source} to {self.target}"

    def check(self, snapshot: LabSnapshot) -> None:
        found = [
            {machine.instance_id for machine in snapshot.require_host(end, *self.special_endpoints)}
            for end in (self.source, self.target)
            if end not in self.special_endpoints
        ]
        if len(found) == 2 and found[0] == found[1]:
            raise FaultError(f"from {self.source!r} to {self.target!r}: both name the same host; give two different ones")

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        return [
            f"there is no host {end} now"
            for end in (self.source, self.target)
            if end not in self.special_endpoints and not snapshot.hosts(end)
        ]

    def affects_path(self, snapshot: LabSnapshot, source: str, target: str) -> bool:
        one, other = _endpoint_ids(self.source, snapshot), _endpoint_ids(self.target, snapshot)
        return (source in one and target in other) or (source in other and target in one)


def router_links(endpoint: str, snapshot: LabSnapshot) -> list[str]:
    """Returns the router's links to an end: two if two instances share the name, none if there is no such host."""
    return [WAN] if endpoint == INTERNET else [snapshot.names.router_link(machine.instance_id) for machine in snapshot.hosts(endpoint)]


def _endpoint_ids(endpoint: str, snapshot: LabSnapshot) -> set[str]:
    return {endpoint} if endpoint in (INTERNET, AWS) else {machine.instance_id for machine in snapshot.hosts(endpoint)}
