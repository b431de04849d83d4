"""Security groups as EC2 enforces them, tried on two bare hosts of one subnet: every kind of rule, the speed of a change, and what becomes
of open connections."""

import contextlib
import socket
import statistics
import time
from collections.abc import Callable, Generator, Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from lab.hypervisor.probes import ICMP, TCP, UDP
from tests.lab.bare_hosts import HostPair, host_pair
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest, wait_until
from tests.lab.matrix import VRRP

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import IpPermissionTypeDef

pytestmark = pytest.mark.alone

WITHIN = 1.0
"""Seconds within which a change holds, on a machine that is not busy with other things: asserted of half of several changes."""

PATIENCE = 30.0
"""Seconds that all other tests give a change."""

EVERYWHERE = "0.0.0.0/0"


@pytest.fixture(scope="module")
def booted(lab: LabUnderTest) -> Iterator[HostPair]:
    with host_pair(lab) as pair:
        yield pair


@pytest.fixture
def pair(booted: HostPair) -> Iterator[HostPair]:
    """The two hosts, with empty groups before and after."""
    yield booted
    booted.revoke_all()
    booted.wait_until_applied()


def to_everyone(protocol: str, first: int = -1, last: int | None = None) -> "IpPermissionTypeDef":
    last = first if last is None else last
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": EVERYWHERE}]}


def test_without_rules_nothing_passes_between_two_hosts_of_one_subnet(pair: HostPair) -> None:
    assert pair.arrivals((TCP, 22), (UDP, 53), (ICMP, 0), (VRRP, 0)) == [False] * 4


def test_a_change_holds_within_a_second_both_ways(pair: HostPair) -> None:
    pair.permit(pair.a, to_everyone("-1"), egress=True)
    opened: list[float] = []
    closed: list[float] = []
    for port in (81, 82, 83):
        rule = pair.permit(pair.b, to_everyone("tcp", port), egress=False)
        opened.append(_seconds_until(lambda port=port: pair.passes(port, timeout=0.1)))
        pair.revoke(pair.b, rule, egress=False)
        closed.append(_seconds_until(lambda port=port: not pair.passes(port, timeout=0.1)))
    assert statistics.median(opened) < WITHIN * TIMEOUT_FACTOR, opened
    assert statistics.median(closed) < WITHIN * TIMEOUT_FACTOR, closed


def test_each_kind_of_rule_permits_what_it_says_and_no_more(pair: HostPair) -> None:
    prefix_list = pair.ec2.create_managed_prefix_list(
        PrefixListName="bare", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": f"{pair.a.address}/32"}]
    )["PrefixList"].get("PrefixListId", "")
    kinds: list[IpPermissionTypeDef] = [
        to_everyone("tcp", 1000, 1010),
        {"IpProtocol": "tcp", "FromPort": 2000, "ToPort": 2000, "UserIdGroupPairs": [{"GroupId": pair.a.group_id}]},
        {"IpProtocol": "tcp", "FromPort": 2001, "ToPort": 2001, "UserIdGroupPairs": [{"GroupId": pair.b.group_id}]},
        {"IpProtocol": "tcp", "FromPort": 3000, "ToPort": 3000, "IpRanges": [{"CidrIp": f"{pair.a.address}/32"}]},
        {"IpProtocol": "tcp", "FromPort": 3001, "ToPort": 3001, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]},
        {"IpProtocol": "tcp", "FromPort": 4000, "ToPort": 4000, "PrefixListIds": [{"PrefixListId": prefix_list}]},
        to_everyone("udp", 53),
        to_everyone("112"),
        to_everyone("icmp", 8, -1),
    ]
    try:
        pair.permit(pair.a, to_everyone("-1"), egress=True)
        for kind in kinds:
            pair.permit(pair.b, kind, egress=False)
        pair.wait_until_applied()
        tries = {
            (TCP, 999): False,
            (TCP, 1000): True,
            (TCP, 1010): True,
            (TCP, 1011): False,
            (TCP, 2000): True,
            (TCP, 2001): False,
            (TCP, 3000): True,
            (TCP, 3001): False,
            (TCP, 4000): True,
            (TCP, 53): False,
            (UDP, 53): True,
            (UDP, 54): False,
            (VRRP, 0): True,
            (VRRP + 1, 0): False,
            (ICMP, 0): True,
        }
        assert dict(zip(tries, pair.arrivals(*tries), strict=True)) == tries
        assert pair.arrivals((TCP, 1000), source=pair.b, target=pair.a) == [False], "a rule in is no rule out"
    finally:
        pair.revoke_all()
        pair.ec2.delete_managed_prefix_list(PrefixListId=prefix_list)


