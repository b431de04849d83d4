"""What a host is told: one frozen dataclass per role. The only data that travels from the stack into user data.

The fields are the context of every template under `userdata/` and, in this order, the keys of `/etc/webstack/host.json`, which is the one
place that programs on the host read their parameters from. No field may ever hold a secret: user data is readable by
everybody who may describe the instance.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

Role = Literal["load_balancer", "web", "database"]
Balance = Literal["roundrobin", "leastconn", "random", "source", "uri"]
Activity = Literal["active-active", "active-passive"]
TlsMode = Literal["self-signed", "secret"]

LOAD_BALANCER: Final = "load_balancer"
WEB: Final = "web"
DATABASE: Final = "database"
ROLES: Final[tuple[Role, ...]] = (LOAD_BALANCER, WEB, DATABASE)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A tar.gz in the artifact bucket; `sha256` is that of its bytes, in hex."""

    key: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """One database host as others reach it: by its name in the private zone or by its fixed address."""

    host: str
    dns_name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class HostVariables:
    """What every role is told."""

    project: str
    environment: str
    role: Role
    host: str
    """`web-1`: the host's name, unique in its environment."""
    region: str
    zone: str
    """The private DNS zone, without a dot at its end."""
    bucket: str
    """The artifact bucket's name."""
    role_bundle: Bundle
    secret_prefix: str
    """`webstack/<environment>-<stack id>`: a secret is named by it, a slash and its purpose."""
    readiness_timeout: int
    """Seconds from the end of the configuration until the host's own check must have passed."""
    configuration_key: str = ""
    """The object in the artifact bucket that says what a reload applies and which user data is wanted; empty for cattle."""
    upgrades_at: str = ""
    """When security upgrades are installed, as systemd.time(7) has it: `*-*-* 03:00 UTC`. Empty where nobody installs them."""
    reboot_day: str = ""
    """The day in UTC, as `sunday`, on which a reboot that an upgrade needs follows it; `daily`, or empty for never."""


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
class LoadBalancerVariables(HostVariables):
    """What a load balancer is told."""

    role: Role = field(default="load_balancer", init=False)
    private_address: str
    peer_address: str
    """The other load balancer's planned address; keepalived needs a peer even where there is none yet."""
    network_cidr: str
    elastic_ip_allocation_id: str
    elastic_ip_address: str
    tls_mode: TlsMode
    tls_secret: str
    """The name of the Secrets Manager secret with the PEM (chain and key); empty unless `tls_mode` is `secret`."""
    domain: str
    """The name the certificate is for; the Elastic IP's address where the user gave none."""
    aliases: tuple[str, ...]
    """Further names, whose visitors are sent on to `domain`."""
    balance: Balance
    activity: Activity
    web_slots: int
    """Servers that HAProxy keeps places for: more than there are, so that replacements and scaling change no configuration."""
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class WebVariables(HostVariables):
    """What a web host is told."""

    role: Role = field(default="web", init=False)
    app_bundle: Bundle
    app_module: str
    """The WSGI callable, `module:name`."""
    load_balancer_addresses: tuple[str, ...]
    """All planned load balancers: whose word on the client's address is believed."""
    databases: tuple[DatabaseEndpoint, ...]
    schema: str
    workers: int
    """Gunicorn's worker processes; 0 lets the host count its processors."""
    drain_seconds: int
    """How long a stopping host answers `/healthz` with 503 before it stops serving."""
    migrate_timeout: int
    """Seconds after which one run of `migrate.py` is stopped."""
    site_host: str
    """The name that visitors ask for: what the app's checks are asked with, and what it is told as SITE_HOST."""
    check_path: str
    """The app's page behind Nginx's `/healthz`."""
    ready_path: str
    """The app's page behind Nginx's `/readyz`."""


@dataclass(frozen=True, kw_only=True)
class DatabaseVariables(HostVariables):
    """What a database host is told."""

    role: Role = field(default="database", init=False)
    server_id: int
    private_address: str
    dns_name: str
    databases: tuple[DatabaseEndpoint, ...]
    """Every database host, this one included."""
    replica: bool
    """Whether there is a second database host."""
    volume_id: str
    network_cidr: str
    schema: str
    patience_seconds: int
    """How long writes wait for a lost replica before the primary goes on without it."""
    buffer_pool_mb: int


AnyVariables = LoadBalancerVariables | WebVariables | DatabaseVariables
