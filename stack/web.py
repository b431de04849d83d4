"""The web tier: cattle. New hosts are ready before old ones leave, and DNS names them only then."""

from dataclasses import dataclass

import pulumi

from stack.component import Component
from stack.dns import PrivateZone
from stack.host import Host, HostArgs, HostContext, render_documents
from stack.roles.web import SPEC


@dataclass(frozen=True, kw_only=True)
class WebHostsArgs:
    """What the web hosts are made from."""

    context: HostContext
    dns_zone: PrivateZone
    public_address: pulumi.Output[str]
    """The site's public address: without a domain the name that visitors ask for."""


class WebHosts(Component):
    """The hosts that run the app, and the DNS names by which load balancers find them."""

    def __init__(self, name: str, args: WebHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._address = args.public_address
        environment = args.context.environment
        numbers = SPEC.numbers(environment.settings)
        hosts = {number: self._host(number, args.dns_zone.boot_records) for number in numbers}
        self.hosts = list(hosts.values())
        self.wait_results = [host.wait_result for host in self.hosts]
        # One wait for all: the names change together, once every host serves, and before the engine deletes any old one.
        addresses = args.context.readiness.require_ready(
            self.wait_results, pulumi.Output.all(*(host.instance.private_ip for host in self.hosts))
        )

        def of(chosen: list[int]) -> pulumi.Output[list[str]]:
            return addresses.apply(lambda found: sorted(found[number - 1] for number in chosen))

        standby = environment.standby_hosts
        self.dns_records = [args.dns_zone.a_record("web", of([number for number in numbers if number not in standby]), parent=self)]
        if standby:
            self.dns_records.append(args.dns_zone.a_record("web-standby", of(list(standby)), parent=self))
        self.addresses = {host.host: host.instance.private_ip for host in self.hosts}
        self.register_outputs({})

    def _host(self, number: int, needs: list[pulumi.Resource]) -> Host:
        context = self._context
        environment = context.environment
        return Host(
            environment.resource_name(f"{SPEC.host_name(number)}-host"),
            HostArgs(
                context=context,
                spec=SPEC,
                number=number,
                documents=render_documents(context, SPEC, number, app_bundle=context.artifacts.app_bundle, address=self._address),
                depends_on=needs,
            ),
            self.child(),
        )
