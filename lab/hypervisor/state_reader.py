"""Reads the desired state from the AWS API, with boto3 like any other client."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from botocore.config import Config

from lab.aws_clients import internal_clients
from lab.hypervisor.desired import DEFAULT_ROOT_GIB, DesiredMachine, DesiredState, Power, Volume

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, RouteTableTypeDef, RouteTypeDef, TagTypeDef


class Ec2StateReader:
    """Reads the state of one moto server (`lab.moto_address`). Blocking: call `read` in a thread."""

    def __init__(self, address: str) -> None:
        self._caller = internal_clients(address)
        self._clients: dict[str, EC2Client] = {}

    def read(self, regions: Iterable[str]) -> DesiredState:
        """Returns the state in these regions. Raises botocore's errors if the API does not answer."""
        machines: dict[str, DesiredMachine] = {}
        volume_ids: set[str] = set()
        for region in sorted(regions):
            found, volumes = self._read_region(region)
            machines.update(found)
            volume_ids |= volumes
        return DesiredState(machines=machines, volume_ids=frozenset(volume_ids))

    def client(self, region: str) -> "EC2Client":
        """Returns an EC2 client for a region."""
        if region not in self._clients:
            config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
            self._clients[region] = self._caller.client("ec2", region, config)
        return self._clients[region]

    def _read_region(self, region: str) -> tuple[dict[str, DesiredMachine], set[str]]:
        ec2 = self.client(region)
        instances = [
            instance
            for page in ec2.get_paginator("describe_instances").paginate()
            for reservation in page["Reservations"]
            for instance in reservation.get("Instances", [])
        ]
        sizes = {
            volume["VolumeId"]: volume["Size"] for volume in ec2.describe_volumes()["Volumes"] if "VolumeId" in volume and "Size" in volume
        }
        if not instances:
            return {}, set(sizes)
        listed = ec2.describe_subnets()["Subnets"]
        subnets = {subnet.get("SubnetId", ""): IPv4Network(subnet["CidrBlock"]) for subnet in listed if "CidrBlock" in subnet}
        routes = EgressRoutes(ec2, zones={subnet.get("SubnetId", ""): subnet.get("AvailabilityZone", "") for subnet in listed})
        machines: dict[str, DesiredMachine] = {}
        for instance in instances:
            machine = _machine(region, instance, subnets, routes, sizes)
            machines[machine.instance_id] = machine
        return machines, set(sizes)


class EgressRoutes:
    """How packets leave a subnet, from the VPCs' route tables."""

    def __init__(self, ec2: "EC2Client", *, zones: Mapping[str, str]) -> None:
        """`zones` maps each subnet id to its zone."""
        self._tables: Sequence[RouteTableTypeDef] = ec2.describe_route_tables()["RouteTables"]
        self._gateways = {
            gateway.get("NatGatewayId", ""): gateway
            for gateway in ec2.describe_nat_gateways()["NatGateways"]
            if gateway.get("State") == "available" and gateway.get("NatGatewayAddresses")
        }
        self._zones = zones
        self._s3_tables = {
            table
            for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]
            if endpoint.get("VpcEndpointType") == "Gateway" and endpoint.get("ServiceName", "").endswith(".s3")
            for table in endpoint.get("RouteTableIds", [])
        }

    def egress_address(self, vpc_id: str, subnet_id: str, public: IPv4Address | None) -> IPv4Address | None:
        """Returns the source address on the default route: `public` with an internet gateway, a NAT gateway's address, or None."""
        for route in self._default_routes(vpc_id, subnet_id):
            if route.get("GatewayId", "").startswith("igw-"):
                return public
            if gateway := self._gateways.get(route.get("NatGatewayId", "")):
                return IPv4Address(gateway.get("NatGatewayAddresses", [])[0].get("PublicIp", ""))
        return None

    def gateway_zone(self, vpc_id: str, subnet_id: str) -> str:
        """Returns the zone of the NAT gateway on the default route; empty if there is none."""
        for route in self._default_routes(vpc_id, subnet_id):
            if gateway := self._gateways.get(route.get("NatGatewayId", "")):
                return self._zones.get(gateway.get("SubnetId", ""), "")
        return ""

    def is_public_subnet(self, vpc_id: str, subnet_id: str) -> bool:
        """Whether the subnet is public: a public address works only there."""
        return any(route.get("GatewayId", "").startswith("igw-") for route in self._default_routes(vpc_id, subnet_id))

    def has_s3_endpoint(self, vpc_id: str, subnet_id: str) -> bool:
        """Whether a gateway endpoint for S3 is in the subnet's route table."""
        table = self._table(vpc_id, subnet_id)
        return bool(table) and table.get("RouteTableId") in self._s3_tables

    def _default_routes(self, vpc_id: str, subnet_id: str) -> "list[RouteTypeDef]":
        table = self._table(vpc_id, subnet_id)
        return [route for route in (table.get("Routes", []) if table else []) if route.get("DestinationCidrBlock") == "0.0.0.0/0"]

    def _table(self, vpc_id: str, subnet_id: str) -> "RouteTableTypeDef | None":
        main: RouteTableTypeDef | None = None
        for table in self._tables:
            for association in table.get("Associations", []):
                if association.get("SubnetId") == subnet_id:
                    return table
                if association.get("Main") and table.get("VpcId") == vpc_id:
                    main = table
        return main


