"""Faults as descriptions, as text for nft and tc, and as the daemon's registry keeps them. That packets suffer them, tests/lab shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults import packet_drops, traffic_shaping
from lab.hypervisor.faults.catalog import KINDS, parse, serialize
from lab.hypervisor.faults.fault import Fault, FaultError, FaultInjector, LabSnapshot
from lab.hypervisor.faults.registry import FaultRegistry
from lab.hypervisor.faults.traffic_shaping import LinkShaping, TrafficShaper
from lab.names import LabNames

_NAMES = LabNames.of("dev")
_BALANCER = DesiredMachine(
    instance_id="i-1",
    region="eu-central-1",
    state="running",
    name="lb-1",
    role="load_balancer",
    zone="eu-central-1a",
    image_id="ami-1",
    address=IPv4Interface("10.20.0.10/24"),
    public_address=IPv4Address("198.18.0.10"),
    egress_address=IPv4Address("198.18.0.10"),
)
_WEB = replace(_BALANCER, instance_id="i-2", name="web-1", public_address=None, egress_zone="eu-central-1a", s3_endpoint=True)
_OTHER = replace(_WEB, instance_id="i-3", name="web-2", zone="eu-central-1b")
_GONE = replace(_WEB, instance_id="i-9", state="terminated")
_SCENE = LabSnapshot(names=_NAMES, machines={machine.instance_id: machine for machine in (_BALANCER, _WEB, _OTHER, _GONE)})

_NETWORK: list[tuple[dict[str, Any], str]] = [
    ({"kind": "zone", "zone": "eu-central-1a"}, "zone eu-central-1a is cut off from the rest"),
    ({"kind": "drop", "from": "web-1", "to": "lb-1"}, "every packet from web-1 to lb-1 is dropped"),
    ({"kind": "loss", "from": "web-1", "to": "aws", "percent": "2.5%"}, "2.5 % of the packets between web-1 and aws are lost"),
    (
        {"kind": "bandwidth", "from": "web-1", "to": "internet", "rate": "1Mbit", "both_ways": False},
        "no more than 1mbit a second passes from web-1 to internet",
    ),
    ({"kind": "delay", "from": "web-1", "to": "lb-1", "milliseconds": 50}, "each packet between web-1 and lb-1 is 50 ms late"),
]


def _script(*descriptions: Mapping[str, Any], snapshot: LabSnapshot = _SCENE) -> list[str]:
    """The rules of the table of faults."""
    lines = packet_drops.drop_rules_script([parse(one) for one in descriptions], snapshot).splitlines()
    return [line.strip() for line in lines if line.strip().startswith(("iifname", "oifname"))]


@pytest.mark.parametrize(("description", "words"), _NETWORK)
def test_a_description_is_said_in_words_and_kept_as_it_was(description: dict[str, Any], words: str) -> None:
    fault = parse(description)
    assert fault.summary() == words
    assert parse(json.loads(json.dumps(serialize(fault)))) == fault
    fault.check(_SCENE)
    assert fault.inactive_reasons(_SCENE) == []


def test_no_two_kinds_share_a_name() -> None:
    kinds = [kind.kind_name() for kind in KINDS]
    assert len(kinds) == len(set(kinds))
    assert {description["kind"] for description, _ in _NETWORK} <= set(kinds)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"kind": "earthquake"}, "fault {'kind': 'earthquake'}: it needs a kind, one of 'zone', 'drop', "),
        ({}, "it needs a kind"),
        (["drop"], "fault ['drop']: it needs a kind"),
        ({"kind": "drop", "from": "web-1", "to": "web-1"}, "give two different ends"),
        ({"kind": "drop", "from": "aws", "to": "internet"}, "neither end is a host of the lab"),
        ({"kind": "drop", "from": "web-1"}, "Field required"),
        ({"kind": "loss", "from": "web-1", "to": "lb-1", "percent": "101"}, "loss '101': give a percentage from 0.01 to 100"),
        ({"kind": "loss", "from": "web-1", "to": "lb-1", "percent": "0"}, "loss '0': give a percentage"),
        ({"kind": "loss", "from": "web-1", "to": "lb-1", "percent": "nan"}, "loss 'nan': give a percentage"),
        ({"kind": "loss", "from": "web-1", "to": "lb-1", "percent": "many"}, "loss 'many': give a percentage"),
        ({"kind": "bandwidth", "from": "web-1", "to": "lb-1", "rate": "fast"}, "rate 'fast': give bits per second from 8kbit to 10gbit"),
        ({"kind": "bandwidth", "from": "web-1", "to": "lb-1", "rate": "1kbit"}, "rate '1kbit': give bits"),
        ({"kind": "bandwidth", "from": "web-1", "to": "lb-1", "rate": "11gbit"}, "rate '11gbit': give bits"),
        ({"kind": "bandwidth", "from": "web-1", "to": "aws", "rate": "1mbit"}, "'aws' cannot be an end of this fault: it takes hosts and"),
        ({"kind": "delay", "from": "web-1", "to": "lb-1", "milliseconds": "-1"}, "delay '-1': give milliseconds from 0.1 to 60000"),
    ],
)
def test_what_is_no_fault_is_refused_with_the_value_the_rule_and_the_remedy(description: object, words: str) -> None:
    with pytest.raises(FaultError) as refused:
        parse(description)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"kind": "zone", "zone": "mars"}, "zone 'mars': no host of this lab is in it; give one of eu-central-1a, eu-central-1b"),
        (
            {"kind": "drop", "from": "web-9", "to": "lb-1"},
            "host 'web-9': this lab has no such host; give one of lb-1, web-1, web-2, internet",
        ),
        ({"kind": "drop", "from": "i-9", "to": "lb-1"}, "host 'i-9': this lab has no such host"),
        ({"kind": "drop", "from": "i-2", "to": "web-1"}, "both name the same host"),
    ],
)
def test_a_fault_of_what_is_not_there_is_refused_with_what_there_is(description: dict[str, Any], words: str) -> None:
    with pytest.raises(FaultError) as refused:
        parse(description).check(_SCENE)
    assert words in str(refused.value)


def test_a_zone_is_cut_at_its_hosts_links_and_at_the_gateway_that_others_leave_by() -> None:
    api, s3 = _NAMES.api_address, _NAMES.s3_address
    assert _script({"kind": "zone", "zone": "eu-central-1a"}) == [
        'iifname { "v-1", "v-2" } oifname != { "v-1", "v-2" } counter drop',
        'iifname != { "v-1", "v-2" } oifname { "v-1", "v-2" } counter drop',
        'iifname { "v-3" } oifname "wan" counter drop',
        'iifname "wan" oifname { "v-3" } counter drop',
        'iifname { "v-3" } ct direction original ct status dnat counter drop',
        f'iifname {{ "v-1", "v-2" }} ip daddr {{ {api}, {s3} }} counter drop',
        f'iifname {{ "v-3" }} ip daddr {{ {api} }} counter drop',
        f'oifname {{ "v-1", "v-2" }} ip saddr {{ {api}, {s3} }} counter drop',
        f'oifname {{ "v-3" }} ip saddr {{ {api} }} counter drop',
    ]
    assert len(_script({"kind": "zone", "zone": "eu-central-1b"})) == 4, "nobody else leaves by a gateway there"


def test_drops_and_losses_are_rules_of_their_ways() -> None:
    api, s3 = _NAMES.api_address, _NAMES.s3_address
    assert _script({"kind": "drop", "from": "web-1", "to": "internet"}) == ['iifname { "v-2" } oifname { "wan" } counter drop']
    assert _script({"kind": "loss", "from": "lb-1", "to": "i-2", "percent": 0.5}) == [
        'iifname { "v-1" } oifname { "v-2" } numgen random mod 10000 < 50 counter drop',
        'iifname { "v-2" } oifname { "v-1" } numgen random mod 10000 < 50 counter drop',
    ]
    assert _script({"kind": "drop", "from": "web-1", "to": "aws", "both_ways": True}) == [
        f'iifname {{ "v-2" }} ip daddr {{ {api}, {s3} }} counter drop',
        f'oifname {{ "v-2" }} ip saddr {{ {api}, {s3} }} counter drop',
    ]


def test_a_name_holds_for_every_instance_that_bears_it_and_an_id_for_that_one() -> None:
    successor = replace(_WEB, instance_id="i-4")
    scene = replace(_SCENE, machines={**_SCENE.machines, "i-4": successor})
    assert _script({"kind": "drop", "from": "web-1", "to": "lb-1"}, snapshot=scene) == [
        'iifname { "v-2", "v-4" } oifname { "v-1" } counter drop'
    ]
    assert _script({"kind": "drop", "from": "i-2", "to": "lb-1"}, snapshot=scene) == ['iifname { "v-2" } oifname { "v-1" } counter drop']
    replaced = replace(_SCENE, machines={"i-1": _BALANCER, "i-2": replace(_WEB, state="terminated"), "i-4": successor})
    assert _script({"kind": "drop", "from": "web-1", "to": "lb-1"}, snapshot=replaced) == [
        'iifname { "v-4" } oifname { "v-1" } counter drop'
    ]
    by_id = parse({"kind": "drop", "from": "i-2", "to": "lb-1"})
    assert by_id.inactive_reasons(replaced) == ["there is no host i-2 now"]
    assert packet_drops.drop_rules_script([by_id], replaced) == packet_drops.drop_rules_script([], replaced)


def test_slow_ways_get_the_narrowest_bandwidth_and_the_sum_of_delays() -> None:
    faults = [
        parse({"kind": "bandwidth", "from": "web-1", "to": "lb-1", "rate": "8mbit"}),
        parse({"kind": "bandwidth", "from": "web-1", "to": "lb-1", "rate": "1mbit", "both_ways": False}),
        parse({"kind": "delay", "from": "lb-1", "to": "web-1", "milliseconds": 20, "both_ways": False}),
        parse({"kind": "delay", "from": "web-1", "to": "lb-1", "milliseconds": 5}),
        parse({"kind": "bandwidth", "from": "internet", "to": "lb-1", "rate": "2.5gbit", "both_ways": False}),
    ]
    plan = traffic_shaping.shaping_plan(faults, _SCENE)
    assert plan == {
        "v-1": {"v-2": LinkShaping(bits_per_second=1_000_000, delay_ms=5), "wan": LinkShaping(bits_per_second=2_500_000_000)},
        "v-2": {"v-1": LinkShaping(bits_per_second=8_000_000, delay_ms=25)},
    }
    assert traffic_shaping.tc_commands("v-1", plan["v-1"]).splitlines() == [
        "qdisc add dev v-1 root handle 1: htb default 0",
        "class add dev v-1 parent 1: classid 1:1 htb rate 100gbit quantum 60000",
        "qdisc add dev v-1 parent 1:1 handle 1001: netem limit 100000 delay 5000us",
        "qdisc add dev v-1 parent 1001:1 handle 2001: tbf rate 1000000bit burst 5120 limit 32768",
        "class add dev v-1 parent 1: classid 1:2 htb rate 100gbit quantum 60000",
        "qdisc add dev v-1 parent 1:2 handle 2002: tbf rate 2500000000bit burst 625000 limit 62500000",
    ]
    rules = [line.strip() for line in traffic_shaping.classifier_script(plan).splitlines() if "priority set" in line]
    assert rules == [
        'iifname { "v-2" } oifname { "v-1" } meta priority set 1:1',
        'iifname { "wan" } oifname { "v-1" } meta priority set 1:2',
        'iifname { "v-1" } oifname { "v-2" } meta priority set 1:1',
    ]
    assert traffic_shaping.required_qdiscs(plan) == ["htb", "tbf", "netem"]


class _Router:
    """Links with their queues, as tc and nft would change them."""

    def __init__(self, *links: str) -> None:
        self.roots = dict.fromkeys(links, "noqueue")
        self.done: list[str] = []
        self.rules = ""

    def load(self, script: str) -> None:
        self.rules = script

    def control(self, arguments: Sequence[str], commands: str) -> str:
        if list(arguments[1:]) == ["qdisc", "show"]:
            return json.dumps([{"dev": link, "kind": kind, "root": True} for link, kind in self.roots.items()])
        link = arguments[3] if arguments[0] == "qdisc" else commands.split()[3]
        self.roots[link] = "noqueue" if arguments[0] == "qdisc" else "htb"
        self.done.append(f"{'clear' if arguments[0] == 'qdisc' else 'shape'} {link}")
        return ""


def test_queues_are_made_where_they_change_and_again_on_a_link_that_is_new() -> None:
    router = _Router("v-1", "v-2", "wan")
    router.roots["v-1"] = "htb"  # an earlier daemon's
    slow = TrafficShaper(router.load, router.control, lambda _kind: False)
    slow.apply([], _SCENE)
    assert router.done == ["clear v-1"]
    narrow = parse({"kind": "bandwidth", "from": "web-2", "to": "web-1", "rate": "1mbit"})
    slow.apply([narrow], _SCENE)
    slow.apply([narrow], _SCENE)
    assert router.done == ["clear v-1", "shape v-2"], "the other host is off: its link has no queue until it boots"
    router.roots |= {"v-3": "noqueue", "v-2": "noqueue"}
    slow.before_boot("i-2")
    slow.apply([narrow], _SCENE)
    assert router.done[2:] == ["shape v-2", "shape v-3"]
    slow.apply([], _SCENE)
    assert router.done[4:] == ["clear v-2", "clear v-3"]
    assert "priority set" not in router.rules


def test_a_delay_without_netem_is_refused_before_anything_is_touched() -> None:
    router = _Router("v-1", "v-2")
    slow = TrafficShaper(router.load, router.control, lambda kind: kind == "netem")
    with pytest.raises(FaultError, match=r"no queue of the kind 'netem', .*load the module sch_netem"):
        slow.apply([parse({"kind": "delay", "from": "web-1", "to": "lb-1", "milliseconds": 5})], _SCENE)
    assert router.done == []
    assert router.rules == ""


class _Injector(FaultInjector):
    """Writes down what it is to make real; some of it, it cannot."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.refused = ""

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        wanted = [fault.summary() for fault in faults]
        self.applied = wanted
        if self.refused in wanted:
            raise RuntimeError("no way")

    def before_boot(self, instance_id: str) -> None:
        self.applied = []


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Injector:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    _NAMES.state_dir.mkdir(parents=True)
    return _Injector()


