"""The policy as nftables' text: literal lines, small differences, and nft's own word that one leads to the other."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace

import pytest

from lab.hypervisor.firewall.enforcer import Enforcer
from lab.hypervisor.firewall.model import GroupRule, NetworkInterface
from lab.hypervisor.firewall.policy import build_policy
from lab.hypervisor.firewall.ruleset import Ruleset, build_ruleset
from lab.hypervisor.run import CommandError
from tests.unit.hypervisor.security_groups import BALANCER, LB, ROUTER, STACK_RULES, WEB, WEB_1, WEB_2, rule, snapshot

TRACKED_IN, TRACKED_OUT = "ct mark set ct mark | 0x2 accept", "ct mark set ct mark | 0x1 accept"


def rules(*given: GroupRule, interfaces: Iterable[NetworkInterface] = (BALANCER, WEB_1, WEB_2), **lists: tuple[str, ...]) -> Ruleset:
    return build_ruleset(build_policy(snapshot(*given, **lists), interfaces), ROUTER)


def test_a_peer_group_is_a_set_and_each_interface_leads_to_its_groups_chain() -> None:
    made = rules(*STACK_RULES)
    assert made.sets == {LB: ("10.0.0.10",), WEB: ("10.0.4.4", "10.0.4.5")}
    assert made.chains == {
        f"in-{LB}": (f'tcp dport 443 {TRACKED_IN} comment "sgr-site"',),
        f"out-{LB}": (f'ip daddr @{WEB} tcp dport 8080 {TRACKED_OUT} comment "sgr-out"',),
        f"in-{WEB}": (f'ip saddr @{LB} tcp dport 8080 {TRACKED_IN} comment "sgr-in"',),
        f"out-{WEB}": (),
    }
    assert made.egress_chains == {"v-1": f"out-{LB}", "v-2": f"out-{WEB}", "v-3": f"out-{WEB}"}
    assert made.ingress_chains == {"v-1": f"in-{LB}", "v-2": f"in-{WEB}", "v-3": f"in-{WEB}"}


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (rule("sgr-1", WEB, "tcp", 1000, 2000), f'tcp dport 1000-2000 {TRACKED_IN} comment "sgr-1"'),
        (rule("sgr-1", WEB, "tcp", 0, 65535), f'meta l4proto 6 {TRACKED_IN} comment "sgr-1"'),
        (rule("sgr-1", WEB, "udp", 53, cidr_ipv4="10.0.0.0/8"), f'ip saddr 10.0.0.0/8 udp dport 53 {TRACKED_IN} comment "sgr-1"'),
        (rule("sgr-1", WEB, "icmp", 8, 0), f'icmp type 8 icmp code 0 {TRACKED_IN} comment "sgr-1"'),
        (rule("sgr-1", WEB, "icmp", 8, -1), f'icmp type 8 {TRACKED_IN} comment "sgr-1"'),
        (rule("sgr-1", WEB, "icmp"), f'meta l4proto 1 {TRACKED_IN} comment "sgr-1"'),
        (rule("sgr-1", WEB, "112", peer_group_id=WEB), f'ip saddr @{WEB} meta l4proto 112 {TRACKED_IN} comment "sgr-1"'),
        (rule("sgr-1", WEB, "-1"), f'{TRACKED_IN} comment "sgr-1"'),
        (rule("sgr-1", WEB, "tcp", 443, prefix_list_id="pl-1"), f'ip saddr @pl-1 tcp dport 443 {TRACKED_IN} comment "sgr-1"'),
    ],
)
def test_each_kind_of_rule_is_one_line(one: GroupRule, line: str) -> None:
    assert rules(one, pl_1=("198.51.100.0/24",)).chains[f"in-{WEB}"] == (line,)


def test_flows_that_aws_does_not_track_are_not_marked() -> None:
    made = rules(rule("sgr-1", WEB, "tcp", 80), rule("sgr-2", WEB, "-1"), rule("sgr-3", WEB, "-1", egress=True))
    assert made.chains[f"in-{WEB}"] == (
        'tcp dport 80 accept comment "sgr-1"',
        'meta l4proto 6 accept comment "sgr-2"',
        'meta l4proto 17 accept comment "sgr-2"',
        f'{TRACKED_IN} comment "sgr-2"',
    )


def test_interfaces_in_the_same_groups_share_a_chain_whatever_the_order() -> None:
    both = [replace(WEB_1, group_ids=(WEB, LB)), replace(WEB_2, group_ids=(LB, WEB))]
    made = rules(*STACK_RULES, interfaces=both)
    (chain,) = set(made.ingress_chains.values())
    assert sorted(made.chains[chain]) == [
        f'ip saddr @{LB} tcp dport 8080 {TRACKED_IN} comment "sgr-in"',
        f'tcp dport 443 {TRACKED_IN} comment "sgr-site"',
    ]


def test_a_host_more_is_an_element_more_and_no_rule() -> None:
    before, after = rules(*STACK_RULES, interfaces=[BALANCER, WEB_1]), rules(*STACK_RULES)
    assert before.diff_script(after) == (
        f"add element ip firewall {WEB} {{ 10.0.4.5 }}\n"
        f'add element ip firewall leaving {{ "v-3" : jump out-{WEB} }}\n'
        f'add element ip firewall arriving {{ "v-3" : jump in-{WEB} }}\n'
    )


def test_a_rule_more_rewrites_its_groups_chain_alone() -> None:
    added = rule("sgr-zzz", WEB, "tcp", 22, peer_group_id=LB)
    assert rules(*STACK_RULES).diff_script(rules(*STACK_RULES, added)) == (
        f"add chain ip firewall in-{WEB}\n"
        f"flush chain ip firewall in-{WEB}\n"
        f'add rule ip firewall in-{WEB} ip saddr @{LB} tcp dport 8080 {TRACKED_IN} comment "sgr-in"\n'
        f'add rule ip firewall in-{WEB} ip saddr @{LB} tcp dport 22 {TRACKED_IN} comment "sgr-zzz"\n'
    )


def test_nothing_changed_is_no_script() -> None:
    assert rules(*STACK_RULES).diff_script(rules(*reversed(STACK_RULES), interfaces=[WEB_2, WEB_1, BALANCER])) == ""


def test_what_leaves_the_internet_and_local_services_is_judged_by_no_group() -> None:
    text = rules(*STACK_RULES).full_script()
    assert text.startswith("table ip firewall\ndelete table ip firewall\ntable ip firewall {\n")
    assert 'iifname { "wan", "lo" } accept' in text
    assert "ip daddr != { 198.19.0.16, 198.19.0.17 } fib daddr type local ct mark set ct mark | 0x1 accept" in text
    assert text.count("policy drop;") == 2


STATES = (
    rules(interfaces=[]),
    rules(*STACK_RULES),
    rules(*STACK_RULES, interfaces=[BALANCER, WEB_1]),
    rules(*STACK_RULES, interfaces=[BALANCER, replace(WEB_1, group_ids=(WEB, LB)), WEB_2]),
    rules(rule("sgr-1", WEB, "-1"), rule("sgr-2", WEB, "-1", egress=True), rule("sgr-3", LB, "icmp", 8, 0)),
    rules(rule("sgr-1", WEB, "tcp", 443, egress=True, prefix_list_id="pl-1"), pl_1=("10.0.0.0/25", "192.0.2.0/24")),
    rules(rule("sgr-1", WEB, "tcp", 443, egress=True, prefix_list_id="pl-1"), pl_1=("10.0.0.0/24",)),
    rules(rule("sgr-1", WEB, "tcp", 443, egress=True, prefix_list_id="pl-1"), pl_1=()),
)


@pytest.mark.programs
def test_nft_takes_every_state_and_every_difference_leads_to_the_next() -> None:
    """Each pair, in a network namespace of the test's own: loading one and then the difference is loading the other."""
    fresh = [nft(state.full_script()) for state in STATES]
    for before in STATES:
        for after, expected in zip(STATES, fresh, strict=True):
            assert nft(before.full_script(), before.diff_script(after)) == expected, before.diff_script(after)


