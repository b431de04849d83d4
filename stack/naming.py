"""Names: of component types, of resources, of what hosts look up."""

from typing import Final

PROJECT: Final = "webstack"

COMPONENT_TYPES: Final = {
    "Artifacts": "webstack:artifacts:Artifacts",
    "Credentials": "webstack:credentials:Credentials",
    "Databases": "webstack:database:Databases",
    "Firewall": "webstack:firewall:Firewall",
    "Host": "webstack:host:Host",
    "Identity": "webstack:identity:Identity",
    "LoadBalancers": "webstack:load_balancer:LoadBalancers",
    "Network": "webstack:network:Network",
    "PlainHosts": "webstack:plain_hosts:PlainHosts",
    "PrivateZone": "webstack:dns:PrivateZone",
    "WebHosts": "webstack:web:WebHosts",
}
"""The type token of every component class. A token is part of each URN below it: changing one replaces everything there."""


def configuration_key(host: str) -> str:
    """The object in the artifact bucket with a host's configuration: what it applies by a reload."""
    return f"configuration/{host}.yaml"


def dns_zone_name(environment: str) -> str:
    """The private DNS zone, without a dot at its end."""
    return f"{environment}.{PROJECT}.internal"


SECRETS_CHANGED_KEY: Final = "secrets/changed"
"""The object in the artifact bucket by which running hosts are told to look at their secrets (`webstack_host.stack_secrets.NOTICE_KEY`)."""


def secret_prefix(environment: str, stack_id: str) -> str:
    """A secret is named by this, a slash and its purpose."""
    return f"{PROJECT}/{environment}-{stack_id}"


def aws_partition(region: str) -> str:
    """AWS's partition of a region, as ARNs name it."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