def test_a_host_that_joins_or_leaves_a_group_gains_or_loses_what_it_permits(pair: HostPair) -> None:
    more = pair.ec2.create_security_group(GroupName="bare-more", Description="a test's", VpcId=pair.vpc_id)["GroupId"]
    try:
        pair.permit(pair.a, to_everyone("-1"), egress=True)
        pair.permit(pair.b, {"IpProtocol": "tcp", "FromPort": 90, "ToPort": 90, "UserIdGroupPairs": [{"GroupId": more}]}, egress=False)
        pair.wait_until_applied()
        assert not pair.passes(90)
        pair.ec2.modify_network_interface_attribute(NetworkInterfaceId=pair.a.interface_id, Groups=[pair.a.group_id, more])
        wait_until(lambda: pair.passes(90), seconds=PATIENCE, what="a new member of the group is let in", every=0.05)
    finally:
        pair.ec2.modify_network_interface_attribute(NetworkInterfaceId=pair.a.interface_id, Groups=[pair.a.group_id])
        pair.revoke_all()
        pair.ec2.delete_security_group(GroupId=more)
    wait_until(lambda: not pair.passes(90), seconds=PATIENCE, what="one that left is not", every=0.05)


def test_a_tracked_connection_outlives_its_rule_and_a_new_one_does_not_begin(pair: HostPair) -> None:
    pair.permit(pair.a, to_everyone("tcp", 5000), egress=True)
    rule = pair.permit(pair.b, to_everyone("tcp", 5000), egress=False)
    pair.wait_until_applied()
    with _connection(pair, 5000) as (near, far):
        pair.revoke(pair.b, rule, egress=False)
        wait_until(lambda: not pair.passes(5000), seconds=PATIENCE, what="the port is closed", every=0.05)
        assert _echoed(near, far)


def test_an_untracked_connection_ends_with_its_rule(pair: HostPair) -> None:
    """Open to everyone, and every answer permitted by a rule of its own: AWS tracks no such connection, so both ends must be like that."""
    pair.permit(pair.a, to_everyone("-1"), egress=True)
    pair.permit(pair.a, to_everyone("-1"), egress=False)
    pair.permit(pair.b, to_everyone("-1"), egress=True)
    rule = pair.permit(pair.b, to_everyone("tcp", 5001), egress=False)
    pair.wait_until_applied()
    with _connection(pair, 5001) as (near, far):
        assert _echoed(near, far)
        pair.revoke(pair.b, rule, egress=False)
        wait_until(lambda: not pair.passes(5001), seconds=PATIENCE, what="the port is closed", every=0.05)
        wait_until(lambda: not _echoed(near, far), seconds=PATIENCE, what="the connection is dead", every=0.05)


def test_what_aws_never_filters_passes_without_any_rule(pair: HostPair) -> None:
    with contextlib.closing(pair.a.connect(IPv4Address("169.254.169.254"), 80)) as metadata:
        metadata.sendall(b"PUT /latest/api/token HTTP/1.0\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n")
        assert metadata.recv(100).startswith(b"HTTP/1.0 200")
    with contextlib.closing(pair.a.connect(IPv4Address("169.254.169.253"), 53)):
        pass
    with pytest.raises(TimeoutError):
        pair.a.connect(pair.lab.names.s3_address, 443)


