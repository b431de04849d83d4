"""Which connections end when an address moves."""

from ipaddress import IPv4Address

import pytest

from lab.hypervisor.conntrack import AddressChange, AddressOwners, Flow

CLIENT, ELASTIC, NAT = IPv4Address("203.0.113.9"), IPv4Address("198.18.0.1"), IPv4Address("198.18.0.2")
LB_1, LB_2, WEB = IPv4Address("10.0.0.10"), IPv4Address("10.0.1.10"), IPv4Address("10.0.4.4")

VISIT = Flow(source=CLIENT, destination=ELASTIC, reply_source=LB_1, reply_destination=CLIENT)
CALL = Flow(source=WEB, destination=CLIENT, reply_source=CLIENT, reply_destination=NAT)
INSIDE = Flow(source=LB_1, destination=WEB, reply_source=WEB, reply_destination=LB_1)

BEFORE = AddressOwners(instances={LB_1: "i-1", LB_2: "i-2", WEB: "i-3", ELASTIC: "i-1"}, egress={WEB: NAT, LB_1: ELASTIC})


@pytest.mark.parametrize(
    ("after", "ended"),
    [
        (BEFORE, []),
        (AddressOwners(instances={**BEFORE.instances, ELASTIC: "i-2"}, egress={WEB: NAT, LB_2: ELASTIC}), [VISIT]),
        (AddressOwners(instances={LB_1: "i-1", LB_2: "i-2", WEB: "i-3"}, egress={WEB: NAT}), [VISIT]),
        (AddressOwners(instances={**BEFORE.instances, WEB: "i-9"}, egress=BEFORE.egress), [CALL, INSIDE]),
        (AddressOwners(instances=BEFORE.instances, egress={LB_1: ELASTIC}), [CALL]),
        (AddressOwners(instances={**BEFORE.instances, IPv4Address("10.0.4.5"): "i-7"}, egress=BEFORE.egress), []),
    ],
    ids=["nothing moved", "to another host", "given back", "a new host has the address", "the way out is gone", "a host more"],
)
def test_connections_end_with_the_address_that_they_go_by(after: AddressOwners, ended: list[Flow]) -> None:
    moved = AddressChange.between(BEFORE, after)
    assert [flow for flow in (VISIT, CALL, INSIDE) if moved.affects(flow)] == ended
    assert bool(moved) is bool(ended)