_DROP, _BACK = {"kind": "drop", "from": "web-1", "to": "lb-1"}, {"kind": "drop", "from": "lb-1", "to": "web-1"}
_DROPPED, _BACK_DROPPED = "every packet from web-1 to lb-1 is dropped", "every packet from lb-1 to web-1 is dropped"


def _registry(*effectors: _Injector) -> FaultRegistry:
    faults = FaultRegistry(_NAMES, effectors)
    faults.sync(_SCENE.machines)
    return faults


def test_faults_are_given_and_taken_back_in_any_order(first: _Injector) -> None:
    faults = _registry(first)
    assert [faults.inject(_DROP).fault_id, faults.inject(_BACK).fault_id, faults.inject(_DROP).fault_id] == ["f1", "f2", "f3"]
    assert first.applied == [_DROPPED, _BACK_DROPPED, _DROPPED]
    faults.clear("f1")
    assert first.applied == [_BACK_DROPPED, _DROPPED]
    with pytest.raises(FaultError, match="fault 'f1': no such fault is active; active are f2, f3"):
        faults.clear("f2", "f1")
    assert [one.fault_id for one in faults.active] == ["f2", "f3"]
    assert [one.fault_id for one in faults.clear()] == ["f2", "f3"]
    assert first.applied == []


def test_a_fault_that_cannot_be_given_wholly_is_not_given_at_all(first: _Injector) -> None:
    second = _Injector()
    faults = _registry(first, second)
    faults.inject(_DROP)
    second.refused = _BACK_DROPPED
    with pytest.raises(FaultError, match=f"{_BACK_DROPPED}: it could not be injected: no way"):
        faults.inject(_BACK)
    assert (first.applied, second.applied) == ([_DROPPED], [_DROPPED])
    assert [one.fault_id for one in faults.active] == ["f1"]
    assert [one.fault_id for one in _registry(first).active] == ["f1"], "nor does the next daemon know of it"


