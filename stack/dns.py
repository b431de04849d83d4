"""The private DNS zone: how hosts find each other. Records of the web tier are made where it is known that hosts serve."""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from stack.component import Component
from stack.environment import Environment
from stack.naming import host_name

TTL: Final = 5
"""Seconds: how stale a load balancer's list of web hosts may be."""


@dataclass(frozen=True, kw_only=True)
class PrivateZoneArgs:
    """What the zone is made from."""

    environment: Environment
    vpc_id: pulumi.Input[str]


class PrivateZone(Component):
    """The zone `<environment>.webstack.internal` and the records of hosts with fixed addresses."""

    def __init__(self, name: str, args: PrivateZoneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        environment = args.environment
        self._environment = environment
        self.zone = aws.route53.Zone(
            environment.resource("zone"),
            name=environment.zone,
            comment=f"hosts of {environment.name}",
            vpcs=[aws.route53.ZoneVpcArgs(vpc_id=args.vpc_id)],
            force_destroy=not environment.protected,
            tags=environment.tags("dns", environment.resource("zone")),
            opts=self.child(protect=environment.protected),
        )
        fixed = {host_name("load_balancer", 1): environment.plan.load_balancer(1).address}
        fixed |= {host_name("database", number): environment.plan.database(number).address for number in environment.database_numbers}
        self.fixed: list[pulumi.Resource] = [self.record(host, [str(address)], parent=self) for host, address in fixed.items()]
        self.register_outputs({"name": environment.zone})

    def record(self, label: str, addresses: pulumi.Input[list[str]], *, parent: pulumi.Resource) -> aws.route53.Record:
        """An A record of the zone."""
        return aws.route53.Record(
            self._environment.resource(f"{label}-name"),
            zone_id=self.zone.zone_id,
            name=f"{label}.{self._environment.zone}",
            type="A",
            ttl=TTL,
            records=addresses,
            opts=pulumi.ResourceOptions(parent=parent),
        )
