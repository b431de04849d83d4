"""Faults of the network, given on purpose: each is seen to bite and, taken back, to be gone; alone, overlapping, and through restarts."""

import subprocess
import time
from collections.abc import Iterator

import pytest

from lab.hypervisor.probes import ICMP, ProbeReply
from lab.names import METADATA_ADDRESS, RESOLVER_ADDRESS
from tests.lab.bare_hosts import BareHost, launch, remove
from tests.lab.faulted_hosts import (
    PORT,
    Three,
    best_rate,
    connection,
    connects,
    lost,
    pass_now,
    rate,
    reaches_internet,
    seconds_of_round_trip,
    subnet_in_own_zone,
    without_daemon,
)
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest, wait_until

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def booted(lab: LabUnderTest) -> Iterator[Three]:
    ec2 = lab.ec2()
    with subnet_in_own_zone(lab, ec2) as (stack_subnet, own_subnet, vpc_id, image_id):
        group_id = ec2.create_security_group(GroupName="faults", Description="a test's", VpcId=vpc_id)["GroupId"]
        hosts: list[BareHost] = []
        try:
            anything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=anything)  # pyright: ignore[reportArgumentType]
            for name, subnet in (("fault-a", stack_subnet), ("fault-c", own_subnet), ("fault-d", own_subnet)):
                hosts.append(launch(lab, name, subnet, image_id, group_id))
            three = Three(lab=lab, a=hosts[0], c=hosts[1], d=hosts[2])
            for source, target in ((three.a, three.c), (three.c, three.d), (three.d, three.a)):
                wait_until(lambda source=source, target=target: pass_now(three, source, target), seconds=30, what="packets pass", every=0.1)
            yield three
        finally:
            remove(ec2, [host.instance_id for host in hosts], [group_id])


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
    with connection(three.c, three.d) as (near, far):
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
        assert 0.25 < lost(source, target) < 0.35
    assert lost(three.c, three.a) == 0
    three.clear(given)
    assert lost(three.c, three.d) == 0
    three.give("loss", "fault-c", "fault-d", percent="50%", both_ways=False)
    assert 0.45 < lost(three.c, three.d) < 0.55
    assert lost(three.d, three.c) == 0


def test_two_losses_of_one_pair_add_up_and_one_stays_when_the_other_goes(three: Three) -> None:
    first = three.give("loss", "fault-c", "fault-d", percent=50)
    three.give("loss", "fault-d", "fault-c", percent=50)
    assert 0.70 < lost(three.c, three.d) < 0.80
    three.clear(first)
    assert 0.45 < lost(three.c, three.d) < 0.55


def test_a_narrow_way_lets_so_much_through_and_no_other_way_suffers(three: Three) -> None:
    three.give("bandwidth", "fault-c", "fault-d", rate="4mbit", both_ways=False)
    assert 1.5e6 / TIMEOUT_FACTOR < best_rate(three.c, three.d, 400_000) < 4.4e6
    assert best_rate(three.d, three.c, 400_000) > 8e6 / TIMEOUT_FACTOR
    assert best_rate(three.c, three.a, 400_000) > 8e6 / TIMEOUT_FACTOR
    three.give("bandwidth", "fault-c", "fault-d", rate="2mbit")
    assert 0.7e6 / TIMEOUT_FACTOR < best_rate(three.d, three.c, 200_000) < 2.3e6
    three.clear()
    assert best_rate(three.c, three.d, 400_000) > 8e6 / TIMEOUT_FACTOR


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
    before = seconds_of_round_trip(three.c, three.d)
    three.give("delay", "fault-c", "fault-d", milliseconds=50)
    assert 0.1 <= seconds_of_round_trip(three.c, three.d) - before < 0.1 + 0.1 * TIMEOUT_FACTOR


def test_a_zone_that_is_cut_off_is_alone_with_itself_its_metadata_and_its_resolver(three: Three) -> None:
    api, s3 = three.lab.names.api_address, three.lab.names.s3_address
    with connection(three.c, three.a) as (near, far):
        assert connects(three.c, api, 443)
        given = three.cut_zone()
        near.sendall(b"late")
        far.settimeout(0.5)
        with pytest.raises(TimeoutError):
            far.recv(10)
        assert three.reach(three.c, three.a) == (False, ProbeReply.NONE)
        assert three.reach(three.a, three.c) == (False, ProbeReply.NONE)
        assert three.passes(three.c, three.d)
        assert [connects(three.c, address, 443) for address in (api, s3)] == [False, False]
        assert not reaches_internet(three, three.c)
        assert connects(three.c, METADATA_ADDRESS, 80)
        assert connects(three.c, RESOLVER_ADDRESS, 53)
        assert connects(three.a, api, 443)
        assert reaches_internet(three, three.a)
        three.clear(given)
        far.settimeout(10 * TIMEOUT_FACTOR)
        assert far.recv(10) == b"late"
    assert [connects(three.c, address, 443) for address in (api, s3)] == [True, True]
    assert reaches_internet(three, three.c)


def test_the_internet_and_aws_can_be_one_end(three: Three) -> None:
    api = three.lab.names.api_address
    three.give("drop", "fault-c", "aws")
    assert not connects(three.c, api, 443)
    assert connects(three.d, api, 443)
    assert reaches_internet(three, three.c)
    three.give("drop", "internet", "fault-d")
    assert not reaches_internet(three, three.d)
    assert reaches_internet(three, three.c)


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
    with without_daemon(three.lab):
        assert three.reach(three.c, three.d) == (False, ProbeReply.NONE)
        time.sleep(0.5)
    wait_until(lambda: short not in three.on(), seconds=30, what="what ended meanwhile is taken back", every=0.1)
    assert three.passes(three.c, three.a)
    assert three.reach(three.c, three.d) == (False, ProbeReply.NONE)
    three.clear(given)
    assert three.passes(three.c, three.d)
    assert rate(three.d, three.c, 200_000) < 2.3e6
    three.clear(narrow)
    assert best_rate(three.d, three.c, 200_000) > 4e6 / TIMEOUT_FACTOR


def test_faults_hold_for_a_host_that_was_restarted(three: Three) -> None:
    three.give("drop", "fault-c", "fault-a")
    three.give("bandwidth", "fault-d", "fault-c", rate="2mbit")
    three.lab.command("kill", "fault-c")
    three.lab.command("start", "fault-c")
    wait_until(lambda: pass_now(three, three.d, three.c), seconds=60, what="the host has its network again", every=0.1)
    assert three.reach(three.c, three.a) == (False, ProbeReply.NONE)
    assert rate(three.d, three.c, 200_000) < 2.3e6
    assert rate(three.c, three.d, 200_000) < 2.3e6


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