def test_a_fault_outlives_the_daemon_and_nothing_ends_before_the_hosts_are_known(first: _Injector) -> None:
    before = _registry(first)
    before.inject(_DROP)
    before.inject(_BACK, 0.001)
    after = FaultRegistry(_NAMES, [first])
    with pytest.raises(FaultError, match="has not yet read the lab's hosts from the AWS API"):
        after.inject(_DROP)
    with pytest.raises(FaultError, match="has not yet read the lab's hosts from the AWS API"):
        after.clear("f2")
    assert first.applied == [_DROPPED, _BACK_DROPPED], "of an unknown lab nothing follows"
    assert [one.fault_id for one in after.active] == ["f1", "f2"], "what still holds is still listed"
    after.sync(_SCENE.machines)
    after.clear("f2")
    assert first.applied == [_DROPPED]
    assert after.inject(_BACK).fault_id == "f3", "an id means one fault"


def test_a_fault_is_made_real_again_for_a_host_that_boots(first: _Injector) -> None:
    faults = _registry(first)
    faults.inject(_DROP)
    faults.before_boot("i-2")
    assert first.applied == [_DROPPED]


def test_a_fault_that_no_longer_holds_is_told_and_the_rest_of_the_lab_goes_on(first: _Injector) -> None:
    faults = _registry(first)
    faults.inject(_DROP)
    first.refused = _DROPPED
    faults.sync(_SCENE.machines)
    assert faults.problem == "not all active faults are in effect: no way"
    first.refused = ""
    faults.sync(_SCENE.machines)
    assert faults.problem is None
    faults.sync({"i-1": _BALANCER})
    assert faults.as_dicts()[0]["inactive_reasons"] == ["there is no host web-1 now"]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 700_000])