def test_an_address_that_moves_takes_no_connection_along(pair: HostPair) -> None:
    for host in (pair.a, pair.b):
        pair.permit(host, to_everyone("tcp", 7000), egress=False)
    pair.wait_until_applied()
    allocation = pair.ec2.allocate_address(Domain="vpc")
    address, seconds = IPv4Address(allocation["PublicIp"]), list[float]()
    try:
        with pair.a.listen(7000) as at_a, pair.b.listen(7000) as at_b:
            _associate(pair, allocation["AllocationId"], pair.a.interface_id)
            _seconds_until(lambda: _reaches(address, at_a))
            for interface_id, before, after in ((pair.b.interface_id, at_a, at_b), (pair.a.interface_id, at_b, at_a)) * 2:
                with socket.create_connection((str(address), 7000), timeout=PATIENCE) as near, _accepted(before, near) as far:
                    assert _echoed(near, far)
                    _associate(pair, allocation["AllocationId"], interface_id)
                    arrives = _seconds_until(lambda after=after: _reaches(address, after))
                    dies = _seconds_until(lambda near=near, far=far: not _echoed(near, far, patience=0.2))
                    seconds.append(arrives + dies)
        assert statistics.median(seconds) < WITHIN * TIMEOUT_FACTOR, seconds
    finally:
        for found in pair.ec2.describe_addresses(AllocationIds=[allocation["AllocationId"]])["Addresses"]:
            if "AssociationId" in found:
                pair.ec2.disassociate_address(AssociationId=found["AssociationId"])
        pair.ec2.release_address(AllocationId=allocation["AllocationId"])


def test_a_rule_that_cannot_be_obeyed_is_reported_and_the_others_hold(pair: HostPair) -> None:
    pair.permit(pair.a, to_everyone("-1"), egress=True)
    broken = pair.permit(pair.b, to_everyone("tcp", 90, 80), egress=False)
    pair.permit(pair.b, to_everyone("tcp", 91), egress=False)
    wait_until(lambda: pair.passes(91), seconds=PATIENCE, what="the sound rule holds", every=0.05)
    told = f"bare-b: rule {broken} of security group {pair.b.group_id} (bare-b) permits nothing: 90 to 80 is not a range of ports"
    wait_until(lambda: told in pair.lab.command("status").stderr, seconds=PATIENCE, what="status tells of the broken rule")
    assert pair.lab.hosts()["bare-a"]["problems"] == []


def _seconds_until(condition: Callable[[], bool]) -> float:
    began = time.monotonic()
    wait_until(condition, seconds=PATIENCE, what="a changed rule holds", every=0.02)
    return time.monotonic() - began


@contextlib.contextmanager
def _connection(pair: HostPair, port: int) -> Generator[tuple[socket.socket, socket.socket]]:
    with pair.b.listen(port) as listener, pair.a.connect(pair.b.address, port) as near, listener.accept()[0] as far:
        yield near, far


def _echoed(near: socket.socket, far: socket.socket, patience: float = 1.0) -> bool:
    """Whether a word goes over the connection and comes back."""
    near.settimeout(patience * TIMEOUT_FACTOR)
    far.settimeout(patience * TIMEOUT_FACTOR)
    try:
        near.sendall(b"word")
        far.sendall(far.recv(4))
        return near.recv(4) == b"word"
    except OSError:
        return False


def _associate(pair: HostPair, allocation_id: str, interface_id: str) -> None:
    pair.ec2.associate_address(AllocationId=allocation_id, NetworkInterfaceId=interface_id, AllowReassociation=True)


def _accepted(listener: socket.socket, near: socket.socket) -> socket.socket:
    """The far end of that very connection; others that wait are closed."""
    while True:
        far, (_, port) = listener.accept()
        if port == near.getsockname()[1]:
            return far
        far.close()


def _reaches(address: IPv4Address, listener: socket.socket) -> bool:
    """Whether a connection to the address arrives at this listener."""
    try:
        socket.create_connection((str(address), 7000), timeout=0.2 * TIMEOUT_FACTOR).close()
        listener.settimeout(0.1 * TIMEOUT_FACTOR)
        listener.accept()[0].close()
    except OSError:
        return False
    finally:
        listener.settimeout(PATIENCE)
    return True
