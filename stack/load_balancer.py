"""The load balancers: HAProxy hosts, and the address that the active one holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_aws as aws

from stack.component import Component
from stack.environment import Environment
from stack.host import Foundation, Host, HostArgs, texts
from stack.readiness import Outcome
from stack.roles.load_balancer import SPEC
from stack.tags import of_stack

SELF_SIGNED = (
    "webstack:loadBalancer.tls.mode is self-signed in an environment of class production: browsers warn every visitor. "
    "Put a certificate with its chain and key into Secrets Manager, and set webstack:loadBalancer.tls to {mode: secret, secret: NAME}."
)


@dataclass(frozen=True, kw_only=True)
class LoadBalancersArgs:
    """What the load balancers are made from. `needs` are further resources that must exist before they boot.

    `webs` are the web hosts' outcomes: one that serves is changed only when they all answer, as its change may bring them another name.
    """

    foundation: Foundation
    address: aws.ec2.Eip
    needs: list[pulumi.Resource]
    webs: Sequence[pulumi.Output[Outcome]]


class LoadBalancers(Component):
    """The tier that the internet reaches. Its hosts give the address to the active one among them; the engine only owns it."""

    def __init__(self, name: str, args: LoadBalancersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        foundation = args.foundation
        environment = foundation.environment
        if environment.protected and environment.settings.load_balancer.tls.mode == "self-signed":
            pulumi.log.warn(SELF_SIGNED)
        self.hosts: list[Host] = []
        for number in SPEC.numbers(environment.settings):
            place = SPEC.place(environment.plan, number)
            host = SPEC.host(number)
            held_back = foundation.readiness.before_changing(
                host,
                args.webs,
                bucket=foundation.artifacts.name,
                role_id=foundation.identity.roles[SPEC.name].unique_id,
                own=foundation.credentials.stack_id.apply(partial(of_stack, environment.name)),
            )
            told = texts(foundation, SPEC, number, allocation_id=args.address.id, address=args.address.public_ip)
            self.hosts.append(
                Host(
                    environment.resource(f"{host}-host"),
                    HostArgs(
                        foundation=foundation,
                        spec=SPEC,
                        number=number,
                        subnet=foundation.network.subnet(place.tier, place.zone),
                        texts=told,
                        depends_on=[*foundation.needed_by(SPEC.name, subnet=(place.tier, place.zone)), *args.needs, held_back],
                    ),
                    self.child(),
                )
            )
        self.outcomes = [host.outcome for host in self.hosts]
        domain = environment.settings.load_balancer.domain
        self.public_address = args.address.public_ip
        self.url = self.public_address.apply(lambda address: f"https://{domain or address}/")
        self.register_outputs({"url": self.url})


def elastic_ip(environment: Environment, *, opts: pulumi.ResourceOptions) -> aws.ec2.Eip:
    """The site's address. It outlives every host."""
    resource = environment.resource("address")
    return aws.ec2.Eip(resource, domain="vpc", tags=environment.tags("load-balancer", resource), opts=opts)
