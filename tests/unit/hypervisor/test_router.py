"""The router's translations as text, from the machines that the API shows. That packets obey them, tests/lab shows."""

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from lab.hypervisor.desired import DesiredMachine, NatTable, overlapping
from lab.hypervisor.node_firewall import table_script
from lab.hypervisor.router import nat_rules
from lab.names import LabNames

_NAMES = LabNames.of("dev")
_PUBLIC, _GATEWAY = IPv4Address("198.18.0.10"), IPv4Address("198.18.0.11")

_BALANCER = DesiredMachine(
    instance_id="i-1",
    region="eu-central-1",
    state="running",
    name="lb-1",
    role="load_balancer",
    zone="eu-central-1a",
    image_id="ami-1",
    address=IPv4Interface("10.20.0.10/24"),
    public_address=_PUBLIC,
    egress_address=_PUBLIC,
)
_WEB = replace(
    _BALANCER, instance_id="i-2", address=IPv4Interface("10.20.1.10/24"), public_address=None, egress_address=_GATEWAY, s3_endpoint=True
)
_ISOLATED = replace(_BALANCER, instance_id="i-3", address=IPv4Interface("10.20.2.10/24"), public_address=None, egress_address=None)


def _machines(*machines: DesiredMachine) -> dict[str, DesiredMachine]:
    return {machine.instance_id: machine for machine in machines}


def test_public_hosts_are_reached_and_private_ones_leave_by_their_gateway() -> None:
    nat = NatTable.for_machines(_machines(_BALANCER, _WEB, _ISOLATED))
    assert nat.public_to_private == {_PUBLIC: IPv4Address("10.20.0.10")}
    assert nat.private_to_public == {IPv4Address("10.20.0.10"): _PUBLIC, IPv4Address("10.20.1.10"): _GATEWAY}
    assert nat.s3_endpoint == {IPv4Address("10.20.1.10")}


def test_a_host_that_is_gone_or_broken_has_no_translation() -> None:
    machines = _machines(
        replace(_BALANCER, state="terminated"), replace(_WEB, problem="its subnet is not there"), replace(_ISOLATED, address=None)
    )
    assert NatTable.for_machines(machines) == NatTable(public_to_private={}, private_to_public={}, s3_endpoint=frozenset())


@pytest.mark.parametrize("state", ["stopped", "shutting-down"])
def test_a_stopped_host_keeps_its_translation_and_so_does_one_that_ends_its_connections(state: str) -> None:
    assert NatTable.for_machines(_machines(replace(_BALANCER, state=state))).public_to_private == {_PUBLIC: IPv4Address("10.20.0.10")}


def test_the_rules_hold_each_pair_once_and_replace_the_table_at_once() -> None:
    rules = nat_rules(_NAMES, NatTable.for_machines(_machines(_BALANCER, _WEB)))
    assert rules.startswith("table ip translation\ndelete table ip translation\ntable ip translation {")
    assert "elements = { 198.18.0.10 : 10.20.0.10 }" in rules
    assert "elements = { 10.20.0.10 : 198.18.0.10, 10.20.1.10 : 198.18.0.11 }" in rules
    assert "elements = { 10.20.0.10, 10.20.1.10 }" in rules
    assert "ct status dnat snat to ip saddr map @private_to_public" in rules, "through a public address, a host is its public self"
    assert 'iifname "wan" ct direction original ct status & dnat == 0 counter drop' in rules, "from outside only to public addresses"
    assert "ip daddr 198.19.0.16 ip saddr != @has_way_out counter drop" in rules


def test_without_machines_there_are_no_empty_element_lists() -> None:
    assert "elements" not in nat_rules(_NAMES, NatTable.for_machines({})), "nft refuses `elements = { }`"


def test_the_same_machines_give_the_same_text_whatever_their_order() -> None:
    first = nat_rules(_NAMES, NatTable.for_machines(_machines(_BALANCER, _WEB, _ISOLATED)))
    assert first == nat_rules(_NAMES, NatTable.for_machines(_machines(_ISOLATED, _WEB, _BALANCER)))


def test_a_subnet_inside_the_machines_own_network_is_found() -> None:
    local = [IPv4Network("192.168.0.0/24"), IPv4Network("10.20.0.0/16")]
    assert overlapping(IPv4Interface("10.20.1.10/24"), local) == IPv4Network("10.20.0.0/16")
    assert overlapping(IPv4Interface("10.30.1.10/24"), local) is None


def test_a_host_has_ec2s_name_and_its_subnets_first_address_as_gateway() -> None:
    assert _WEB.hostname == "ip-10-20-1-10"
    assert _WEB.gateway == IPv4Address("10.20.1.1")


def test_this_machine_is_closed_to_what_a_labs_hosts_begin() -> None:
    script = table_script(_NAMES)
    assert script.startswith(f"table inet {_NAMES.prefix}\ndelete table inet {_NAMES.prefix}\n"), "what an earlier run left is replaced"
    for hook in ("input", "forward"):
        chain = script.split(f"hook {hook} ")[1].split("}")[0]
        assert [line.split('"')[2].strip() for line in chain.splitlines()[1:] if "@permitted" not in line and '"' in line] == [
            "ct state established,related accept",
            "meta l4proto tcp counter reject with tcp reset",
            "counter reject",
        ]
    assert set(re.findall(r'iifname "([^"]+)"', script)) == {_NAMES.wan_link}, "no other link of this machine is touched"
