"""Faults of the network, given on purpose: each is seen to bite and, taken back, to be gone; alone, overlapping, and through restarts.

Three bare hosts that may send anything to anyone: `a` in a subnet of the stack's, `c` and `d` in one subnet of a zone that is theirs alone.
"""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import pytest

from lab import control_client
from lab.hypervisor import namespaces
from lab.hypervisor.probes import ICMP, TCP, Probe, ProbePoint, ProbeReply, run_probes
from lab.lab_handle import LabHandle
from lab.names import METADATA_ADDRESS, RESOLVER_ADDRESS
from lab.processes import read_pid_file
from tests.lab.bare_hosts import BareHost, launch, remove
from tests.lab.harness import REGION, TIMEOUT_FACTOR, LabUnderTest, reachable_by_hosts, wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

pytestmark = pytest.mark.alone

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


@pytest.fixture(scope="module")
def booted(lab: LabUnderTest) -> Iterator[Three]:
    ec2 = lab.ec2()
    with _subnet(lab, ec2) as (stack_subnet, own_subnet, vpc_id, image_id):
        group_id = ec2.create_security_group(GroupName="faults", Description="a test's", VpcId=vpc_id)["GroupId"]
        hosts: list[BareHost] = []
        try:
            anything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=anything)  # pyright: ignore[reportArgumentType]
            for name, subnet in (("fault-a", stack_subnet), ("fault-c", own_subnet), ("fault-d", own_subnet)):
                hosts.append(launch(lab, name, subnet, image_id, group_id))
            three = Three(lab=lab, a=hosts[0], c=hosts[1], d=hosts[2])
            for source, target in ((three.a, three.c), (three.c, three.d), (three.d, three.a)):
                wait_until(
                    lambda source=source, target=target: _pass_now(three, source, target), seconds=30, what="packets pass", every=0.1
                )
            yield three
        finally:
            remove(ec2, [host.instance_id for host in hosts], [group_id])


def _pass_now(three: Three, source: BareHost, target: BareHost) -> bool:
    """As `passes`, of hosts whose network may not be there yet."""
    try:
        return three.passes(source, target)
    except OSError:
        return False


@contextmanager
def _subnet(lab: LabUnderTest, ec2: "EC2Client") -> Generator[tuple[str, str, str, str]]:
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


@pytest.fixture
def three(booted: Three) -> Iterator[Three]:
    """The hosts, without a fault before and after."""
    yield booted
    booted.clear()
    assert booted.on() == []
    assert all(booted.passes(source, target) for source, target in ((booted.a, booted.c), (booted.c, booted.d), (booted.d, booted.a)))


def test_a_one_way_drop_takes_packets_of_that_way_alone_and_nobody_is_told(three: Three) -> None:
    said = three.lab.command("fault", "drop", "fault-c", "fault-d").stdout
    (given,) = three.on()
    assert said.splitlines()[0] == f"{given}: every packet from fault-c to fault-d is dropped"
    assert f"webstack lab fault clear {given}" in said
    assert three.reach(three.c, three.d) == (False, ProbeReply.NONE)
    assert three.reach(three.c, three.d, protocol=ICMP) == (False, ProbeReply.NONE)
    assert three.reach(three.d, three.c) == (True, ProbeReply.NONE), "its packet arrives, the answer is on the way that is dropped"
    assert three.passes(three.c, three.a)
    assert "in the way: fault" in three.lab.command("reach", "fault-c", "fault-d", str(PORT)).stdout
    assert f"fault {given} is on: every packet from fault-c to fault-d is dropped" in three.lab.command("status").stderr
    three.lab.command("fault", "clear", given)
    assert three.passes(three.c, three.d)
    assert three.passes(three.d, three.c)


def test_a_drop_takes_the_packets_of_open_connections_and_gives_them_back(three: Three) -> None:
    with _connection(three.c, three.d) as (near, far):
        given = three.give("drop", three.c.instance_id, three.d.instance_id)
        near.sendall(b"late")
        far.settimeout(0.5)
        with pytest.raises(TimeoutError):
            far.recv(10)
        three.clear(given)
        far.settimeout(10 * TIMEOUT_FACTOR)
        assert far.recv(10) == b"late"


def test_a_loss_takes_about_so_many_packets_both_ways_unless_one_way_is_said(three: Three) -> None:
    given = three.give("loss", "fault-c", "fault-d", percent=30)
    for source, target in ((three.c, three.d), (three.d, three.c)):
        assert 0.25 < _lost(source, target) < 0.35
    assert _lost(three.c, three.a) == 0
    three.clear(given)
    assert _lost(three.c, three.d) == 0
    three.give("loss", "fault-c", "fault-d", percent="50%", both_ways=False)
    assert 0.45 < _lost(three.c, three.d) < 0.55
    assert _lost(three.d, three.c) == 0


