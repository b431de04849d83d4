"""Questions about one packet: who is meant, which address it goes to, and what is said to be in its way. No packet is sent here."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface

import pytest

from lab.hypervisor import namespaces, reachability
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.firewall.policy import build_policy
from lab.hypervisor.probes import TCP, Probe, ProbeReply, ProbeResult
from lab.hypervisor.reachability import ReachabilityChecker
from lab.names import LabNames
from tests.unit.hypervisor.security_groups import BALANCER, LB, STACK_RULES, WEB, WEB_1, snapshot

NAMES = LabNames.of("dev")
ELASTIC, NAT = IPv4Address("198.18.0.1"), IPv4Address("198.18.0.2")


def _machine(
    name: str, instance_id: str, address: IPv4Address, group: str, public: IPv4Address | None, way: IPv4Address | None
) -> DesiredMachine:
    return DesiredMachine(
        instance_id=instance_id,
        region="eu-central-1",
        state="running",
        name=name,
        role=name,
        zone="eu-central-1a",
        image_id="",
        address=IPv4Interface(f"{address}/24"),
        public_address=public,
        egress_address=way,
        group_ids=(group,),
    )


MACHINES = [
    _machine("lb-1", BALANCER.instance_id, BALANCER.address, LB, ELASTIC, ELASTIC),
    _machine("web-1", WEB_1.instance_id, WEB_1.address, WEB, None, NAT),
    _machine("db-1", "i-9", IPv4Address("10.0.8.10"), "sg-none", None, None),
]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Probe]:
    """The tries that would be made; each host runs, and each packet arrives."""
    tries: list[Probe] = []

    def send(given: Sequence[Probe]) -> list[ProbeResult]:
        tries.extend(given)
        return [ProbeResult(arrived=True, reply=ProbeReply.CONNECTED, seconds=0.001) for _ in given]

    monkeypatch.setattr(reachability, "run_probes", send)
    _all_run_but(monkeypatch, "nobody")
    return tries


def _all_run_but(monkeypatch: pytest.MonkeyPatch, instance_id: str) -> None:
    def exists(name: str) -> bool:
        return not name.endswith(instance_id)

    monkeypatch.setattr(namespaces, "exists", exists)


def _ask(source: str, target: str, port: int) -> reachability.ReachabilityReport:
    question = ReachabilityChecker(NAMES, MACHINES, build_policy(snapshot(*STACK_RULES), [BALANCER, WEB_1]))
    return question.check(question.endpoint(source), question.endpoint(target), TCP, port)


def test_from_outside_a_host_is_tried_by_its_public_address(sent: list[Probe]) -> None:
    answer = _ask("internet", "lb-1", 443)
    assert (sent[0].address, sent[0].bypass_routing, sent[0].source.namespace) == (ELASTIC, False, None)
    assert (answer.ingress.rule_id, answer.obstacle) == ("sgr-site", "")


def test_a_host_without_a_public_address_is_aimed_at_all_the_same(sent: list[Probe]) -> None:
    answer = _ask("internet", "web-1", 8080)
    assert (sent[0].address, sent[0].bypass_routing) == (WEB_1.address, True)
    assert answer.obstacle == "web-1 has no public address"


def test_by_way_of_a_public_address_a_host_is_no_member_of_its_groups(sent: list[Probe]) -> None:
    assert _ask("lb-1", "web-1", 8080).ingress.rule_id == "sgr-in"
    question = ReachabilityChecker(NAMES, MACHINES, build_policy(snapshot(*STACK_RULES), [BALANCER, WEB_1]))
    outwards = question.check(question.endpoint("web-1"), question.endpoint(str(ELASTIC)), TCP, 8080)
    assert outwards.ingress.reason == f"default deny: no rule allows 8080/tcp in from {NAT}"
    assert sent[-1].address == ELASTIC


def test_what_ec2_never_filters_is_judged_by_nobody(sent: list[Probe]) -> None:
    answer = _ask("web-1", "169.254.169.254", 80)
    assert (answer.egress.permitted, answer.egress.rule_id, answer.obstacle) == (True, "", "")
    assert answer.egress.reason == "EC2 does not filter its link-local services"


def test_a_host_without_a_way_out_is_told(sent: list[Probe]) -> None:
    assert _ask("db-1", "internet", 443).obstacle == "db-1 has no route to the internet: neither a public address nor a NAT gateway"


def test_a_host_that_is_off_is_told_and_nothing_is_sent(sent: list[Probe], monkeypatch: pytest.MonkeyPatch) -> None:
    _all_run_but(monkeypatch, WEB_1.instance_id)
    answer = _ask("lb-1", "web-1", 8080)
    assert (answer.passed, answer.obstacle, sent) == (False, "web-1 is not running", [])
    assert answer.as_dict()["permitted"] is True


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("web-9", "lb-1", "'web-9': this lab has no such host; give one of db-1, lb-1, web-1, 'internet', or an IPv4 address"),
        ("192.0.2.1", "lb-1", "192.0.2.1: packets can only be sent from hosts and from 'internet', which is this machine"),
    ],
)
def test_who_is_not_there_is_told_with_who_is(sent: list[Probe], source: str, target: str, said: str) -> None:
    with pytest.raises(LookupError) as caught:
        _ask(source, target, 443)
    assert str(caught.value.args[0]) == said
