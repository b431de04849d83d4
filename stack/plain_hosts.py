"""Hosts of a role that needs nothing but them: each with a fixed address, changed in place, told what every host is told."""

from dataclasses import dataclass

import pulumi

from stack.component import Component
from stack.dns import PrivateZone
from stack.host import Foundation, Host, HostArgs, texts
from stack.roles.spec import RoleSpec


@dataclass(frozen=True, kw_only=True)
class PlainHostsArgs:
    """What the hosts are made from."""

    foundation: Foundation
    zone: PrivateZone
    spec: RoleSpec


class PlainHosts(Component):
    """All hosts of one role."""

    def __init__(self, name: str, args: PlainHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        foundation, spec = args.foundation, args.spec
        environment = foundation.environment
        self.hosts: list[Host] = []
        for number in spec.numbers(environment.settings):
            place = spec.place(environment.plan, number)
            self.hosts.append(
                Host(
                    environment.resource(f"{spec.host(number)}-host"),
                    HostArgs(
                        foundation=foundation,
                        spec=spec,
                        number=number,
                        subnet=foundation.network.subnet(place.tier, place.zone),
                        texts=texts(foundation, spec, number),
                        depends_on=[*foundation.needed_by(spec.name, subnet=(place.tier, place.zone)), *args.zone.fixed],
                    ),
                    self.child(),
                )
            )
        self.outcomes = [host.outcome for host in self.hosts]
        self.register_outputs({})