def test_two_losses_of_one_pair_add_up_and_one_stays_when_the_other_goes(three: Three) -> None:
    first = three.give("loss", "fault-c", "fault-d", percent=50)
    three.give("loss", "fault-d", "fault-c", percent=50)
    assert 0.70 < _lost(three.c, three.d) < 0.80
    three.clear(first)
    assert 0.45 < _lost(three.c, three.d) < 0.55


def test_a_narrow_way_lets_so_much_through_and_no_other_way_suffers(three: Three) -> None:
    three.give("bandwidth", "fault-c", "fault-d", rate="4mbit", both_ways=False)
    assert 1.5e6 / TIMEOUT_FACTOR < _best_rate(three.c, three.d, 400_000) < 4.4e6
    assert _best_rate(three.d, three.c, 400_000) > 8e6 / TIMEOUT_FACTOR
    assert _best_rate(three.c, three.a, 400_000) > 8e6 / TIMEOUT_FACTOR
    three.give("bandwidth", "fault-c", "fault-d", rate="2mbit")
    assert 0.7e6 / TIMEOUT_FACTOR < _best_rate(three.d, three.c, 200_000) < 2.3e6
    three.clear()
    assert _best_rate(three.c, three.d, 400_000) > 8e6 / TIMEOUT_FACTOR


def _kernel_can_delay() -> bool:
    """Asked of the kernel by iproute2's own tool, on a link of a namespace that goes with it."""
    trial = "ip link set lo up && tc qdisc add dev lo root netem delay 1ms"
    return subprocess.run(["unshare", "--net", "sh", "-c", trial], capture_output=True, check=False).returncode == 0


def test_a_delay_takes_a_kernel_that_can_and_is_refused_by_name_of_the_module_where_it_cannot(three: Three) -> None:
    if not _kernel_can_delay():
        refused = three.lab.command("fault", "delay", "fault-c", "fault-d", "50", status=1)
        assert "sch_netem" in refused.stderr
        assert three.on() == []
        return
    before = _seconds_of_round_trip(three.c, three.d)
    three.give("delay", "fault-c", "fault-d", milliseconds=50)
    assert 0.1 <= _seconds_of_round_trip(three.c, three.d) - before < 0.1 + 0.1 * TIMEOUT_FACTOR


def test_a_zone_that_is_cut_off_is_alone_with_itself_its_metadata_and_its_resolver(three: Three) -> None:
    api, s3 = three.lab.names.api_address, three.lab.names.s3_address
    with _connection(three.c, three.a) as (near, far):
        assert _connects(three.c, api, 443)
        given = three.cut_zone()
        near.sendall(b"late")
        far.settimeout(0.5)
        with pytest.raises(TimeoutError):
            far.recv(10)
        assert three.reach(three.c, three.a) == (False, ProbeReply.NONE)
        assert three.reach(three.a, three.c) == (False, ProbeReply.NONE)
        assert three.passes(three.c, three.d)
        assert [_connects(three.c, address, 443) for address in (api, s3)] == [False, False]
        assert not _reaches_internet(three, three.c)
        assert _connects(three.c, METADATA_ADDRESS, 80)
        assert _connects(three.c, RESOLVER_ADDRESS, 53)
        assert _connects(three.a, api, 443)
        assert _reaches_internet(three, three.a)
        three.clear(given)
        far.settimeout(10 * TIMEOUT_FACTOR)
        assert far.recv(10) == b"late"
    assert [_connects(three.c, address, 443) for address in (api, s3)] == [True, True]
    assert _reaches_internet(three, three.c)


def test_the_internet_and_aws_can_be_one_end(three: Three) -> None:
    api = three.lab.names.api_address
    three.give("drop", "fault-c", "aws")
    assert not _connects(three.c, api, 443)
    assert _connects(three.d, api, 443)
    assert _reaches_internet(three, three.c)
    three.give("drop", "internet", "fault-d")
    assert not _reaches_internet(three, three.d)
    assert _reaches_internet(three, three.c)


def test_faults_that_overlap_are_taken_back_one_by_one(three: Three) -> None:
    zone, way, again = three.cut_zone(), three.give("drop", "fault-c", "fault-a"), three.give("drop", "fault-c", "fault-a")
    three.clear(zone)
    assert three.reach(three.c, three.a) == (False, ProbeReply.NONE)
    assert three.reach(three.a, three.c) == (True, ProbeReply.NONE)
    three.clear(way)
    assert three.reach(three.c, three.a) == (False, ProbeReply.NONE)
    refused = three.lab.command("fault", "clear", again, "f0", status=1)
    assert f"fault 'f0': no such fault is active; active are {again}" in refused.stderr
    assert three.on() == [again]


