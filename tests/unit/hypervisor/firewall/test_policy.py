"""What security groups permit, made of the API's facts alone: the rules that make sense, and what is said of those that do not."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from lab.hypervisor.firewall.model import GroupRule
from lab.hypervisor.firewall.policy import ICMP, TCP, UDP, AllowRule, build_policy, untracked_protocols
from lab.hypervisor.firewall.verdict import Packet, evaluate
from tests.unit.hypervisor.security_groups import BALANCER, LB, STACK_RULES, WEB, WEB_1, WEB_2, rule, snapshot

EVERYONE = (BALANCER, WEB_1, WEB_2)


def _only(one: GroupRule, **prefix_lists: tuple[str, ...]) -> AllowRule:
    made = build_policy(snapshot(one, **prefix_lists), EVERYONE)
    assert made.problems == ()
    ((permission,),) = made.rules.values()
    return permission


def test_a_rule_becomes_a_permission_with_its_peer_and_its_ports() -> None:
    assert _only(rule("sgr-1", WEB, "tcp", 8080, 8089, cidr_ipv4="10.0.0.0/8", description="why")) == AllowRule(
        rule_id="sgr-1", group_id=WEB, egress=False, protocol=TCP, ports=(8080, 8089), network=IPv4Network("10.0.0.0/8"), description="why"
    )


@pytest.mark.parametrize(("first", "last"), [(-1, -1), (0, 65535)])
def test_all_ports_are_no_condition(first: int, last: int) -> None:
    assert _only(rule("sgr-1", WEB, "udp", first, last)).ports is None


@pytest.mark.parametrize(
    ("protocol", "number"), [("-1", None), ("tcp", 6), ("6", 6), ("udp", 17), ("icmp", 1), ("1", 1), ("112", 112), ("50", 50)]
)
def test_protocols_are_known_by_name_and_number(protocol: str, number: int | None) -> None:
    assert _only(rule("sgr-1", WEB, protocol)).protocol == number


def test_an_icmp_rule_has_a_type_and_perhaps_a_code() -> None:
    echo = _only(rule("sgr-1", WEB, "icmp", 8, -1))
    assert (echo.icmp_type, echo.icmp_code, echo.ports) == (8, None, None)
    assert _only(rule("sgr-1", WEB, "icmp", 3, 4)).icmp_code == 4
    assert _only(rule("sgr-1", WEB, "icmp", -1, -1)).icmp_type is None


def test_ports_of_other_protocols_say_nothing() -> None:
    assert _only(rule("sgr-1", WEB, "112", 5, 6)).matches(112, None)


def test_a_networks_host_bits_are_dropped_as_ec2_drops_them() -> None:
    assert _only(rule("sgr-1", WEB, "tcp", 1, cidr_ipv4="10.0.0.7/8")).network == IPv4Network("10.0.0.0/8")


@pytest.mark.parametrize("one", [rule("sgr-1", WEB, "tcp", 1, cidr_ipv6="::/0"), rule("sgr-1", WEB, "icmpv6"), rule("sgr-1", WEB, "58")])
def test_what_is_about_ipv6_alone_permits_nothing_and_is_no_problem(one: GroupRule) -> None:
    made = build_policy(snapshot(one), EVERYONE)
    assert (dict(made.rules), made.problems) == ({}, ())


def test_a_peer_groups_members_are_the_addresses_of_its_interfaces() -> None:
    made = build_policy(snapshot(*STACK_RULES), EVERYONE)
    assert made.members == {LB: {BALANCER.address}, WEB: {WEB_1.address, WEB_2.address}}


def test_a_prefix_lists_networks_are_joined_and_ipv6_left_out() -> None:
    made = build_policy(
        snapshot(rule("sgr-1", WEB, "tcp", 1, prefix_list_id="pl-1"), pl_1=("10.0.0.0/25", "10.0.0.128/25", "2001:db8::/32")), EVERYONE
    )
    assert made.prefix_lists == {"pl-1": (IPv4Network("10.0.0.0/24"),)}


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        (rule("sgr-1", WEB, "tcp", 1, peer_group_id="sg-9"), "the security group sg-9 that it names does not exist"),
        (rule("sgr-1", WEB, "tcp", 1, prefix_list_id="pl-9"), "the prefix list pl-9 that it names does not exist"),
        (rule("sgr-1", WEB, "tcp", 1, prefix_list_id="pl-1"), "the prefix list pl-1 that it names has an entry that is not a network"),
        (rule("sgr-1", WEB, "tcp", 90, 80), "90 to 80 is not a range of ports"),
        (rule("sgr-1", WEB, "tcp", 1, 70000), "1 to 70000 is not a range of ports"),
        (rule("sgr-1", WEB, "icmp", 300), "300 is not a valid ICMP type"),
        (
            rule("sgr-1", WEB, "carrier-pigeon"),
            "'carrier-pigeon' is not a protocol: give tcp, udp, icmp, icmpv6, a number from 0 to 255, or -1 for all",
        ),
        (rule("sgr-1", WEB, "256"), "'256' is not a protocol: give tcp, udp, icmp, icmpv6, a number from 0 to 255, or -1 for all"),
        (rule("sgr-1", WEB, "tcp", 1, cidr_ipv4="10.0.0.0/33"), "'10.0.0.0/33' is not an IPv4 network"),
        (rule("sgr-1", WEB, "tcp", 1, cidr_ipv4="10.0.0.0/8", peer_group_id=LB), "it names 2 peers, but a rule must have exactly one"),
    ],
)
def test_a_rule_that_makes_no_sense_is_reported_and_the_others_hold(one: GroupRule, fault: str) -> None:
    made = build_policy(snapshot(one, *STACK_RULES, pl_1=("10.0.0.0/99",)), EVERYONE)
    assert [problem.text for problem in made.problems] == [f"rule sgr-1 of security group {WEB} (webs) permits nothing: {fault}"]
    assert made.problems_of([WEB]) == [made.problems[0].text]
    assert made.problems_of([LB]) == []
    assert sorted(permission.rule_id for found in made.rules.values() for permission in found) == ["sgr-in", "sgr-out", "sgr-site"]


def test_a_host_in_a_group_that_is_gone_keeps_its_others() -> None:
    made = build_policy(snapshot(*STACK_RULES), [replace(WEB_1, group_ids=(WEB, "sg-9"))])
    assert made.problems_of((WEB, "sg-9")) == ["its security group sg-9 does not exist"]
    assert [permission.rule_id for permission in made.rules_for((WEB, "sg-9"), egress=False)] == ["sgr-in"]


def test_only_what_is_open_to_everyone_and_answered_by_rules_is_untracked() -> None:
    """The table of AWS's page on connection tracking: SSH from one network, HTTP from all, ICMP from all; everything out."""
    everything_out = _only(rule("sgr-o", WEB, "-1", egress=True))
    ssh, http = _only(rule("sgr-1", WEB, "tcp", 22, cidr_ipv4="203.0.113.0/24")), _only(rule("sgr-2", WEB, "tcp", 80))
    assert untracked_protocols(ssh, [everything_out]) == frozenset()
    assert untracked_protocols(http, [everything_out]) == {TCP}
    assert untracked_protocols(_only(rule("sgr-3", WEB, "icmp")), [everything_out]) == frozenset()
    assert untracked_protocols(_only(rule("sgr-4", WEB, "-1")), [everything_out]) == {TCP, UDP}
    assert untracked_protocols(http, [_only(rule("sgr-o", WEB, "udp", egress=True))]) == frozenset()
    assert untracked_protocols(http, [_only(rule("sgr-o", WEB, "tcp", 1, 65535, egress=True))]) == frozenset(), "all ports begin at 0"
    assert untracked_protocols(http, [_only(rule("sgr-o", WEB, "tcp", cidr_ipv4="10.0.0.0/8", egress=True))]) == frozenset()


