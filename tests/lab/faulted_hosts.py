"""Three bare hosts between which faults are put, and what passes between them.

They may send anything to anyone: `a` is in a subnet of the stack's, `c` and `d` are in one subnet of a zone that is theirs alone.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from lab import control_client
from lab.hypervisor import namespaces
from lab.hypervisor.probes import TCP, Probe, ProbePoint, ProbeReply, run_probes
from lab.lab_handle import LabHandle
from lab.processes import read_pid_file
from tests.lab.bare_hosts import BareHost
from tests.lab.harness import REGION, TIMEOUT_FACTOR, LabUnderTest, reachable_by_hosts, wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


ZONE = f"{REGION}c"
"""No host of the stack is there."""

PORT = 7001
_SO_RCVBUFFORCE = 33


@dataclass(frozen=True, kw_only=True)
class Three:
    """The hosts and their lab."""

    lab: LabUnderTest
    a: BareHost
    c: BareHost
    d: BareHost

    def give(self, kind: str, source: str, target: str, *, seconds: float | None = None, **more: object) -> str:
        """Puts a fault on by the daemon's own API, which the command line asks too; the fault's id."""
        return str(control_client.inject_fault(self.lab.names, {"kind": kind, "from": source, "to": target, **more}, seconds)["id"])

    def cut_zone(self) -> str:
        """Cuts `ZONE` off; the fault's id."""
        return str(control_client.inject_fault(self.lab.names, {"kind": "zone", "zone": ZONE}, None)["id"])

    def clear(self, *fault_ids: str) -> None:
        """Takes faults back, all if none is named."""
        control_client.clear_faults(self.lab.names, fault_ids)

    def on(self) -> list[str]:
        """The ids of the faults that are on."""
        return [str(one["id"]) for one in control_client.faults(self.lab.names)]

    def reach(
        self, source: BareHost, target: "BareHost | IPv4Address", *, protocol: int = TCP, port: int = PORT
    ) -> tuple[bool, ProbeReply]:
        """Whether one packet arrives, and what comes back; nobody listens, so a kernel refuses."""
        host = target if isinstance(target, BareHost) else None
        place = host.probe_point if host else ProbePoint(namespace=self.lab.names.router_netns, link="lo")
        address = host.address if host else target
        assert isinstance(address, IPv4Address)
        one = Probe(source=source.probe_point, target=place, address=address, protocol=protocol, port=port)
        outcome = run_probes([one], timeout=0.4 * TIMEOUT_FACTOR)[0]
        return outcome.arrived, outcome.reply

    def passes(self, source: BareHost, target: BareHost) -> bool:
        """Whether TCP gets there and its answer back."""
        return self.reach(source, target) == (True, ProbeReply.REFUSED)


def pass_now(three: Three, source: BareHost, target: BareHost) -> bool:
    """As `passes`, of hosts whose network may not be there yet."""
    try:
        return three.passes(source, target)
    except OSError:
        return False


@contextmanager
def subnet_in_own_zone(lab: LabUnderTest, ec2: "EC2Client") -> Generator[tuple[str, str, str, str]]:
    """A public subnet in a zone of its own: the stack's public one and this one, their VPC, and an AMI."""
    instance = lab.instance("lb-1")
    vpc_id, stack_subnet = instance.get("VpcId", ""), instance.get("SubnetId", "")
    network = IPv4Network(ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0].get("CidrBlock", ""))
    last = list(network.subnets(new_prefix=28))[-1]
    table = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [stack_subnet]}])["RouteTables"][0]
    made = ec2.create_subnet(VpcId=vpc_id, CidrBlock=str(last), AvailabilityZone=ZONE)["Subnet"].get("SubnetId", "")
    association = ec2.associate_route_table(RouteTableId=table.get("RouteTableId", ""), SubnetId=made).get("AssociationId", "")
    try:
        ec2.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": True})
        yield stack_subnet, made, vpc_id, instance.get("ImageId", "")
    finally:
        ec2.disassociate_route_table(AssociationId=association)
        ec2.delete_subnet(SubnetId=made)