def test_a_fault_ends_by_itself_after_its_time(three: Three) -> None:
    three.give("drop", "fault-c", "fault-d", seconds=6)
    assert three.reach(three.c, three.d) == (False, ProbeReply.NONE)
    wait_until(lambda: three.on() == [], seconds=30, what="the fault is over", every=0.1)
    assert three.passes(three.c, three.d), "what is listed as over is over"


def test_faults_outlive_the_daemon_and_its_successor_takes_them_back(three: Three) -> None:
    given = three.give("drop", "fault-c", "fault-d")
    narrow = three.give("bandwidth", "fault-d", "fault-c", rate="2mbit", both_ways=False)
    short = three.give("drop", "fault-c", "fault-a", seconds=0.5)
    with _without_daemon(three.lab):
        assert three.reach(three.c, three.d) == (False, ProbeReply.NONE)
        time.sleep(0.5)
    wait_until(lambda: short not in three.on(), seconds=30, what="what ended meanwhile is taken back", every=0.1)
    assert three.passes(three.c, three.a)
    assert three.reach(three.c, three.d) == (False, ProbeReply.NONE)
    three.clear(given)
    assert three.passes(three.c, three.d)
    assert _rate(three.d, three.c, 200_000) < 2.3e6
    three.clear(narrow)
    assert _best_rate(three.d, three.c, 200_000) > 4e6 / TIMEOUT_FACTOR


def test_faults_hold_for_a_host_that_was_restarted(three: Three) -> None:
    three.give("drop", "fault-c", "fault-a")
    three.give("bandwidth", "fault-d", "fault-c", rate="2mbit")
    three.lab.command("kill", "fault-c")
    three.lab.command("start", "fault-c")
    wait_until(lambda: _pass_now(three, three.d, three.c), seconds=60, what="the host has its network again", every=0.1)
    assert three.reach(three.c, three.a) == (False, ProbeReply.NONE)
    assert _rate(three.d, three.c, 200_000) < 2.3e6
    assert _rate(three.c, three.d, 200_000) < 2.3e6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("drop", "fault-c", "web-99"), "host 'web-99': this lab has no such host; give one of "),
        (("loss", "fault-c", "fault-d", "101"), "loss '101': give a percentage from 0.01 to 100"),
        (("bandwidth", "fault-c", "fault-d", "fast"), "rate 'fast': give bits per second from 8kbit to 10gbit"),
        (("zone", "eu-central-1z"), "zone 'eu-central-1z': no host of this lab is in it; give one of eu-central-1a, "),
        (("drop", "fault-c", "fault-d", "--for", "0"), "for 0 seconds: give a duration"),
    ],
)
def test_what_cannot_be_is_refused_in_words(three: Three, arguments: tuple[str, ...], words: str) -> None:
    refused = three.lab.command("fault", *arguments, status=1)
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


@contextmanager
def _without_daemon(lab: LabUnderTest) -> Generator[None]:
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
def _connection(source: BareHost, target: BareHost) -> Generator[tuple[socket.socket, socket.socket]]:
    """An open connection: its ends at `source` and at `target`."""
    with target.listen(PORT) as listener, source.connect(target.address, PORT) as near:
        far, _ = listener.accept()
        with far:
            yield near, far


def _connects(source: BareHost, address: IPv4Address, port: int) -> bool:
    """Whether a program of the router's (or AWS's) answers a host."""

    def connect() -> bool:
        with suppress(TimeoutError), socket.create_connection((str(address), port), timeout=0.5 * TIMEOUT_FACTOR):
            return True
        return False

    return namespaces.call_in_namespace(source.namespace, connect)


def _reaches_internet(three: Three, source: BareHost) -> bool:
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


def _lost(source: BareHost, target: BareHost, count: int = 2000) -> float:
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


def _rate(source: BareHost, target: BareHost, size: int) -> float:
    """Bits in a second that TCP carries, of so many bytes sent at once."""
    with _connection(source, target) as (near, far):
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


def _best_rate(source: BareHost, target: BareHost, size: int) -> float:
    """The best of three, so that one pause of this machine is not taken for a narrow way."""
    return max(_rate(source, target, size) for _ in range(3))


def _seconds_of_round_trip(source: BareHost, target: BareHost) -> float:
    one = Probe(source=source.probe_point, target=target.probe_point, address=target.address, protocol=TCP, port=PORT)
    seconds = run_probes([one], timeout=2 * TIMEOUT_FACTOR)[0].seconds
    assert seconds is not None
    return seconds
