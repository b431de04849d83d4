"""Which connections end when an address moves."""

from ipaddress import IPv4Address

import pytest

from lab.hypervisor.conntrack import Flow, Holders, Moved

CLIENT, ELASTIC, NAT = IPv4Address("203.0.113.9"), IPv4Address("198.18.0.1"), IPv4Address("198.18.0.2")
LB_1, LB_2, WEB = IPv4Address("10.0.0.10"), IPv4Address("10.0.1.10"), IPv4Address("10.0.4.4")

VISIT = Flow(source=CLIENT, destination=ELASTIC, answered_by=LB_1, answered_to=CLIENT)
CALL = Flow(source=WEB, destination=CLIENT, answered_by=CLIENT, answered_to=NAT)
INSIDE = Flow(source=LB_1, destination=WEB, answered_by=WEB, answered_to=LB_1)

BEFORE = Holders(instances={LB_1: "i-1", LB_2: "i-2", WEB: "i-3", ELASTIC: "i-1"}, exits={WEB: NAT, LB_1: ELASTIC})


@pytest.mark.parametrize(
    ("after", "ended"),
    [
        (BEFORE, []),
        (Holders(instances={**BEFORE.instances, ELASTIC: "i-2"}, exits={WEB: NAT, LB_2: ELASTIC}), [VISIT]),
        (Holders(instances={LB_1: "i-1", LB_2: "i-2", WEB: "i-3"}, exits={WEB: NAT}), [VISIT]),
        (Holders(instances={**BEFORE.instances, WEB: "i-9"}, exits=BEFORE.exits), [CALL, INSIDE]),
        (Holders(instances=BEFORE.instances, exits={LB_1: ELASTIC}), [CALL]),
        (Holders(instances={**BEFORE.instances, IPv4Address("10.0.4.5"): "i-7"}, exits=BEFORE.exits), []),
    ],
    ids=["nothing moved", "to another host", "given back", "a new host has the address", "the way out is gone", "a host more"],
)
def test_connections_end_with_the_address_that_they_go_by(after: Holders, ended: list[Flow]) -> None:
    moved = Moved.between(BEFORE, after)
    assert [flow for flow in (VISIT, CALL, INSIDE) if moved.ends(flow)] == ended
    assert bool(moved) is bool(ended)
