"""The load balancers: HAProxy hosts of which the active one holds the site's address."""

from typing import Final

from load_balancer_role.variables import Limits, LoadBalancerVariables
from webstack_host.variables import Role

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

NAME: Final[Role] = LoadBalancerVariables.role

SERVER_SLOT_SIZES = (16, 64, 256, 512)
"""Sizes of HAProxy's list of servers: coarse, so that scaling the web tier seldom changes a load balancer's configuration."""


def make_variables(environment: Environment, number: int, inputs: HostInputs) -> LoadBalancerVariables:
    """What a load balancer is told."""
    chosen, plan = environment.settings.load_balancer, environment.address_plan
    needed = 2 * environment.settings.web.count
    return LoadBalancerVariables(
        **SPEC.common_variables(environment, number, inputs),
        readiness_timeout=HOST_CHECK_TIMEOUT,
        private_address=str(SPEC.placement(plan, number).address),
        peer_address=str(SPEC.placement(plan, 3 - number).address),
        elastic_ip_allocation_id=inputs.allocation_id,
        elastic_ip_address=inputs.address,
        tls_mode="secret" if chosen.tls.mode == "secret" else "self-signed",
        tls_secret=chosen.tls.secret or "",
        domain=environment.site_host(inputs.address),
        aliases=chosen.aliases,
        balance=chosen.balance,
        backend_mode=chosen.backend_mode,
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
