"""The way out of a private subnet: its zone's NAT gateway, with that gateway's address, and none without the route."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from lab.hypervisor import namespaces
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest, reachable_by_hosts, wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, NatGatewayTypeDef

PORT = 443
"""What the hosts' security groups let out to everyone."""

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class Internet:
    """A server on this machine, which is the lab's internet, and the hosts that may be seen there."""

    lab: LabUnderTest
    ec2: "EC2Client"
    server: socket.socket

    def sees(self, instance_id: str) -> str | None:
        """The address that a connection from the instance bears here; None when it does not get here.

        Where the way ends between two packets of a handshake, the instance holds a connection that this machine never accepts.
        """
        self._forget_earlier_connections()
        try:
            near = namespaces.call_in_namespace(
                self.lab.names.machine_netns(instance_id),
                lambda: socket.create_connection(self.server.getsockname(), timeout=0.3 * TIMEOUT_FACTOR),
            )
        except TimeoutError:
            return None
        with near:
            self.server.settimeout(0.3 * TIMEOUT_FACTOR)
            try:
                far, (address, _) = self.server.accept()
            except TimeoutError:
                return None
        far.close()
        return str(IPv4Address(address))

    def _forget_earlier_connections(self) -> None:
        self.server.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.server.accept()[0].close()

    def route_table(self, instance: "InstanceTypeDef") -> tuple[str, str]:
        """The id of the route table of an instance's subnet, and the NAT gateway that leads out of it."""
        [table] = self.ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [instance.get("SubnetId", "")]}])[
            "RouteTables"
        ]
        gateway_id = next(route["NatGatewayId"] for route in table.get("Routes", []) if "NatGatewayId" in route)
        return table.get("RouteTableId", ""), gateway_id

    def gateway(self, gateway_id: str) -> "NatGatewayTypeDef":
        """What the API shows of a NAT gateway."""
        return self.ec2.describe_nat_gateways(NatGatewayIds=[gateway_id])["NatGateways"][0]

    def public_address(self, gateway_id: str) -> str:
        """The address of a NAT gateway."""
        return self.gateway(gateway_id).get("NatGatewayAddresses", [])[0].get("PublicIp", "")


@pytest.fixture
def internet(lab: LabUnderTest) -> Iterator[Internet]:
    with socket.create_server((str(lab.names.wan_peer_address), PORT)) as server, reachable_by_hosts(lab, "tcp", PORT):
        yield Internet(lab=lab, ec2=lab.ec2(), server=server)


def test_a_private_host_leaves_by_its_nat_gateway_and_not_without_the_route(internet: Internet) -> None:
    instance = internet.lab.instance("web-1")
    instance_id = instance.get("InstanceId", "")
    table_id, gateway_id = internet.route_table(instance)
    public = internet.public_address(gateway_id)
    assert "PublicIpAddress" not in instance
    wait_until(lambda: internet.sees(instance_id) == public, seconds=30, what="it leaves by the gateway", every=0.1)
    internet.ec2.delete_route(RouteTableId=table_id, DestinationCidrBlock=ANYWHERE)
    try:
        wait_until(lambda: internet.sees(instance_id) is None, seconds=30, what="without the route nothing leaves", every=0.1)
    finally:
        internet.ec2.create_route(RouteTableId=table_id, DestinationCidrBlock=ANYWHERE, NatGatewayId=gateway_id)
    wait_until(lambda: internet.sees(instance_id) == public, seconds=30, what="with the route again it leaves by the gateway", every=0.1)


def test_each_zone_leaves_by_the_gateway_that_its_own_routes_name(internet: Internet) -> None:
    ec2, one, two = internet.ec2, internet.lab.instance("web-1"), internet.lab.instance("web-2")
    table_id, gateway_id = internet.route_table(two)
    shared, subnet_id = internet.public_address(gateway_id), internet.gateway(gateway_id).get("SubnetId", "")
    allocation = ec2.allocate_address(Domain="vpc")
    own_id = ec2.create_nat_gateway(SubnetId=subnet_id, AllocationId=allocation["AllocationId"])["NatGateway"].get("NatGatewayId", "")
    try:
        ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[own_id])
        ec2.replace_route(RouteTableId=table_id, DestinationCidrBlock=ANYWHERE, NatGatewayId=own_id)
        own = allocation["PublicIp"]
        wait_until(lambda: internet.sees(two.get("InstanceId", "")) == own, seconds=30, what="zone b leaves by its own gateway", every=0.1)
        wait_until(lambda: internet.sees(one.get("InstanceId", "")) == shared, seconds=30, what="zone a leaves as before", every=0.1)
        ec2.delete_nat_gateway(NatGatewayId=own_id)
        wait_until(
            lambda: internet.sees(two.get("InstanceId", "")) is None, seconds=30, what="a gateway that is gone lets none out", every=0.1
        )
        wait_until(lambda: internet.sees(one.get("InstanceId", "")) == shared, seconds=30, what="zone a still leaves", every=0.1)
    finally:
        ec2.replace_route(RouteTableId=table_id, DestinationCidrBlock=ANYWHERE, NatGatewayId=gateway_id)
        ec2.delete_nat_gateway(NatGatewayId=own_id)
        ec2.release_address(AllocationId=allocation["AllocationId"])
    wait_until(lambda: internet.sees(two.get("InstanceId", "")) == shared, seconds=30, what="zone b leaves as before", every=0.1)