@contextmanager
def without_daemon(lab: LabUnderTest) -> Generator[None]:
    """Strikes the lab's daemon down, and starts another at the end."""
    daemon = read_pid_file(lab.names.pid_file("daemon"))
    assert daemon is not None
    os.kill(daemon.pid, signal.SIGKILL)
    try:
        wait_until(lambda: not daemon.alive(), seconds=30, what="the daemon is dead", every=0.02)
        yield
    finally:
        LabHandle(names=lab.names).start(lambda _text: None)


@contextmanager
def connection(source: BareHost, target: BareHost) -> Generator[tuple[socket.socket, socket.socket]]:
    """An open connection: its ends at `source` and at `target`."""
    with target.listen(PORT) as listener, source.connect(target.address, PORT) as near:
        far, _ = listener.accept()
        with far:
            yield near, far


def connects(source: BareHost, address: IPv4Address, port: int) -> bool:
    """Whether a program of the router's (or AWS's) answers a host."""

    def connect() -> bool:
        with suppress(TimeoutError), socket.create_connection((str(address), port), timeout=0.5 * TIMEOUT_FACTOR):
            return True
        return False

    return namespaces.call_in_namespace(source.namespace, connect)


def reaches_internet(three: Three, source: BareHost) -> bool:
    """Whether the host's datagram arrives on this machine, which is the lab's internet, and an answer gets back."""
    names = three.lab.names
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.bind((str(names.wan_peer_address), 0))
        outside.settimeout(0.5 * TIMEOUT_FACTOR)
        with reachable_by_hosts(three.lab, "udp", outside.getsockname()[1]), _datagram_socket(source, 0) as near:
            near.settimeout(0.5 * TIMEOUT_FACTOR)
            near.sendto(b"out", outside.getsockname())
            with suppress(TimeoutError):
                _, seen = outside.recvfrom(10)
                outside.sendto(b"back", seen)
                return near.recv(10) == b"back"
    return False


def lost(source: BareHost, target: BareHost, count: int = 2000) -> float:
    """The share of datagrams that do not arrive."""
    with _datagram_socket(target, PORT) as far, _datagram_socket(source, 0) as near:
        far.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
        near.setblocking(True)
        for number in range(count):
            near.sendto(b"x", (str(target.address), PORT))
            if number % 100 == 99:
                time.sleep(0.002)  # the kernel's queue for what has come holds a thousand
        time.sleep(0.1 * TIMEOUT_FACTOR)
        arrived = 0
        with suppress(BlockingIOError):
            while far.recv(10):
                arrived += 1
    return 1 - arrived / count


def _datagram_socket(host: BareHost, port: int) -> socket.socket:
    return namespaces.open_socket_in(host.namespace, socket.AF_INET, socket.SOCK_DGRAM, (str(host.address), port))


def rate(source: BareHost, target: BareHost, size: int) -> float:
    """Bits in a second that TCP carries, of so many bytes sent at once."""
    with connection(source, target) as (near, far):
        near.settimeout(60 * TIMEOUT_FACTOR)
        far.settimeout(60 * TIMEOUT_FACTOR)
        began = time.monotonic()
        sending = threading.Thread(target=near.sendall, args=(bytes(size),))
        sending.start()
        left = size
        while left and (received := len(far.recv(65536))):
            left -= received
        sending.join()
        return (size - left) * 8 / (time.monotonic() - began)


def best_rate(source: BareHost, target: BareHost, size: int) -> float:
    """The best of three, so that one pause of this machine is not taken for a narrow way."""
    return max(rate(source, target, size) for _ in range(3))


def seconds_of_round_trip(source: BareHost, target: BareHost) -> float:
    one = Probe(source=source.probe_point, target=target.probe_point, address=target.address, protocol=TCP, port=PORT)
    seconds = run_probes([one], timeout=2 * TIMEOUT_FACTOR)[0].seconds
    assert seconds is not None
    return seconds
