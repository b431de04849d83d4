"""The address plan: pure arithmetic on the network's CIDR. No Pulumi in it.

The network is cut into sixteen equal blocks: four for each tier, one per zone, and four left for what comes later. So a zone more
moves no subnet, and a fixed address depends on the network's CIDR alone.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final, Literal

Tier = Literal["public", "app", "data"]

ANY_IPV4: Final = "0.0.0.0/0"
TIERS: Final[tuple[Tier, ...]] = ("public", "app", "data")
MAX_ZONES: Final = 4
MIN_PREFIX_LENGTH: Final = 16
"""EC2 takes no wider VPC."""
MAX_PREFIX_LENGTH: Final = 22
"""Subnets of /26 then: 59 addresses each."""

RESERVED_FIRST_ADDRESSES: Final = 4
RESERVED_ADDRESSES: Final = 5
"""AWS keeps each subnet's first four addresses (network, router, resolver, future use) and its last (broadcast):
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""

NAT_OFFSET: Final = 20
"""Where in its public subnet a NAT gateway is. Left to AWS, it may be given the address that is planned for a load balancer."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a host with a fixed address lives."""

    tier: Tier
    zone: int
    address: IPv4Address


@dataclass(frozen=True)
class AddressPlan:
    """The plan of one network. `zones` is how many availability zones are in use, at most `MAX_ZONES`."""

    network: IPv4Network
    zones: int

    def __post_init__(self) -> None:
        if not 1 <= self.zones <= MAX_ZONES:
            raise ValueError(f"{self.zones} zones: the plan has room for 1 to {MAX_ZONES}")
        if not MIN_PREFIX_LENGTH <= self.network.prefixlen <= MAX_PREFIX_LENGTH:
            raise ValueError(f"{self.network}: the plan takes networks of /{MIN_PREFIX_LENGTH} to /{MAX_PREFIX_LENGTH}")

    def subnet(self, tier: Tier, zone: int) -> IPv4Network:
        """The subnet of a tier in a zone, counted from 0."""
        if not 0 <= zone < self.zones:
            raise ValueError(f"zone {zone}: the plan has zones 0 to {self.zones - 1}")
        return self._block(tier, zone)

    def fixed(self, tier: Tier, number: int, offset: int) -> Placement:
        """Where the first or second host of a role with fixed addresses is, planned even while there is none; `offset` is the first's."""
        if number not in (1, 2):
            raise ValueError(f"host number {number}: only 1 and 2 have fixed addresses")
        zone = self.zone_of(number)
        return Placement(tier=tier, zone=zone, address=self._block(tier, zone)[offset + (number - 1) // self.zones])

    def nat(self, zone: int) -> IPv4Address:
        """Where the NAT gateway of a zone is, counted from 0."""
        return self.subnet("public", zone)[NAT_OFFSET]

    def zone_of(self, number: int) -> int:
        """The zone of a role's hosts by their number: each in the next."""
        return (number - 1) % self.zones

    @property
    def max_web_hosts(self) -> int:
        """For how many web hosts the subnets have addresses while a release has each of them twice, the new one beside the old one.

        Nothing else is in the tier's subnets, and hosts are spread evenly (`zone_of`).
        """
        return self.zones * ((self.subnet("app", 0).num_addresses - RESERVED_ADDRESSES) // 2)

    def _block(self, tier: Tier, zone: int) -> IPv4Network:
        blocks = list(self.network.subnets(prefixlen_diff=4))
        return blocks[TIERS.index(tier) * MAX_ZONES + zone]
