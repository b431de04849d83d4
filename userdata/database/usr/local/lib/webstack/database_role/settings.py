"""This host's parameters, typed: what `/etc/webstack/host.json` says, as the modules of this role read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """One of the stack's database hosts."""

    host: str
    dns_name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What this host is, and how it should behave. Times are seconds."""

    host: str
    server_id: int
    address: str
    dns_name: str
    hosts: tuple[DatabaseEndpoint, ...]
    has_replica: bool
    volume_id: str
    network_cidr: str
    schema: str
    ack_timeout: float

    @classmethod
    def from_variables(cls, variables: Mapping[str, Any]) -> "Settings":
        """The settings in a database host's variables. Raises KeyError naming what is missing."""
        return cls(
            host=variables["host"],
            server_id=int(variables["server_id"]),
            address=variables["private_address"],
            dns_name=variables["dns_name"],
            hosts=tuple(
                DatabaseEndpoint(host=each["host"], dns_name=each["dns_name"], address=each["address"]) for each in variables["databases"]
            ),
            has_replica=bool(variables["replica"]),
            volume_id=variables["volume_id"],
            network_cidr=variables["network_cidr"],
            schema=variables["schema"],
            ack_timeout=float(variables["patience_seconds"]),
        )

    @property
    def first_host(self) -> str:
        """The only host that may begin a database from nothing."""
        return "db-1"

    @property
    def peer(self) -> DatabaseEndpoint | None:
        """The other database host, if the stack has one."""
        return next((each for each in self.hosts if each.host != self.host), None) if self.has_replica else None

    def endpoint(self, host: str) -> DatabaseEndpoint | None:
        """The host of that name, if the stack has it."""
        return next((each for each in self.hosts if each.host == host), None)
