"""The sections of the stack file: one frozen model per object, with every type, default and rule of a single key.

Keys are camelCase in YAML and snake_case in Python. No key holds a secret. What concerns several keys is in `stack.settings`.
"""

from typing import Annotated, Literal, get_args

from load_balancer_role.variables import BackendMode, Balance
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt
from pydantic.alias_generators import to_camel

from stack.addressing import MAX_ZONES
from stack.setting_types import (
    Ami,
    Cidr,
    Directory,
    Domain,
    InstanceType,
    Module,
    PolicyArn,
    Schema,
    SecretName,
    Tags,
    Timestamp,
    UrlPath,
    VpcCidr,
)

EnvironmentClass = Literal["development", "production", "ephemeral"]
Nat = Literal["single", "per-az"]
RebootDay = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "daily", "never"]


class Section(BaseModel):
    """One object of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=False)


class EnvironmentSettings(Section):
    """What kind of environment the stack is."""

    class_: EnvironmentClass = Field(
        default="development",
        alias="class",
        description="`production` protects what holds data or addresses and refuses to be destroyed; the others are destroyed to nothing",
    )
    ami: Ami | None = Field(
        default=None,
        description="the AMI of every host; without it Debian 13's newest at a host's creation, and later ones are ignored",
    )
    tags: Tags = Field(default_factory=dict, description="tags on everything, besides the stack's own")
    permissions_boundary: PolicyArn | None = Field(
        default=None, description="the ARN of the managed IAM policy that limits every role of the stack, whatever its own policy says"
    )
    expires: Timestamp | None = Field(default=None, description="from when an `ephemeral` stack may be removed; put into the tag `expires`")


class NetworkSettings(Section):
    """The VPC."""

    cidr: VpcCidr = Field(default="10.20.0.0/16", description="the network's addresses, /16 to /22; a stack that exists keeps them")
    zones: Annotated[StrictInt, Field(ge=2, le=MAX_ZONES)] = Field(default=2, description="how many availability zones are used, 2 to 4")
    zone_names: tuple[str, ...] = Field(
        default=(),
        description="which zones, in order; without it the region's first by name when the stack is made. What exists never moves",
    )
    nat: Nat = Field(default="single", description="one NAT gateway for all zones, or `per-az`")
    avoid_cidrs: tuple[Cidr, ...] = Field(default=(), description="networks this one is or will be joined with; it must not overlap them")
    flow_log_days: Literal[1, 3, 7, 14, 30, 60, 90, 180, 365] = Field(default=7, description="how long flow logs are kept")


class TlsSettings(Section):
    """The certificate that the load balancer shows."""

    mode: Literal["self-signed", "secret", "acme"] = Field(
        default="self-signed", description="`self-signed` (key born on the host) or `secret` (your PEM); `acme` is not there yet"
    )
    secret: SecretName | None = Field(default=None, description="the name of the Secrets Manager secret that holds chain and key as PEM")


class LimitsSettings(Section):
    """What one source address gets. An office behind one address has dozens of browsers; the defaults leave it far from each limit."""

    connections: Annotated[StrictInt, Field(ge=10, le=6000)] = Field(
        default=500, description="connections that one address may have open; more are closed at once"
    )
    connection_rate: Annotated[StrictInt, Field(ge=10, le=1_000_000)] = Field(
        default=1000, description="connections that one address may open in ten seconds; more are closed at once"
    )
    request_rate: Annotated[StrictInt, Field(ge=10, le=1_000_000)] = Field(
        default=2000, description="requests of one address in ten seconds; more get 429 with Retry-After"
    )
    request_concurrency: Annotated[StrictInt, Field(ge=10, le=6000)] = Field(
        default=300, description="requests that one address may have under way at a time; more get 429 with Retry-After"
    )
    credential_paths: Annotated[tuple[UrlPath, ...], Field(max_length=20)] = Field(
        default=("/login", "/sign-up", "/api/session", "/api/users", "/accounts/login", "/admin/login"),
        description="the app's pages that check or take passwords, by their whole path: what is sent to them is limited more",
    )
    credential_rate: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = Field(
        default=60, description="requests of one address to `credentialPaths` in a minute, GET apart; more get 429 with Retry-After"
    )
    total_credential_rate: Annotated[StrictInt, Field(ge=1, le=10_000)] = Field(
        default=5, description="requests to `credentialPaths` in a second, GET apart, whoever sends them; more get 429 with Retry-After"
    )
    exempt_cidrs: Annotated[tuple[Cidr, ...], Field(max_length=100)] = Field(
        default=(), description="networks without limits per address, such as a monitoring service's or an office's"
    )


class LoadBalancerSettings(Section):
    """HAProxy hosts."""

    count: Annotated[StrictInt, Field(ge=1)] = Field(default=1, description="how many; only 1 for now")
    instance_type: InstanceType = Field(default="t3.small", description="an x86-64 instance type of the Nitro system")
    allowed_cidrs: Annotated[tuple[Cidr, ...], Field(min_length=1)] = Field(
        default=("0.0.0.0/0",),
        description="who may reach ports 80 and 443; at most 30 networks, at a change the old and the new ones together",
    )
    tls: TlsSettings = Field(default_factory=TlsSettings, description="the certificate")
    domain: Domain | None = Field(
        default=None,
        description="the site's name, and requests for another one get 421; without it the Elastic IP's address, and no request does",
    )
    aliases: Annotated[tuple[Domain, ...], Field(max_length=20)] = Field(
        default=(), description="further names of the site, such as www.example.com: their visitors are sent on to `domain`"
    )
    balance: Balance = Field(
        default="roundrobin", description=f"how requests are spread: {', '.join(f'`{value}`' for value in get_args(Balance))}"
    )
    backend_mode: BackendMode = Field(
        default="active-active", description="`active-passive`: the last web hosts serve only when none of the first does"
    )
    limits: LimitsSettings = Field(default_factory=LimitsSettings, description="what one visitor's address may take")


class WebSettings(Section):
    """Nginx and Gunicorn hosts."""

    count: Annotated[StrictInt, Field(ge=1, le=250)] = Field(
        default=2, description="how many; a network of /22 has addresses for 29 in each zone"
    )
    instance_type: InstanceType = Field(default="t3.small", description="an x86-64 instance type of the Nitro system")
    app: Directory = Field(default="app", description="the folder of the WSGI app, relative to the project's")
    module: Module = Field(default="wsgi:app", description="the WSGI callable in it")
    workers: Annotated[StrictInt, Field(ge=0, le=256)] = Field(
        default=0, description="Gunicorn worker processes, of eight threads each; 0 is one for each processor, two at least"
    )
    drain_seconds: Annotated[StrictInt, Field(ge=10, le=45)] = Field(
        default=20, description="how long a stopping host is marked unhealthy before it stops serving"
    )
    migrate_timeout: Annotated[StrictInt, Field(ge=60, le=7000)] = Field(
        default=600, description="seconds after which one run of `migrate.py` is stopped; less than `readiness.timeout`"
    )
    check_path: UrlPath = Field(default="/healthz", description="the app's page that load balancers' checks are answered by, with 200")
    ready_path: UrlPath = Field(
        default="/readyz", description="the app's page that says whether it can serve: with 200 only where it reaches its databases"
    )


class DatabaseSettings(Section):
    """MySQL hosts."""

    instance_type: InstanceType = Field(default="t3.medium", description="an x86-64 instance type of the Nitro system")
    volume_size: Annotated[StrictInt, Field(ge=1, le=16384)] = Field(
        default=20, description="GiB of each data volume; it can grow while MySQL runs, never shrink"
    )
    replica: StrictBool = Field(default=True, description="whether there is a db-2")
    schema_name: Schema = Field(default="app", alias="schema", description="the app's schema")
    semi_sync_timeout: Annotated[StrictInt, Field(ge=1, le=300)] = Field(
        default=5, description="seconds for which writes wait for a lost replica before the primary goes on alone"
    )
    buffer_pool: Annotated[StrictInt, Field(ge=32, le=1_000_000)] = Field(default=256, description="MiB of InnoDB's buffer pool")


class PatchingSettings(Section):
    """Debian's security upgrades on the hosts. Each host of a tier has an hour of its own (`stack.patching`)."""

    upgrades: StrictBool = Field(
        default=True, description="whether hosts install Debian's security upgrades by themselves, each day at an hour of their own"
    )
    hour: Annotated[StrictInt, Field(ge=0, le=23)] = Field(
        default=3, description="the hour in UTC of web-1, lb-2 and db-2; web-2, lb-1 and db-1 have the next, and so on"
    )
    reboot_day: RebootDay = Field(
        default="sunday",
        description="the weekday on which a host that needs a reboot does it, in its hour and while the others of its tier serve; "
        "`daily`, or `never`",
    )


class ReadinessSettings(Section):
    """The wait for hosts that really serve."""

    wait: StrictBool = Field(
        default=True,
        description="whether `up` waits (and starts a host that is stopped); without it nothing promises that no request is lost",
    )
    timeout: Annotated[StrictInt, Field(ge=30, le=7200)] = Field(default=900, description="seconds until a host must be ready")
    site: StrictBool = Field(
        default=True, description="whether `up` asks the site itself in the end; false where it runs on a machine that cannot reach it"
    )