def _machine(
    region: str, instance: "InstanceTypeDef", subnets: dict[str, IPv4Network], routes: EgressRoutes, sizes: dict[str, int]
) -> DesiredMachine:
    tags = _tags(instance.get("Tags", []))
    instance_id = instance.get("InstanceId", "")
    state = instance.get("State", {}).get("Name", "terminated")
    subnet_id, vpc_id = instance.get("SubnetId", ""), instance.get("VpcId", "")
    private, network = instance.get("PrivateIpAddress"), subnets.get(subnet_id)
    problem: str | None = None
    address: IPv4Interface | None = None
    if private and network:
        address = IPv4Interface(f"{private}/{network.prefixlen}")
    elif Power.from_instance_state(state) is not Power.GONE:
        problem = f"its subnet {subnet_id or '(none)'} does not exist" if private else "it has no private address"
    text = instance.get("PublicIpAddress")
    public = IPv4Address(text) if text else None
    root, mappings = instance.get("RootDeviceName"), instance.get("BlockDeviceMappings", [])
    disks = [mapping.get("Ebs", {}) for mapping in mappings if mapping.get("DeviceName") != root]
    leaving = frozenset(disk.get("VolumeId", "") for disk in disks if disk.get("Status") == "detaching")
    volumes = [
        Volume(volume_id=volume_id, size_gib=sizes[volume_id])
        for disk in disks
        if (volume_id := disk.get("VolumeId", "")) in sizes and volume_id not in leaving
    ]
    roots = [sizes.get(mapping.get("Ebs", {}).get("VolumeId", "")) for mapping in mappings if mapping.get("DeviceName") == root]
    return DesiredMachine(
        instance_id=instance_id,
        region=region,
        state=state,
        name=tags.get("host") or tags.get("Name") or instance_id,
        role=tags.get("role", ""),
        zone=instance.get("Placement", {}).get("AvailabilityZone", ""),
        image_id=instance.get("ImageId", ""),
        address=address,
        launched=instance.get("LaunchTime"),
        public_address=public if public and routes.is_public_subnet(vpc_id, subnet_id) else None,
        egress_address=routes.egress_address(vpc_id, subnet_id, public),
        egress_zone=routes.gateway_zone(vpc_id, subnet_id),
        s3_endpoint=routes.has_s3_endpoint(vpc_id, subnet_id),
        group_ids=_group_ids(instance),
        volumes=tuple(volumes),
        detaching=leaving,
        root_gib=next(filter(None, roots), DEFAULT_ROOT_GIB),
        problem=problem,
    )


def _group_ids(instance: "InstanceTypeDef") -> tuple[str, ...]:
    interfaces = instance.get("NetworkInterfaces", [])
    groups = interfaces[0].get("Groups", []) if interfaces else instance.get("SecurityGroups", [])
    return tuple(sorted({group.get("GroupId", "") for group in groups}))


def _tags(tags: "Sequence[TagTypeDef]") -> dict[str, str]:
    return {tag.get("Key", ""): tag.get("Value", "") for tag in tags}
