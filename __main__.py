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
    site_check,
    web,
)
from stack.aws_client import AwsClient
from stack.backends import BackendWaiter
from stack.bundles import app_bundle, role_bundle
from stack.publishing import Publisher
from stack.readiness import ReadinessWaiter
from stack.roles import SPECS

env = configuration.load()
applying = not pulumi.runtime.is_dry_run()

artifact_bucket = artifacts.Artifacts(
    env.resource_name("artifacts"),
    artifacts.ArtifactsArgs(
        environment=env,
        publisher=Publisher(store_factory=lambda: AwsClient(configuration.aws_config(env.region)), enabled=applying),
        role_bundles={spec.name: role_bundle(spec.name) for spec in SPECS},
        app_bundle=app_bundle(configuration.REPOSITORY / env.settings.web.app, build=applying),
    ),
)
net = network.Network(env.resource_name("network"), network.NetworkArgs(environment=env, bucket_arn=artifact_bucket.bucket_arn))
security_groups = firewall.Firewall(env.resource_name("firewall"), firewall.FirewallArgs(environment=env, vpc_id=net.vpc_id))
dns_zone = dns.PrivateZone(env.resource_name("dns"), dns.PrivateZoneArgs(environment=env, vpc_id=net.vpc_id))
secrets = credentials.Credentials(env.resource_name("credentials"), credentials.CredentialsArgs(environment=env))
elastic_ip = load_balancer.elastic_ip(env, opts=pulumi.ResourceOptions(parent=net, protect=env.protected))
instance_roles = identity.Identity(
    env.resource_name("identity"),
    identity.IdentityArgs(
        environment=env,
        bucket_arn=artifact_bucket.bucket_arn,
        secret_arns={spec.name: secrets.arns(spec.name) for spec in SPECS},
        elastic_ip_arn=elastic_ip.arn,
        network=net,
        stack_id=secrets.stack_id,
    ),
)
readiness = ReadinessWaiter(
    client_factory=lambda: AwsClient(configuration.aws_config(env.region)),
    enabled=applying and env.settings.readiness.wait,
    timeout=env.settings.readiness.timeout,
)
host_context = host.HostContext(
    environment=env,
    ami=host.resolve_ami(env),
    network=net,
    firewall=security_groups,
    identity=instance_roles,
    credentials=secrets,
    artifacts=artifact_bucket,
    readiness=readiness,
)

databases = database.Databases(env.resource_name("databases"), database.DatabasesArgs(context=host_context, dns_zone=dns_zone))
web_hosts = web.WebHosts(
    env.resource_name("web-hosts"), web.WebHostsArgs(context=host_context, dns_zone=dns_zone, public_address=elastic_ip.public_ip)
)
balancers = load_balancer.LoadBalancers(
    env.resource_name("load-balancers"),
    load_balancer.LoadBalancersArgs(
        context=host_context, elastic_ip=elastic_ip, depends_on=dns_zone.boot_records, web_results=web_hosts.wait_results
    ),
)

plain = [
    plain_hosts.PlainHosts(
        env.resource_name(f"{spec.component}-hosts"), plain_hosts.PlainHostsArgs(context=host_context, dns_zone=dns_zone, spec=spec)
    )
    for spec in SPECS
    if not spec.own_component
]

tiers = [databases, web_hosts, balancers, *plain]
# The end of an `up`, before the engine deletes anything: every host's word, the load balancers' on the web hosts, and a visitor's look.
# Outputs stand also where it fails.
hosts_ready = readiness.require_ready([outcome for tier in tiers for outcome in tier.wait_results], None)
backends_ready = BackendWaiter(
    client_factory=lambda: AwsClient(configuration.aws_config(env.region)),
    enabled=applying and env.settings.readiness.wait,
    timeout=env.settings.readiness.timeout,
).require_ready(
    {one.host: (one.role_id, one.instance.id) for one in balancers.hosts},
    web_hosts.addresses,
    bucket=artifact_bucket.bucket_name,
    depends_on=[hosts_ready, *(record.id for record in web_hosts.dns_records)],
)
pulumi.Output.all(elastic_ip.public_ip, backends_ready).apply(
    lambda known: site_check.for_environment(env, enabled=applying).run(site_check.site_endpoint(env, known[0]))
)
pulumi.export("url", balancers.url)
pulumi.export("public_address", balancers.public_address)
pulumi.export(configuration.HOSTS_OUTPUT, {one.host: one.instance.id for tier in tiers for one in tier.hosts})
pulumi.export("database_addresses", databases.addresses)
pulumi.export("bucket_name", artifact_bucket.bucket_name)
pulumi.export(configuration.STACK_ID_OUTPUT, secrets.stack_id)
pulumi.export(configuration.ZONES_OUTPUT, net.zones)
pulumi.export(configuration.VPC_CIDR_OUTPUT, net.vpc.cidr_block)
pulumi.export(configuration.ALLOWED_CIDRS_OUTPUT, env.settings.load_balancer.allowed_cidrs)
