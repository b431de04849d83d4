"""The tries on which all that is said of the firewall stands, between two network namespaces of their own: packets arrive by a link that is
up, and a link that is down, or not there, means that nothing arrives and is no error."""

import contextlib
import random
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

import pytest

from lab.hypervisor import namespaces
from lab.hypervisor.netlink import Netlink, call_with_netlink
from lab.hypervisor.probes import ICMP, MIN_SOURCE_PORT, TCP, UDP, Probe, ProbePoint, ProbeReply, ProbeResult, run_probes
from tests.lab.harness import TIMEOUT_FACTOR, wait_until

pytestmark = pytest.mark.alone

NEAR, FAR = IPv4Interface("192.0.2.1/24"), IPv4Interface("192.0.2.2/24")
LINK = "ens5"
PROTOCOLS = (TCP, UDP, ICMP, 112)


@dataclass(frozen=True, kw_only=True)
class Cable:
    """Two namespaces, not joined yet."""

    near: str
    far: str

    def join(self) -> None:
        """One link from here to there, up at both ends."""

        def here(wires: Netlink) -> None:
            wires.add_veth_pair(LINK, peer=LINK, peer_namespace=self.far)
            wires.add_address(LINK, NEAR)
            wires.set_link_up(LINK)

        call_with_netlink(self.near, here)
        call_with_netlink(self.far, lambda wires: wires.add_address(LINK, FAR))
        self.plug()

    def plug(self) -> None:
        """Brings the far end up; the kernel notices a moment later that the cable is in, so this returns once a packet has passed."""
        call_with_netlink(self.far, lambda wires: wires.set_link_up(LINK))
        wait_until(lambda: self.ask(UDP)[0].arrived, seconds=10, what="packets pass")

    def unplug(self) -> None:
        """Brings the far end down."""
        call_with_netlink(self.far, lambda wires: wires.set_link_down(LINK))

    def ask(self, *protocols: int, address: IPv4Address = FAR.ip, patience: float = 0.5) -> list[ProbeResult]:
        """One packet of each protocol from here to there."""
        source, target = ProbePoint(namespace=self.near, link=LINK), ProbePoint(namespace=self.far, link=LINK)
        tries = [Probe(source=source, target=target, address=address, protocol=protocol, port=9) for protocol in protocols]
        return run_probes(tries, timeout=patience * TIMEOUT_FACTOR)


@pytest.fixture
def cable() -> Iterator[Cable]:
    mark = uuid.uuid4().hex[:8]
    cable = Cable(near=f"tries-near-{mark}", far=f"tries-far-{mark}")
    try:
        namespaces.create(cable.near)
        namespaces.create(cable.far)
        yield cable
    finally:
        namespaces.remove(cable.near)
        namespaces.remove(cable.far)


def test_every_kind_of_packet_arrives_by_a_link_that_is_up(cable: Cable) -> None:
    cable.join()
    outcomes = cable.ask(*PROTOCOLS)
    assert [outcome.arrived for outcome in outcomes] == [True] * len(PROTOCOLS)
    assert outcomes[0].reply is ProbeReply.REFUSED, "nobody listens there"


def test_what_has_come_counts_though_the_time_is_over(cable: Cable) -> None:
    cable.join()
    wait_until(lambda: cable.ask(UDP, patience=0)[0].arrived, seconds=10, what="a packet is seen without waiting for it")


def test_nothing_arrives_by_a_link_that_is_not_there_yet(cable: Cable) -> None:
    assert [(outcome.arrived, outcome.reply) for outcome in cable.ask(*PROTOCOLS)] == [(False, ProbeReply.UNREACHABLE)] * len(PROTOCOLS)


def test_nothing_arrives_by_a_link_that_is_down(cable: Cable) -> None:
    cable.join()
    cable.unplug()
    assert [outcome.arrived for outcome in cable.ask(*PROTOCOLS)] == [False] * len(PROTOCOLS)
    cable.plug()


def _lowest(_limit: int) -> int:
    return 0


def test_a_port_that_somebody_has_is_no_answer(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that listens where a try would have started, as another lab's may: the try starts from another port."""
    cable.join()
    monkeypatch.setattr(random, "randrange", _lowest)
    with contextlib.ExitStack() as stack:
        for port in range(MIN_SOURCE_PORT, MIN_SOURCE_PORT + 3):
            taken = namespaces.call_in_namespace(cable.near, lambda port=port: socket.create_server(("", port)))
            stack.enter_context(contextlib.closing(taken))
        [outcome] = cable.ask(TCP)
    assert (outcome.arrived, outcome.reply) == (True, ProbeReply.REFUSED)


def test_a_link_may_go_down_while_an_answer_is_awaited(cable: Cable) -> None:
    cable.join()
    nobody = IPv4Address("192.0.2.9")
    unplugging = threading.Timer(0.2, cable.unplug)
    unplugging.start()
    [outcome] = cable.ask(UDP, address=nobody, patience=1)
    unplugging.join()
    assert (outcome.arrived, outcome.reply) == (False, ProbeReply.NONE)
