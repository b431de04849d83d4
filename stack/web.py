"""The web tier: cattle. New hosts are ready before old ones leave, and DNS names them only then."""

from dataclasses import dataclass

import pulumi

from stack.component import Component
from stack.dns import PrivateZone
from stack.host import Foundation, Host, HostArgs, texts
from stack.roles.web import SPEC


@dataclass(frozen=True, kw_only=True)
class WebHostsArgs:
    """What the web hosts are made from."""

    foundation: Foundation
    zone: PrivateZone
    address: pulumi.Output[str]
    """The site's public address: without a domain the name that visitors ask for."""


class WebHosts(Component):
    """The hosts that run the app, and the DNS names by which load balancers find them."""

    def __init__(self, name: str, args: WebHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._foundation = args.foundation
        self._address = args.address
        environment = args.foundation.environment
        numbers = SPEC.numbers(environment.settings)
        hosts = {number: self._host(number, args.zone.fixed) for number in numbers}
        self.hosts = list(hosts.values())
        self.outcomes = [host.outcome for host in self.hosts]
        # One wait for all: the names change together, once every host serves, and before the engine deletes any old one.
        addresses = args.foundation.readiness.require(self.outcomes, pulumi.Output.all(*(host.instance.private_ip for host in self.hosts)))

        def of(chosen: list[int]) -> pulumi.Output[list[str]]:
            return addresses.apply(lambda found: sorted(found[number - 1] for number in chosen))

        standby = environment.standby_hosts
        self.names = [args.zone.record("web", of([number for number in numbers if number not in standby]), parent=self)]
        if standby:
            self.names.append(args.zone.record("web-standby", of(list(standby)), parent=self))
        self.addresses = {host.host: host.instance.private_ip for host in self.hosts}
        self.register_outputs({})

    def _host(self, number: int, needs: list[pulumi.Resource]) -> Host:
        foundation = self._foundation
        environment = foundation.environment
        zone = environment.plan.zone_of(number)
        return Host(
            environment.resource(f"{SPEC.host(number)}-host"),
            HostArgs(
                foundation=foundation,
                spec=SPEC,
                number=number,
                subnet=foundation.network.subnet(SPEC.subnet, zone),
                texts=texts(foundation, SPEC, number, app_bundle=foundation.artifacts.app, address=self._address),
                depends_on=[*foundation.needed_by(SPEC.name, subnet=(SPEC.subnet, zone)), *needs],
            ),
            self.child(),
        )