def test_a_time_that_is_none_is_refused(first: _Injector, seconds: float) -> None:
    with pytest.raises(FaultError, match="give a duration of more than 0 and up to a week"):
        _registry(first).inject(_DROP, seconds)


@pytest.mark.parametrize(
    ("description", "source", "target", "ails"),
    [
        (_DROP, "i-2", "i-1", True),
        (_DROP, "i-1", "i-2", True),
        (_DROP, "i-1", "i-3", False),
        ({"kind": "drop", "from": "web-1", "to": "aws"}, "i-2", "aws", True),
        ({"kind": "drop", "from": "web-1", "to": "aws"}, "i-2", "internet", False),
        ({"kind": "zone", "zone": "eu-central-1a"}, "i-1", "i-2", False),
        ({"kind": "zone", "zone": "eu-central-1a"}, "i-1", "i-3", True),
        ({"kind": "zone", "zone": "eu-central-1a"}, "i-3", "internet", True),
        ({"kind": "zone", "zone": "eu-central-1b"}, "i-1", "internet", False),
    ],
)
def test_whoever_asks_why_a_packet_does_not_arrive_is_told_the_fault(
    first: _Injector, description: dict[str, Any], source: str, target: str, ails: bool
) -> None:
    faults = _registry(first)
    words = parse(description).summary()
    faults.inject(description)
    assert faults.on_path(source, target) == ([f"fault f1: {words}"] if ails else [])
