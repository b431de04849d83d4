"""Route 53's private hosted zones, read from the API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from lab.cloud.inventory import MotoClients

if TYPE_CHECKING:
    from mypy_boto3_route53.type_defs import HostedZoneTypeDef


@dataclass(frozen=True, kw_only=True)
class RecordSet:
    """The values of one name and type, as zone-file text."""

    ttl: int
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PrivateZone:
    """A private hosted zone. Names are in lower case, without a final dot."""

    name: str
    networks: tuple[IPv4Network, ...]
    """The networks of the VPCs that it is associated with: only hosts in them see the zone."""
    records: Mapping[tuple[str, str], RecordSet] = field(default_factory=dict[tuple[str, str], RecordSet])

    def visible_from(self, source: IPv4Address) -> bool:
        """Whether queries from this address see the zone."""
        return any(source in network for network in self.networks)

    def contains(self, name: str) -> bool:
        """Whether `name` is at or below the zone's name."""
        return name == self.name or name.endswith(f".{self.name}")

    def has_name(self, name: str) -> bool:
        """Whether the name has records of any type, or a name below it has: then a missing type is not NXDOMAIN."""
        return any(known == name or known.endswith(f".{name}") for known, _ in self.records)


def read_private_zones(clients: MotoClients) -> tuple[PrivateZone, ...]:
    """Reads all private zones with their records. Blocks."""
    route53 = clients.route53
    zones: list[PrivateZone] = []
    for page in route53.get_paginator("list_hosted_zones").paginate():
        for zone in page["HostedZones"]:
            if zone.get("Config", {}).get("PrivateZone"):
                networks = tuple(_networks(clients, zone["Id"]))
                zones.append(PrivateZone(name=canonical(zone["Name"]), networks=networks, records=_records(clients, zone)))
    return tuple(zones)


def canonical(name: str) -> str:
    """Returns a name in the form used for comparison: lower case, without a final dot."""
    return name.lower().rstrip(".")


def _networks(clients: MotoClients, zone_id: str) -> Iterator[IPv4Network]:
    for vpc in clients.route53.get_hosted_zone(Id=zone_id)["VPCs"]:
        region, vpc_id = vpc.get("VPCRegion"), vpc.get("VPCId")
        if region and vpc_id:
            answer = clients.ec2(region).describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])
            for found in answer["Vpcs"]:
                yield from (IPv4Network(block.get("CidrBlock", "")) for block in found.get("CidrBlockAssociationSet", []))


def _records(clients: MotoClients, zone: "HostedZoneTypeDef") -> dict[tuple[str, str], RecordSet]:
    records: dict[tuple[str, str], RecordSet] = {}
    for page in clients.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone["Id"]):
        for record in page["ResourceRecordSets"]:
            values = tuple(item["Value"] for item in record.get("ResourceRecords", []))
            if values:
                records[canonical(record["Name"]), record["Type"]] = RecordSet(ttl=record.get("TTL", 0), values=values)
    return records
