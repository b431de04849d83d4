"""What a database host is told."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from webstack_host.variables import DatabaseEndpoint, HostVariables


@dataclass(frozen=True, kw_only=True)
class DatabaseVariables(HostVariables):
    """All that a database host is told."""

    packages: ClassVar[tuple[str, ...]] = (
        "gpgv", "logrotate", "nftables", "openssl", "python3-boto3", "python3-pymysql", "unattended-upgrades", "xfsprogs",
    )  # fmt: skip
    role: Literal["database"] = "database"
    server_id: int
    private_address: str
    dns_name: str
    databases: tuple[DatabaseEndpoint, ...]
    """Every database host, this one included."""
    has_replica: bool
    """Whether there is a second database host."""
    volume_id: str
    network_cidr: str
    schema: str
    semi_sync_timeout_seconds: int
    """How long writes wait for a lost replica before the primary goes on without it."""
    buffer_pool_mb: int

    @property
    def first_host(self) -> str:
        """The only host that may begin a database from nothing."""
        return "db-1"

    @property
    def peer(self) -> DatabaseEndpoint | None:
        """The other database host, if the stack has one."""
        return next((each for each in self.databases if each.host != self.host), None) if self.has_replica else None

    def endpoint(self, host: str) -> DatabaseEndpoint | None:
        """The host of that name, if the stack has it."""
        return next((each for each in self.databases if each.host == host), None)
