"""What a lab's name becomes. Decides that labs cannot take each other's things; whether the kernel takes the names, tests/lab shows."""

import itertools
import re
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.hypervisor import probes
from lab.names import LabNameError, LabNames, mac_address

_names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,7}", fullmatch=True)


@pytest.mark.parametrize("name", ["", "Dev", "a_b", "-a", "ninechars", "a.b", "a b", "ü"])
def test_a_name_that_a_link_cannot_carry_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(LabNameError, match="1 to 8 lowercase letters"):
        LabNames.of(name)


def test_the_newcomers_lab_and_the_tests_lab_share_nothing() -> None:
    dev, test = LabNames.of("dev"), LabNames.of("test")
    assert (dev.slot, test.slot) == (0, 1)
    assert not dev.public_network.overlaps(test.public_network)
    assert not dev.wan_network.overlaps(test.wan_network)
    assert dev.api_port != test.api_port
    assert dev.moto_socket != test.moto_socket
    assert dev.state_dir != test.state_dir


def test_the_newcomers_lab_has_these_names() -> None:
    names = LabNames.of("dev")
    assert names.prefix == "wsl-dev"
    assert names.router_netns == "wsl-dev.router"
    assert str(names.public_network) == "198.18.0.0/24"
    assert str(names.wan_peer_address) == "198.19.0.1"
    assert str(names.state_dir) == "/var/lib/webstack/labs/dev"
    assert names.api_endpoint == "http://127.0.0.1:14600"


@given(name=_names)
def test_no_lab_listens_where_packets_that_are_tried_start(name: str) -> None:
    names = LabNames.of(name)
    assert names.api_port not in range(probes.MIN_SOURCE_PORT, probes.MAX_SOURCE_PORT)


@given(name=_names)
def test_links_fit_into_fifteen_characters(name: str) -> None:
    names = LabNames.of(name)
    assert len(names.wan_link) <= 15
    assert len(names.router_link("i-0123456789abcdef0")) <= 15


@given(first=_names, second=_names)
def test_no_labs_namespaces_begin_with_another_labs_prefix(first: str, second: str) -> None:
    ours, theirs = LabNames.of(first), LabNames.of(second)
    for name in (theirs.router_netns, theirs.machine_netns("i-0123456789abcdef0")):
        assert name.startswith(f"{ours.prefix}.") == (first == second)


@given(name=_names)
def test_every_address_lies_in_the_block_for_tests_between_networks(name: str) -> None:
    names = LabNames.of(name)
    for address in (names.wan_peer_address, names.router_address, names.api_address, names.s3_address, names.public_network[1]):
        assert IPv4Address("198.18.0.0") <= address <= IPv4Address("198.19.255.255")
    assert len({names.wan_peer_address, names.router_address, names.api_address, names.s3_address}) == 4


@given(name=_names)
def test_the_bare_servers_socket_has_a_path_that_the_kernel_takes(name: str) -> None:
    names = LabNames.of(name)
    assert 14600 <= names.api_port < 14900
    assert len(str(names.moto_socket)) < 108 - len("..1234567")


def test_hardware_addresses_are_local_unicast_and_differ_with_the_address() -> None:
    addresses = [IPv4Address("10.20.2.11"), IPv4Address("10.20.2.12"), IPv4Address("10.20.3.11")]
    macs = [mac_address(address) for address in addresses]
    assert macs[0] == "02:00:0a:14:02:0b"
    assert all(first != second for first, second in itertools.combinations(macs, 2))
    assert all(re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", mac) for mac in macs)
