"""The way out of a private subnet: its zone's NAT gateway, with that gateway's address, and none without the route."""

import socket
from ipaddress import IPv4Address

from lab.hypervisor import namespaces
from tests.lab.harness import SLOWNESS, LabUnderTest, wait_until

PORT = 443
"""What the hosts' security groups let out to everyone."""


def test_a_private_host_leaves_by_its_nat_gateway_and_not_without_the_route(lab: LabUnderTest) -> None:
    ec2, host = lab.ec2(), lab.hosts()["web-1"]
    namespace = lab.names.machine_netns(str(host["instance_id"]))
    instance = ec2.describe_instances(InstanceIds=[str(host["instance_id"])])["Reservations"][0].get("Instances", [])[0]
    tables = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [instance.get("SubnetId", "")]}])["RouteTables"]
    table_id = tables[0].get("RouteTableId", "")
    gateway_id = next(route["NatGatewayId"] for route in tables[0].get("Routes", []) if "NatGatewayId" in route)
    gateway = ec2.describe_nat_gateways(NatGatewayIds=[gateway_id])["NatGateways"][0]
    public = gateway.get("NatGatewayAddresses", [])[0].get("PublicIp")
    with socket.create_server((str(lab.names.machine_address), PORT)) as outside:

        def seen_as() -> str | None:
            """The address that a connection from the host bears outside; None when it does not get there."""
            try:
                near = namespaces.inside(namespace, lambda: socket.create_connection(outside.getsockname(), timeout=0.3 * SLOWNESS))
            except TimeoutError:
                return None
            near.close()
            far, (address, _) = outside.accept()
            far.close()
            return str(IPv4Address(address))

        assert seen_as() == public
        ec2.delete_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0")
        try:
            wait_until(lambda: seen_as() is None, seconds=10, what="without the route nothing leaves", every=0.1)
        finally:
            ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway_id)
        wait_until(lambda: seen_as() == public, seconds=10, what="with the route again it leaves by the gateway", every=0.1)
