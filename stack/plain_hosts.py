"""Hosts of a role that needs nothing but them: each with a fixed address, changed in place, told what every host is told."""

from dataclasses import dataclass

import pulumi

from stack.component import Component
from stack.dns import PrivateZone
from stack.host import Host, HostArgs, HostContext, render_documents
from stack.roles.spec import RoleSpec


@dataclass(frozen=True, kw_only=True)
class PlainHostsArgs:
    """What the hosts are made from."""

    context: HostContext
    dns_zone: PrivateZone
    spec: RoleSpec


class PlainHosts(Component):
    """All hosts of one role."""

    def __init__(self, name: str, args: PlainHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context, spec = args.context, args.spec
        environment = context.environment
        self.hosts: list[Host] = []
        for number in spec.numbers(environment.settings):
            self.hosts.append(
                Host(
                    environment.resource_name(f"{spec.host_name(number)}-host"),
                    HostArgs(
                        context=context,
                        spec=spec,
                        number=number,
                        documents=render_documents(context, spec, number),
                        depends_on=args.dns_zone.boot_records,
                    ),
                    self.child(),
                )
            )
        self.wait_results = [host.wait_result for host in self.hosts]
        self.register_outputs({})
