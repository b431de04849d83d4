"""Who may talk to whom: one table, and the security groups made from it.

Rules are resources of their own, never inline: the two kinds fight. What is not listed is not reachable, in either
direction. Not in the table because EC2 does not filter it: the metadata service, the VPC's resolver and its clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import pulumi
import pulumi_aws as aws
from webstack_host.variables import Role

from stack.addressing import ANY_IPV4
from stack.component import Component
from stack.environment import Environment
from stack.roles import SPECS, role_spec
from stack.roles.spec import HTTP_PORT, HTTPS_PORT, INTERNET

MAX_RULES: Final = 60
"""Rules of one security group and direction, IPv4: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One kind of connection. `internet` as source means the allowed networks, as target everywhere."""

    source: str
    target: str
    port: int
    description: str
    protocol: str = "tcp"

    @property
    def name(self) -> str:
        """`web-to-database-3306`."""
        return f"{_peer_label(self.source)}-to-{_peer_label(self.target)}-{self.port}"


_APIS = "AWS APIs and HTTPS mirrors, which have no security group"
_MIRRORS = "package mirrors of Debian, verified by signature"

FLOWS: Final[tuple[Flow, ...]] = (
    *(
        Flow(source=inbound.source, target=spec.name, port=inbound.port, description=inbound.description, protocol=inbound.protocol)
        for spec in SPECS
        for inbound in spec.inbound
    ),
    *(Flow(source=spec.name, target=INTERNET, port=HTTPS_PORT, description=_APIS) for spec in SPECS),
    *(Flow(source=spec.name, target=INTERNET, port=HTTP_PORT, description=_MIRRORS) for spec in SPECS),
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One security group rule: `peer` is a role's group, or a network."""

    name: str
    group: Role
    direction: Literal["ingress", "egress"]
    protocol: str
    port: int
    peer_group: Role | None
    peer_cidr: str | None
    description: str


def rules(flows: tuple[Flow, ...], allowed_cidrs: tuple[str, ...]) -> Iterator[Rule]:
    """The rules of a table: for each flow one where it leaves and one where it arrives. `allowed_cidrs` may reach the load balancers."""
    for flow in flows:
        source, target = flow.source, flow.target
        if source != INTERNET:
            peer = None if target == INTERNET else target
            yield _rule(flow, source, "egress", peer, ANY_IPV4 if target == INTERNET else None, flow.name)
        if target == INTERNET:
            continue
        if source != INTERNET:
            yield _rule(flow, target, "ingress", source, None, flow.name)
            continue
        for cidr in allowed_cidrs:
            name = flow.name if cidr == ANY_IPV4 else f"{flow.name}-{cidr.replace('/', '-')}"
            yield _rule(flow, target, "ingress", None, cidr, name)


def max_allowed_cidrs(flows: tuple[Flow, ...] = FLOWS) -> int:
    """How many networks may be allowed, so that no group has more rules than AWS takes: each is one rule for each port."""
    none = [(rule.group, rule.direction) for rule in rules(flows, ())]
    one = [(rule.group, rule.direction) for rule in rules(flows, (ANY_IPV4,))]
    each = {place: one.count(place) - none.count(place) for place in one}
    return min((MAX_RULES - none.count(place)) // more for place, more in each.items() if more)


def _rule(flow: Flow, group: Role, direction: Literal["ingress", "egress"], peer: Role | None, cidr: str | None, name: str) -> Rule:
    return Rule(
        name=f"{name}-{'out' if direction == 'egress' else 'in'}",
        group=group,
        direction=direction,
        protocol=flow.protocol,
        port=flow.port,
        peer_group=peer,
        peer_cidr=cidr,
        description=flow.description,
    )


def _peer_label(peer: str) -> str:
    return INTERNET if peer == INTERNET else role_spec(peer).component


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """What the firewall is made from."""

    environment: Environment
    vpc_id: pulumi.Input[str]


class Firewall(Component):
    """One security group per role, and the table's rules."""

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        environment = args.environment
        self.groups: dict[Role, aws.ec2.SecurityGroup] = {}
        for spec in SPECS:
            group = environment.resource_name(spec.component)
            self.groups[spec.name] = aws.ec2.SecurityGroup(
                group,
                description=f"{spec.component} hosts of {environment.name}",
                vpc_id=args.vpc_id,
                tags=environment.tags("firewall", group),
                opts=self.child(),
            )
        self._rules: dict[Role, list[pulumi.Resource]] = {spec.name: [] for spec in SPECS}
        for rule in rules(FLOWS, environment.settings.load_balancer.allowed_cidrs):
            made = self._create_rule(environment, rule)
            self._rules[rule.group].append(made)
        self.register_outputs({})

    def boot_dependencies(self, role: Role) -> list[pulumi.Resource]:
        """What must exist before a host of that role boots: every rule of its group."""
        return list(self._rules[role])

    def _create_rule(self, environment: Environment, rule: Rule) -> pulumi.Resource:
        kind = aws.vpc.SecurityGroupIngressRule if rule.direction == "ingress" else aws.vpc.SecurityGroupEgressRule
        name = environment.resource_name(rule.name)
        return kind(
            name,
            security_group_id=self.groups[rule.group].id,
            referenced_security_group_id=self.groups[rule.peer_group].id if rule.peer_group else None,
            cidr_ipv4=rule.peer_cidr,
            ip_protocol=rule.protocol,
            from_port=rule.port,
            to_port=rule.port,
            description=rule.description,
            tags=environment.tags("firewall", name),
            opts=self.child(),
        )