@pytest.mark.programs
def test_nft_refuses_what_is_no_ruleset() -> None:
    with pytest.raises(AssertionError, match="syntax error"):
        nft("table ip firewall { chain x { tcp dport eighty accept } ")


def nft(*scripts: str) -> str:
    """The table after these scripts, as nft lists it; rules and elements in its own order."""
    if shutil.which("nft") is None or shutil.which("unshare") is None:
        pytest.skip("needs nft and unshare: apt-get install nftables util-linux")
    enter = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    steps = " && ".join(
        [f"printf '%s' \"${index}\" | nft -f -" for index in range(1, len(scripts) + 1)] + ["nft -s list table ip firewall"]
    )
    done = subprocess.run([*enter, "sh", "-c", steps, "sh", *scripts], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return "\n".join(sorted(done.stdout.splitlines()))


class Router:
    """Takes scripts; refuses the next one if told to."""

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.refuses = False

    def load(self, script: str) -> None:
        self.scripts.append(script)
        if self.refuses:
            self.refuses = False
            raise CommandError(["nft"], "ended with status 1", "no such table")


def test_the_table_is_loaded_once_and_then_only_changed() -> None:
    router = Router()
    enforcer = Enforcer(ROUTER, router.load)
    enforcer.enforce(snapshot(*STACK_RULES), [BALANCER, WEB_1])
    enforcer.enforce(snapshot(*STACK_RULES), [BALANCER, WEB_1])
    enforcer.enforce(snapshot(*STACK_RULES), [BALANCER, WEB_1, WEB_2])
    first, second = router.scripts
    assert first.startswith("table ip firewall\n")
    assert second.startswith("add element")


def test_a_table_that_somebody_changed_by_hand_is_loaded_anew() -> None:
    router = Router()
    enforcer = Enforcer(ROUTER, router.load)
    enforcer.enforce(snapshot(*STACK_RULES), [BALANCER, WEB_1])
    router.refuses = True
    enforcer.enforce(snapshot(*STACK_RULES), [BALANCER, WEB_1, WEB_2])
    assert router.scripts[-1] == rules(*STACK_RULES).full_script()


def test_a_refused_table_is_tried_again_and_not_taken_for_loaded() -> None:
    router = Router()
    router.refuses = True
    enforcer = Enforcer(ROUTER, router.load)
    with pytest.raises(CommandError):
        enforcer.enforce(snapshot(*STACK_RULES), [BALANCER])
    assert enforcer.policy.interfaces == ()
    enforcer.enforce(snapshot(*STACK_RULES), [BALANCER])
    assert len(router.scripts) == 2
    assert router.scripts[0] == router.scripts[1]
