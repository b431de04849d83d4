"""The load balancers: HAProxy hosts, and the address that the active one holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_aws as aws

from stack.component import Component
from stack.environment import Environment
from stack.host import Host, HostArgs, HostContext, render_documents
from stack.readiness import WaitResult
from stack.roles.load_balancer import SPEC
from stack.tags import stack_tags

SELF_SIGNED_WARNING = (
    "webstack:loadBalancer.tls.mode is self-signed in an environment of class production: browsers warn every visitor. "
    "Put a certificate with its chain and key into Secrets Manager, and set webstack:loadBalancer.tls to {mode: secret, secret: NAME}."
)


@dataclass(frozen=True, kw_only=True)
class LoadBalancersArgs:
    """What the load balancers are made from. `depends_on` are further resources that must exist before they boot.

    `web_results` are the web hosts': a load balancer that serves is changed only once all of them are ready, as its change may bring them
    another name.
    """

    context: HostContext
    elastic_ip: aws.ec2.Eip
    depends_on: list[pulumi.Resource]
    web_results: Sequence[pulumi.Output[WaitResult]]


class LoadBalancers(Component):
    """The tier that the internet reaches. Its hosts give the address to the active one among them; the engine only owns it."""

    def __init__(self, name: str, args: LoadBalancersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        environment = context.environment
        if environment.protected and environment.settings.load_balancer.tls.mode == "self-signed":
            pulumi.log.warn(SELF_SIGNED_WARNING)
        self.hosts: list[Host] = []
        for number in SPEC.numbers(environment.settings):
            host = SPEC.host_name(number)
            held_back = context.readiness.gate_change(
                host,
                args.web_results,
                bucket=context.artifacts.bucket_name,
                role_id=context.identity.roles[SPEC.name].unique_id,
                stack_tags=context.credentials.stack_id.apply(partial(stack_tags, environment.name)),
            )
            documents = render_documents(context, SPEC, number, allocation_id=args.elastic_ip.id, address=args.elastic_ip.public_ip)
            self.hosts.append(
                Host(
                    environment.resource_name(f"{host}-host"),
                    HostArgs(
                        context=context,
                        spec=SPEC,
                        number=number,
                        documents=documents,
                        depends_on=[*args.depends_on, held_back],
                    ),
                    self.child(),
                )
            )
        self.wait_results = [host.wait_result for host in self.hosts]
        domain = environment.settings.load_balancer.domain
        self.public_address = args.elastic_ip.public_ip
        self.url = self.public_address.apply(lambda address: f"https://{domain or address}/")
        self.register_outputs({"url": self.url})


def elastic_ip(environment: Environment, *, opts: pulumi.ResourceOptions) -> aws.ec2.Eip:
    """The site's address. It outlives every host."""
    resource = environment.resource_name("address")
    return aws.ec2.Eip(resource, domain="vpc", tags=environment.tags("load-balancer", resource), opts=opts)
