"""The whole infrastructure: settings → network → firewall → tiers → outputs. What `pulumi up` runs, on AWS and in the lab."""

import pulumi

from stack import (
    artifacts,
    configuration,
    credentials,
    database,
    dns,
    firewall,
    host,
    identity,
    load_balancer,
    network,
    plain_hosts,
    site,
    web,
)
from stack.balanced import Balanced
from stack.bundles import app_bundle, role_bundle
from stack.cloud import Cloud
from stack.publishing import Publisher
from stack.readiness import Readiness
from stack.roles import SPECS

env = configuration.load()
building = not pulumi.runtime.is_dry_run()

store = artifacts.Artifacts(
    env.resource("artifacts"),
    artifacts.ArtifactsArgs(
        environment=env,
        publisher=Publisher(door=lambda: Cloud(configuration.access(env.region)), enabled=building),
        roles={spec.name: role_bundle(spec.name) for spec in SPECS},
        app=app_bundle(configuration.REPOSITORY / env.settings.web.app, build=building),
    ),
)
net = network.Network(env.resource("network"), network.NetworkArgs(environment=env, bucket_arn=store.arn))
wall = firewall.Firewall(env.resource("firewall"), firewall.FirewallArgs(environment=env, vpc_id=net.vpc_id))
zone = dns.PrivateZone(env.resource("dns"), dns.PrivateZoneArgs(environment=env, vpc_id=net.vpc_id))
secrets = credentials.Credentials(env.resource("credentials"), credentials.CredentialsArgs(environment=env))
address = load_balancer.elastic_ip(env, opts=pulumi.ResourceOptions(parent=net, protect=env.protected))
roles = identity.Identity(
    env.resource("identity"),
    identity.IdentityArgs(
        environment=env,
        bucket_arn=store.arn,
        secrets={spec.name: secrets.arns(spec.name) for spec in SPECS},
        address_arn=address.arn,
        network=net,
        stack_id=secrets.stack_id,
    ),
)
ready = Readiness(
    door=lambda: Cloud(configuration.access(env.region)),
    enabled=building and env.settings.readiness.wait,
    timeout=env.settings.readiness.timeout,
)
base = host.Foundation(
    environment=env,
    ami=host.image(env),
    network=net,
    firewall=wall,
    identity=roles,
    credentials=secrets,
    artifacts=store,
    readiness=ready,
)

databases = database.Databases(env.resource("databases"), database.DatabasesArgs(foundation=base, zone=zone))
webs = web.WebHosts(env.resource("web-hosts"), web.WebHostsArgs(foundation=base, zone=zone, address=address.public_ip))
balancers = load_balancer.LoadBalancers(
    env.resource("load-balancers"),
    load_balancer.LoadBalancersArgs(foundation=base, address=address, needs=zone.fixed, webs=webs.outcomes),
)

plain = [
    plain_hosts.PlainHosts(env.resource(f"{spec.component}-hosts"), plain_hosts.PlainHostsArgs(foundation=base, zone=zone, spec=spec))
    for spec in SPECS
    if not spec.own_component
]

tiers = [databases, webs, balancers, *plain]
# The end of an `up`, before the engine deletes anything: every host's word, the load balancers' on the web hosts, and a visitor's look.
# Outputs stand also where it fails.
hosts_ready = ready.require([outcome for tier in tiers for outcome in tier.outcomes], None)
balanced = Balanced(
    door=lambda: Cloud(configuration.access(env.region)),
    enabled=building and env.settings.readiness.wait,
    timeout=env.settings.readiness.timeout,
).require(
    {one.host: (one.role_id, one.instance.id) for one in balancers.hosts},
    webs.addresses,
    bucket=store.name,
    after=[hosts_ready, *(record.id for record in webs.names)],
)
pulumi.Output.all(address.public_ip, balanced).apply(lambda known: site.of(env, building=building).ask(site.place(env, known[0])))
pulumi.export("url", balancers.url)
pulumi.export("public_address", balancers.public_address)
pulumi.export(configuration.HOSTS_OUTPUT, {one.host: one.instance.id for tier in tiers for one in tier.hosts})
pulumi.export("database_addresses", databases.addresses)
pulumi.export("bucket_name", store.name)
pulumi.export(configuration.ID_OUTPUT, secrets.stack_id)
pulumi.export(configuration.ZONES_OUTPUT, net.zones)
pulumi.export(configuration.NETWORK_OUTPUT, net.vpc.cidr_block)
pulumi.export(configuration.ALLOWED_OUTPUT, env.settings.load_balancer.allowed_cidrs)
