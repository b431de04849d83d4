"""What `webstack lab reach` is asked and how it answers."""

import pytest

from ops.errors import UserError
from ops.reachability import PacketSpec, format_report


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("443", PacketSpec(protocol=6, port=443)),
        ("443/tcp", PacketSpec(protocol=6, port=443)),
        ("53/udp", PacketSpec(protocol=17, port=53)),
        ("icmp", PacketSpec(protocol=1)),
        ("112/proto", PacketSpec(protocol=112)),
    ],
)
def test_a_port_a_protocol_or_both(text: str, wanted: PacketSpec) -> None:
    assert PacketSpec.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "0/udp", "256/proto", "53/sctp", "-1", "443/"])
def test_what_is_no_port_is_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(UserError, match=r"give a port from 1 to 65535 \(443, 443/tcp, 53/udp\), `icmp`, or a protocol"):
        PacketSpec.parse(text)


ANSWER = {
    "from": {"name": "web-1", "address": "10.0.4.4"},
    "to": {"name": "internet", "address": "198.19.0.1"},
    "packet": "25/tcp",
    "passed": False,
    "answer": "no answer",
    "permitted": False,
    "out": {"rule_id": "", "group_id": "sg-1", "group": "webs", "reason": "default deny: no rule allows 25/tcp out to 198.19.0.1"},
    "in": {"rule_id": "", "group_id": "", "group": "", "reason": "the internet's side has no security group"},
    "blocked_by": "",
}


def test_the_answer_says_what_became_of_the_packet_and_who_decided() -> None:
    assert list(format_report(ANSWER)) == [
        "web-1 (10.0.4.4) -> internet, 25/tcp: does not pass",
        "  out: sg-1 (webs): default deny: no rule allows 25/tcp out to 198.19.0.1",
        "  in:  the internet's side has no security group",
    ]


def test_a_packet_that_does_not_do_as_the_rules_say_is_told() -> None:
    out = {"rule_id": "sgr-1", "group_id": "sg-1", "group": "webs", "reason": "mail"}
    said = list(format_report({**ANSWER, "permitted": True, "out": out}))
    assert said[1] == "  out: sgr-1 of sg-1 (webs): mail"
    assert said[3].startswith("  the packet and the rules do not agree")
    assert (
        list(format_report({**ANSWER, "permitted": True, "out": out, "blocked_by": "web-1 has no way out"}))[3]
        == "  in the way: web-1 has no way out"
    )
