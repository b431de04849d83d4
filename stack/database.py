"""The databases: pets with their data on volumes of their own. Names are neutral, because roles move between the hosts."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from stack.component import Component
from stack.dns import PrivateZone
from stack.host import Host, HostArgs, HostContext, render_documents
from stack.roles.database import SPEC, endpoint
from stack.tags import STACK_ID_TAG, stack_tags


@dataclass(frozen=True, kw_only=True)
class DatabasesArgs:
    """What the databases are made from."""

    context: HostContext
    dns_zone: PrivateZone


class Databases(Component):
    """db-1 and, with a replica, db-2."""

    def __init__(self, name: str, args: DatabasesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        environment = args.context.environment
        numbers = SPEC.numbers(environment.settings)
        self.volumes = {number: self._volume(number) for number in numbers}
        hosts: dict[int, Host] = {}
        held_back: list[pulumi.Output[Any]] = []
        for number in reversed(numbers):  # db-2 first: db-1 is changed only while db-2 serves
            hosts[number] = self._host(number, [*args.dns_zone.boot_records, *held_back])
            if number > 1:
                partner = hosts[number]
                held_back.append(
                    args.context.readiness.gate_change(
                        SPEC.host_name(number - 1),
                        [partner.wait_result],
                        bucket=args.context.artifacts.bucket_name,
                        role_id=partner.role_id,
                        stack_tags=args.context.credentials.stack_id.apply(partial(stack_tags, environment.name)),
                    )
                )
        self.hosts = [hosts[number] for number in numbers]
        self.wait_results = [host.wait_result for host in self.hosts]
        self.addresses = {host.host: endpoint(environment, number).address for number, host in sorted(hosts.items())}
        self.register_outputs({})

    def _volume(self, number: int) -> aws.ebs.Volume:
        environment = self._context.environment
        resource = environment.resource_name(f"{SPEC.host_name(number)}-data")
        place = SPEC.placement(environment.address_plan, number)
        return aws.ebs.Volume(
            resource,
            # The subnet's own zone: what exists stays where it is, whatever the region's list of zones says today.
            availability_zone=self._context.network.subnet(place.tier, place.zone).availability_zone,
            size=environment.settings.database.volume_size,
            type="gp3",
            encrypted=True,
            tags={**environment.tags("database", resource), STACK_ID_TAG: self._context.credentials.stack_id},
            opts=self.child(protect=environment.protected),
        )

    def _host(self, number: int, needs: list[Any]) -> Host:
        context = self._context
        environment = context.environment
        return Host(
            environment.resource_name(f"{SPEC.host_name(number)}-host"),
            HostArgs(
                context=context,
                spec=SPEC,
                number=number,
                volume=self.volumes[number],
                documents=render_documents(context, SPEC, number, volume_id=self.volumes[number].id),
                depends_on=needs,
            ),
            self.child(),
        )
