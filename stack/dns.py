"""The private DNS zone: how hosts find each other. Records of the web tier are made where it is known that hosts serve."""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from stack.component import Component
from stack.environment import Environment
from stack.roles import SPECS

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
            environment.resource_name("zone"),
            name=environment.dns_zone,
            comment=f"hosts of {environment.name}",
            vpcs=[aws.route53.ZoneVpcArgs(vpc_id=args.vpc_id)],
            force_destroy=not environment.protected,
            tags=environment.tags("dns", environment.resource_name("zone")),
            opts=self.child(protect=environment.protected),
        )
        forgetful = self._soa_record()
        fixed = {
            spec.host_name(number): spec.placement(environment.address_plan, number).address
            for spec in SPECS
            if spec.is_fixed
            for number in spec.numbers(environment.settings)
        }
        # What a host must find before it boots; a name that it asks for in vain before the first of these stays unknown for 15 minutes.
        self.boot_records: list[pulumi.Resource] = [
            forgetful,
            *(self.a_record(host, [str(address)], parent=self) for host, address in fixed.items()),
        ]
        self.register_outputs({"name": environment.dns_zone})

    def _soa_record(self) -> aws.route53.Record:
        """A name that is not there yet is asked for again after seconds.

        A resolver keeps a "no such name" for the smaller of the SOA's TTL and its last value (RFC 2308), by Route 53's defaults 15
        minutes: a load balancer that boots before the first web host is ready would wait that long for it. A zone always has this
        record, so it is overwritten at first and left behind when the zone goes.
        https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html

        A private zone's name server is known with a dot at its end, a public one's without (hashicorp/terraform-provider-aws#14863);
        Route 53 refuses a name with two.
        """
        return aws.route53.Record(
            self._environment.resource_name("zone-soa"),
            zone_id=self.zone.zone_id,
            name=self._environment.dns_zone,
            type="SOA",
            ttl=TTL,
            records=[self.zone.primary_name_server.apply(_soa_value)],
            allow_overwrite=True,
            opts=self.child(retain_on_delete=True),
        )

    def a_record(self, label: str, addresses: pulumi.Input[list[str]], *, parent: pulumi.Resource) -> aws.route53.Record:
        """An A record of the zone."""
        return aws.route53.Record(
            self._environment.resource_name(f"{label}-name"),
            zone_id=self.zone.zone_id,
            name=f"{label}.{self._environment.dns_zone}",
            type="A",
            ttl=TTL,
            records=addresses,
            opts=pulumi.ResourceOptions(parent=parent),
        )


def _soa_value(name_server: str) -> str:
    return f"{name_server.removesuffix('.')}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 {TTL}"
