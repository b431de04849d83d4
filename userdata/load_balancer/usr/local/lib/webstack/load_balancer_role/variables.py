"""A load balancer's parameters: from its user data, and from its configuration object those that a reload applies."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from webstack_host.variables import Configuration, HostVariables

Balance = Literal["roundrobin", "leastconn", "random", "source", "uri"]
BackendMode = Literal["active-active", "active-passive"]
TlsMode = Literal["self-signed", "secret"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits for each source address, except those in `exempt_cidrs`."""

    connections: int
    """Open connections at a time."""
    connection_rate: int
    """Connections opened in ten seconds."""
    request_rate: int
    """Requests in ten seconds."""
    request_concurrency: int
    """Concurrent requests."""
    credential_paths: tuple[str, ...]
    """Paths of pages that check or accept passwords. The following limits apply only to them."""
    credential_rate: int
    """Requests other than GET in a minute."""
    total_credential_rate: int
    """Requests other than GET in a second, from all addresses together."""
    exempt_cidrs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LoadBalancerConfiguration(Configuration):
    """The values that a reload applies."""

    tls_mode: TlsMode
    tls_secret: str
    """The name of the Secrets Manager secret with the PEM (chain and key); empty unless `tls_mode` is `secret`."""
    domain: str
    """The name in the certificate; the Elastic IP's address if the user gave none."""
    aliases: tuple[str, ...]
    """Further names, which redirect to `domain`."""
    balance: Balance
    backend_mode: BackendMode
    web_slots: int
    """The number of server slots in HAProxy: more than web hosts, so that replacements and scaling change no configuration."""
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class LoadBalancerVariables(HostVariables, LoadBalancerConfiguration):
    """All parameters of a load balancer."""

    packages: ClassVar[tuple[str, ...]] = (
        "gpgv", "haproxy", "keepalived", "nftables", "openssl", "python3-boto3", "unattended-upgrades",
    )  # fmt: skip
    configuration: ClassVar[type[Configuration]] = LoadBalancerConfiguration
    reloadable_files: ClassVar[tuple[str, ...]] = ("/etc/haproxy/haproxy.cfg",)

    role: Literal["load_balancer"] = "load_balancer"
    private_address: str
    peer_address: str
    """The other load balancer's planned address; keepalived needs a peer even if there is none yet."""
    elastic_ip_allocation_id: str
    elastic_ip_address: str
