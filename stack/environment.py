"""An environment: everything that is known about a stack before any resource exists. Pure; no Pulumi in it."""

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network

from stack.addressing import AddressPlan
from stack.naming import aws_partition, dns_zone_name
from stack.settings import Settings
from stack.tags import Tagger


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment. `zones` are availability zones, in order, `region_zones` all that it may use; `settings` are valid."""

    name: str
    region: str
    zones: tuple[str, ...]
    settings: Settings
    region_zones: tuple[str, ...] = ()

    @cached_property
    def address_plan(self) -> AddressPlan:
        """Where everything is in the network."""
        return AddressPlan(IPv4Network(self.settings.network.cidr), len(self.zones))

    @cached_property
    def tags(self) -> Tagger:
        """Makes tags."""
        chosen = self.settings.environment
        return Tagger(environment=self.name, extra=chosen.tags, expires=chosen.expires)

    @property
    def protected(self) -> bool:
        """Whether what holds data or addresses refuses to be deleted."""
        return self.settings.production

    @property
    def partition(self) -> str:
        """AWS's partition of the region, as ARNs name it."""
        return aws_partition(self.region)

    @property
    def dns_zone(self) -> str:
        """The private DNS zone."""
        return dns_zone_name(self.name)

    def resource_name(self, suffix: str) -> str:
        """The Pulumi name, and `Name` tag, of a thing."""
        return f"{self.name}-{suffix}"

    @property
    def standby_hosts(self) -> range:
        """Numbers of the web hosts that serve only when no other does: the later half in active-passive, else none."""
        count = self.settings.web.count
        return range(count // 2 + count % 2 + 1, count + 1) if self.settings.load_balancer.backend_mode == "active-passive" else range(0)

    def site_host(self, address: str) -> str:
        """The name that visitors ask for; `address` is the Elastic IP's."""
        return self.settings.load_balancer.domain or address
