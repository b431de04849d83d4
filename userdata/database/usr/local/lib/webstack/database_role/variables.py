"""A database host's parameters."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from webstack_host.variables import DatabaseEndpoint, HostVariables


@dataclass(frozen=True, kw_only=True)
class DatabaseVariables(HostVariables):
    """All parameters of a database host."""

    packages: ClassVar[tuple[str, ...]] = (
        "gpgv", "logrotate", "nftables", "openssl", "python3-boto3", "python3-pymysql", "unattended-upgrades", "xfsprogs",
    )  # fmt: skip
    role: Literal["database"] = "database"
    server_id: int
    private_address: str
    dns_name: str
    databases: tuple[DatabaseEndpoint, ...]
    """All database hosts, including this one."""
    has_replica: bool
    """Whether there is a second database host."""
    volume_id: str
    network_cidr: str
    schema: str
    semi_sync_timeout_seconds: int
    """How long writes wait for a lost replica before the primary continues without it."""
    buffer_pool_mb: int

    @property
    def first_host(self) -> str:
        """The only host that may create the database."""
        return "db-1"

    @property
    def peer(self) -> DatabaseEndpoint | None:
        """The other database host, or None if there is only one."""
        return next((each for each in self.databases if each.host != self.host), None) if self.has_replica else None

    def endpoint(self, host: str) -> DatabaseEndpoint | None:
        """Returns the host of that name, or None if the stack does not have it."""
        return next((each for each in self.databases if each.host == host), None)
