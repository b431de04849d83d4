"""What a load balancer is told: by its user data, and by its configuration object what a reload applies."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from webstack_host.variables import Configuration, HostVariables

Balance = Literal["roundrobin", "leastconn", "random", "source", "uri"]
BackendMode = Literal["active-active", "active-passive"]
TlsMode = Literal["self-signed", "secret"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one source address gets of a load balancer, those in `exempt_cidrs` apart."""

    connections: int
    """Open at a time."""
    connection_rate: int
    """Opened in ten seconds."""
    request_rate: int
    """Requests in ten seconds."""
    request_concurrency: int
    """Requests under way at a time."""
    credential_paths: tuple[str, ...]
    """Pages that check or take passwords; the limits below are for them alone."""
    credential_rate: int
    """Requests in a minute that are no GET."""
    total_credential_rate: int
    """The same in a second, of all addresses together."""
    exempt_cidrs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LoadBalancerConfiguration(Configuration):
    """What a reload applies."""

    tls_mode: TlsMode
    tls_secret: str
    """The name of the Secrets Manager secret with the PEM (chain and key); empty unless `tls_mode` is `secret`."""
    domain: str
    """The name the certificate is for; the Elastic IP's address where the user gave none."""
    aliases: tuple[str, ...]
    """Further names, whose visitors are sent on to `domain`."""
    balance: Balance
    backend_mode: BackendMode
    web_slots: int
    """Servers that HAProxy keeps places for: more than there are, so that replacements and scaling change no configuration."""
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class LoadBalancerVariables(HostVariables, LoadBalancerConfiguration):
    """All that a load balancer is told."""

    packages: ClassVar[tuple[str, ...]] = (
        "gpgv", "haproxy", "keepalived", "nftables", "openssl", "python3-boto3", "unattended-upgrades",
    )  # fmt: skip
    configuration: ClassVar[type[Configuration]] = LoadBalancerConfiguration
    reloadable_files: ClassVar[tuple[str, ...]] = ("/etc/haproxy/haproxy.cfg",)

    role: Literal["load_balancer"] = "load_balancer"
    private_address: str
    peer_address: str
    """The other load balancer's planned address; keepalived needs a peer even where there is none yet."""
    elastic_ip_allocation_id: str
    elastic_ip_address: str
