"""An environment: everything that is known about a stack before any resource exists. Pure; no Pulumi in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network

from stack.addressing import AddressPlan
from stack.naming import PROJECT, configuration_key, host_name, partition_of, zone_name
from stack.patching import reboot_day, upgrades_at
from stack.settings import Settings
from stack.tags import Tagger
from userdata.variables import (
    Bundle,
    DatabaseEndpoint,
    DatabaseVariables,
    Limits,
    LoadBalancerVariables,
    Role,
    WebVariables,
)

HOST_CHECK_SECONDS = 900
"""How long a host tries until its own check passes. A constant: were it the setting `readiness.timeout`, changing that would roll hosts.
A web host has the time of a longer migration besides."""

MIGRATION_SECONDS = 600
"""What of it a migration may take."""

WEB_SLOTS = (16, 64, 256, 512)
"""Sizes of HAProxy's list of servers: coarse, so that scaling the web tier seldom changes a load balancer's configuration."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment. `zones` are availability zones, in order, `region_zones` all that it may use; `settings` are valid."""

    name: str
    region: str
    zones: tuple[str, ...]
    settings: Settings
    region_zones: tuple[str, ...] = ()

    @cached_property
    def plan(self) -> AddressPlan:
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
        return partition_of(self.region)

    @property
    def zone(self) -> str:
        """The private DNS zone."""
        return zone_name(self.name)

    def resource(self, thing: str) -> str:
        """The Pulumi name, and `Name` tag, of a thing."""
        return f"{self.name}-{thing}"

    @property
    def database_numbers(self) -> tuple[int, ...]:
        """The database hosts that exist."""
        return (1, 2) if self.settings.database.replica else (1,)

    def pets(self, role: Role) -> tuple[str, ...]:
        """The hosts of a role that are changed in place; none of the web tier, whose hosts are replaced."""
        numbers: dict[Role, Iterable[int]] = {
            "load_balancer": range(1, self.settings.load_balancer.count + 1),
            "database": self.database_numbers,
        }
        return tuple(host_name(role, number) for number in numbers.get(role, ()))

    def database(self, number: int) -> DatabaseEndpoint:
        """How others reach a database host."""
        host = host_name("database", number)
        return DatabaseEndpoint(host=host, dns_name=f"{host}.{self.zone}", address=str(self.plan.database(number).address))

    @property
    def databases(self) -> tuple[DatabaseEndpoint, ...]:
        """Every database host."""
        return tuple(self.database(number) for number in self.database_numbers)

    @property
    def standby_hosts(self) -> range:
        """Numbers of the web hosts that serve only when no other does: the later half in active-passive, else none."""
        count = self.settings.web.count
        return range(count // 2 + count % 2 + 1, count + 1) if self.settings.load_balancer.activity == "active-passive" else range(0)

    def load_balancer_variables(
        self, number: int, *, bucket: str, role_bundle: Bundle, secret_prefix: str, allocation_id: str, address: str
    ) -> LoadBalancerVariables:
        """What a load balancer is told."""
        chosen = self.settings.load_balancer
        needed = 2 * self.settings.web.count
        host = host_name("load_balancer", number)
        return LoadBalancerVariables(
            project=PROJECT,
            environment=self.name,
            host=host,
            region=self.region,
            zone=self.zone,
            bucket=bucket,
            role_bundle=role_bundle,
            upgrades_at=upgrades_at(self.settings.patching, "load_balancer", number),
            reboot_day=reboot_day(self.settings.patching),
            secret_prefix=secret_prefix,
            readiness_timeout=HOST_CHECK_SECONDS,
            configuration_key=configuration_key(host),
            private_address=str(self.plan.load_balancer(number).address),
            peer_address=str(self.plan.load_balancer(3 - number).address),
            network_cidr=self.settings.network.cidr,
            elastic_ip_allocation_id=allocation_id,
            elastic_ip_address=address,
            tls_mode="secret" if chosen.tls.mode == "secret" else "self-signed",
            tls_secret=chosen.tls.secret or "",
            domain=self.site_host(address),
            aliases=chosen.aliases,
            balance=chosen.balance,
            activity=chosen.activity,
            web_slots=next(size for size in WEB_SLOTS if size >= needed),
            limits=Limits(**chosen.limits.model_dump()),
        )

    def site_host(self, address: str) -> str:
        """The name that visitors ask for; `address` is the Elastic IP's."""
        return self.settings.load_balancer.domain or address

    def web_variables(
        self, number: int, *, bucket: str, role_bundle: Bundle, app_bundle: Bundle, secret_prefix: str, address: str
    ) -> WebVariables:
        """What a web host is told."""
        chosen = self.settings.web
        return WebVariables(
            project=PROJECT,
            environment=self.name,
            host=host_name("web", number),
            region=self.region,
            zone=self.zone,
            bucket=bucket,
            role_bundle=role_bundle,
            upgrades_at=upgrades_at(self.settings.patching, "web", number),
            reboot_day=reboot_day(self.settings.patching),
            readiness_timeout=HOST_CHECK_SECONDS + max(0, chosen.migrate_timeout - MIGRATION_SECONDS),
            app_bundle=app_bundle,
            app_module=chosen.module,
            load_balancer_addresses=tuple(str(self.plan.load_balancer(number).address) for number in (1, 2)),
            databases=self.databases,
            schema=self.settings.database.schema_name,
            secret_prefix=secret_prefix,
            workers=chosen.workers,
            drain_seconds=chosen.drain_seconds,
            migrate_timeout=chosen.migrate_timeout,
            site_host=self.site_host(address),
            check_path=chosen.check_path,
            ready_path=chosen.ready_path,
        )

    def database_variables(self, number: int, *, bucket: str, role_bundle: Bundle, volume_id: str, secret_prefix: str) -> DatabaseVariables:
        """What a database host is told."""
        chosen = self.settings.database
        own = self.database(number)
        return DatabaseVariables(
            project=PROJECT,
            environment=self.name,
            host=own.host,
            region=self.region,
            zone=self.zone,
            bucket=bucket,
            role_bundle=role_bundle,
            upgrades_at=upgrades_at(self.settings.patching, "database", number),
            reboot_day=reboot_day(self.settings.patching),
            readiness_timeout=HOST_CHECK_SECONDS,
            configuration_key=configuration_key(own.host),
            server_id=number,
            private_address=own.address,
            dns_name=own.dns_name,
            databases=self.databases,
            replica=chosen.replica,
            volume_id=volume_id,
            network_cidr=self.settings.network.cidr,
            schema=chosen.schema_name,
            secret_prefix=secret_prefix,
            patience_seconds=chosen.patience,
            buffer_pool_mb=chosen.buffer_pool,
        )
