"""The load balancers: HAProxy hosts of which the active one holds the site's address."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from stack.environment import Environment
from stack.roles.spec import (
    HOST_CHECK_TIMEOUT,
    HTTP_PORT,
    HTTPS_PORT,
    INTERNET,
    HostInputs,
    InboundFlow,
    PolicyInputs,
    RoleSpec,
    Statement,
    allow,
)
from stack.settings import Settings
from stack.tags import STACK_ID_TAG
from userdata.variables import BackendMode, Balance, HostVariables, Role, TlsMode

NAME: Final[Role] = "load_balancer"

SERVER_SLOT_SIZES = (16, 64, 256, 512)
"""Sizes of HAProxy's list of servers: coarse, so that scaling the web tier seldom changes a load balancer's configuration."""


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

    packages: ClassVar[tuple[str, ...]] = (
        "gpgv", "haproxy", "keepalived", "nftables", "openssl", "python3-boto3", "unattended-upgrades",
    )  # fmt: skip
    reloadable: ClassVar[tuple[str, ...]] = (
        "tls_mode", "tls_secret", "domain", "aliases", "balance", "activity", "web_slots", "limits",
    )  # fmt: skip
    reloadable_files: ClassVar[tuple[str, ...]] = ("/etc/haproxy/haproxy.cfg",)

    role: Role = field(default=NAME, init=False)
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
    activity: BackendMode
    web_slots: int
    """Servers that HAProxy keeps places for: more than there are, so that replacements and scaling change no configuration."""
    limits: Limits


def make_variables(environment: Environment, number: int, inputs: HostInputs) -> LoadBalancerVariables:
    """What a load balancer is told."""
    chosen, plan = environment.settings.load_balancer, environment.address_plan
    needed = 2 * environment.settings.web.count
    return LoadBalancerVariables(
        **SPEC.common_variables(environment, number, inputs),
        readiness_timeout=HOST_CHECK_TIMEOUT,
        private_address=str(SPEC.placement(plan, number).address),
        peer_address=str(SPEC.placement(plan, 3 - number).address),
        network_cidr=environment.settings.network.cidr,
        elastic_ip_allocation_id=inputs.allocation_id,
        elastic_ip_address=inputs.address,
        tls_mode="secret" if chosen.tls.mode == "secret" else "self-signed",
        tls_secret=chosen.tls.secret or "",
        domain=environment.site_host(inputs.address),
        aliases=chosen.aliases,
        balance=chosen.balance,
        activity=chosen.backend_mode,
        web_slots=next(size for size in SERVER_SLOT_SIZES if size >= needed),
        limits=Limits(**chosen.limits.model_dump()),
    )


def user_secrets(settings: Settings) -> tuple[str, ...]:
    """The site's certificate with its key, where the user has one."""
    secret = settings.load_balancer.tls.secret
    return (secret,) if secret else ()


def policy_statements(inputs: PolicyInputs) -> list[Statement]:
    """Giving itself the site's address, and no other instance or address anything."""
    prefix = inputs.elastic_ip_arn.partition(":elastic-ip/")[0]
    return [
        allow("FindAddress", ["ec2:DescribeAddresses"], ["*"]),
        allow("HoldAddress", ["ec2:AssociateAddress"], [inputs.elastic_ip_arn]),
        # Each kind of resource that a call names must be allowed; all but the stack's load balancers are refused.
        allow("HoldAddressByLoadBalancer", ["ec2:AssociateAddress"], [f"{prefix}:instance/*"])
        | {"Condition": {"StringEquals": {f"aws:ResourceTag/{STACK_ID_TAG}": inputs.stack_id, "aws:ResourceTag/role": NAME}}},
        # An instance's own interface bears no tags. AWS lists the key for it and does not say that this call brings it.
        allow("HoldAddressInSubnet", ["ec2:AssociateAddress"], [f"{prefix}:network-interface/*"])
        | {"Condition": {"ArnEqualsIfExists": {"ec2:Subnet": list(inputs.subnet_arns)}}},
    ]


SPEC: Final = RoleSpec(
    name=NAME,
    component="load-balancer",
    prefix="lb",
    label="a load balancer",
    section="loadBalancer",
    settings=lambda settings: settings.load_balancer,
    count=lambda settings: settings.load_balancer.count,
    subnet="public",
    fixed_offset=10,
    own_component=True,
    inbound=(
        InboundFlow(source=INTERNET, port=HTTP_PORT, description="redirect to HTTPS"),
        InboundFlow(source=INTERNET, port=HTTPS_PORT, description="the site"),
    ),
    secrets=("web-tls",),
    follows_rotations=False,
    user_secrets=user_secrets,
    subnets_in_policy=True,
    variables_type=LoadBalancerVariables,
    make_variables=make_variables,
    policy_statements=policy_statements,
)