def test_the_judge_names_the_rule_that_lets_a_packet_through() -> None:
    made = build_policy(snapshot(*STACK_RULES), EVERYONE)
    verdict = evaluate(made, BALANCER, Packet(protocol=TCP, port=8080), egress=True, peer=WEB_2.address)
    assert (verdict.permitted, verdict.rule_id, verdict.group_id, verdict.group) == (True, "sgr-out", LB, "balancers")
    assert evaluate(made, WEB_2, Packet(protocol=TCP, port=8080), egress=False, peer=BALANCER.address).rule_id == "sgr-in"


@pytest.mark.parametrize(
    ("packet", "peer", "said"),
    [
        (Packet(protocol=TCP, port=8081), BALANCER.address, "8081/tcp in from 10.0.0.10"),
        (Packet(protocol=TCP, port=8080), WEB_2.address, "8080/tcp in from 10.0.4.5"),
        (Packet(protocol=UDP, port=8080), BALANCER.address, "8080/udp in from 10.0.0.10"),
        (Packet(protocol=ICMP, port=8), IPv4Address("192.0.2.1"), "icmp type 8 in from 192.0.2.1"),
        (Packet(protocol=112), BALANCER.address, "protocol 112 in from 10.0.0.10"),
    ],
)
def test_the_judge_names_the_groups_whose_default_stops_a_packet(packet: Packet, peer: IPv4Address, said: str) -> None:
    verdict = evaluate(build_policy(snapshot(*STACK_RULES), EVERYONE), WEB_1, packet, egress=False, peer=peer)
    assert (verdict.permitted, verdict.rule_id, verdict.group_id) == (False, "", WEB)
    assert verdict.reason == f"default deny: no rule allows {said}"
