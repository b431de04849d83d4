"""Slow paths: bandwidth and delay, as queues at the router's end of the target's link.

A link that any slow path leads to has a class for each of them (HTB, itself without a limit), which contains the delay (netem) and the
bandwidth limit (a token bucket, TBF). An nftables table of the router assigns packets to classes: it sets their priority by the link that
they came in on. All other packets pass as before. TBF first splits the large segments that hosts pass on into packets, so that a slow path
behaves as smoothly as a real one. (The kernel logs that a TBF below HTB is "non-work-conserving"; this is intended.)
"""

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from lab.hypervisor.faults.fault import Fault, FaultError, FaultInjector, InjectorContext, LabSnapshot
from lab.hypervisor.faults.packet_drops import nft_set
from lab.hypervisor.faults.paths import INTERNET, PairFault, router_links
from lab.hypervisor.run import CommandError, run
from lab.names import LabNames

TABLE = "slow_ways"
_DELETE_TABLE = f"table ip {TABLE}\ndelete table ip {TABLE}\n"

_NO_LIMIT = "100gbit"
_QUEUE_SECONDS = 0.2
"""The length of a bandwidth limit's queue in seconds of traffic; what arrives when it is full is dropped."""
_MIN_QUEUE_BYTES = 32 * 1024
"""The least queue length in bytes: with less, even the first packets of a connection would be lost."""
_BURST_SECONDS = 0.002
"""The burst size in seconds of traffic."""
_MIN_BURST_BYTES = 5 * 1024
"""The least burst size in bytes: the largest packet must fit."""
_NETEM_LIMIT = 100_000
"""The most packets that can be delayed at one time."""

_QDISC_PROBES = {"htb": (), "tbf": ("rate", "1mbit", "burst", "5k", "limit", "32k"), "netem": ("delay", "1ms")}
"""The kinds of queues in use, with options that tc accepts."""


@dataclass(frozen=True, kw_only=True)
class LinkShaping:
    """The shaping of one path."""

    bits_per_second: int | None = None
    """The most bits per second."""
    delay_ms: float = 0.0


ShapingBySource = Mapping[str, LinkShaping]
"""The source's link → the shaping of the path from there."""

ShapingPlan = Mapping[str, ShapingBySource]
"""Shapings by the target's link."""


class TrafficShaper(FaultInjector):
    """Applies bandwidth limits and delays.

    `load` loads an nftables script into the router; `control` runs tc(8) there, with these arguments and input, and returns its output;
    `lacks` returns whether the kernel lacks a kind of queue.
    """

    def __init__(self, load: Callable[[str], None], control: Callable[[Sequence[str], str], str], lacks: Callable[[str], bool]) -> None:
        self._load = load
        self._tc = control
        self._qdisc_missing = lacks
        self._loaded: str | None = None
        self._shaped: dict[str, ShapingBySource | None] | None = None
        """The shaping that is applied; None if unknown."""

    @classmethod
    def create(cls, context: InjectorContext) -> Self:
        """See `FaultInjector`."""
        return cls(context.load_rules, context.run_tc, qdisc_missing)

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        """See `FaultInjector`. Raises FaultError if the kernel lacks a kind of queue, CommandError if it rejects a command."""
        wanted = shaping_plan(faults, snapshot)
        for kind in required_qdiscs(wanted):
            if self._qdisc_missing(kind):
                raise FaultError(
                    f"{'delay' if kind == 'netem' else 'bandwidth'}: this machine's kernel has no queue of the kind {kind!r}, which this "
                    f"fault needs: load the module sch_{kind} (CONFIG_NET_SCH_{kind.upper()}). Faults that drop packets work without it"
                )
        self._shape(wanted)
        rules = classifier_script(wanted)
        if rules != self._loaded:
            self._loaded = None
            self._load(rules)
            self._loaded = rules

    def before_boot(self, instance_id: str) -> None:
        """Forgets what was applied to the machine's link, which is new."""
        if self._shaped is not None:
            self._shaped.pop(LabNames.router_link(instance_id), None)

    def _shape(self, desired: ShapingPlan) -> None:
        if self._shaped is not None and all(self._shaped.get(link) == desired.get(link) for link in self._shaped.keys() | desired.keys()):
            return
        roots = self._root_qdiscs()
        if self._shaped is None:
            self._shaped = {link: None for link, kind in roots.items() if kind == "htb"}
        for link in sorted(self._shaped.keys() | desired.keys()):
            ways = desired.get(link)
            if link not in roots:  # its host is off: applied when it boots
                self._shaped.pop(link, None)
            elif self._shaped.get(link, {}) != (ways or {}):
                was, self._shaped[link] = roots[link], None
                if was == "htb":
                    self._tc(["qdisc", "del", "dev", link, "root"], "")
                if ways:
                    self._tc(["-batch", "-"], tc_commands(link, ways))
                    self._shaped[link] = ways
                else:
                    del self._shaped[link]

    def _root_qdiscs(self) -> dict[str, str]:
        """Returns the kind of root queue of each of the router's links."""
        found = json.loads(self._tc(["-json", "qdisc", "show"], ""))
        return {entry["dev"]: entry["kind"] for entry in found if entry.get("root")}


class ShapedPathFault(PairFault, ABC):
    """A fault that slows a path. AWS cannot be one of its ends: AWS's endpoints are addresses of the router and have no link."""

    injector = TrafficShaper
    special_endpoints: ClassVar[tuple[str, ...]] = (INTERNET,)

    @abstractmethod
    def shape(self, link: LinkShaping) -> LinkShaping:
        """Returns the path's shaping after adding this fault to `link`, the shaping from other faults."""


def shaping_plan(faults: Iterable[Fault], snapshot: LabSnapshot) -> ShapingPlan:
    """Returns the shaping of each path from all faults together: the lowest bandwidth and the sum of delays."""
    found: defaultdict[str, dict[str, LinkShaping]] = defaultdict(dict)
    for fault in faults:
        if isinstance(fault, ShapedPathFault):
            for source, target in fault.directions():
                for arrive in router_links(target, snapshot):
                    for leave in router_links(source, snapshot):
                        found[arrive][leave] = fault.shape(found[arrive].get(leave, LinkShaping()))
    return {arrive: dict(sorted(ways.items())) for arrive, ways in sorted(found.items())}


def required_qdiscs(plan: ShapingPlan) -> list[str]:
    """Returns the kinds of queues that a plan needs."""
    ways = [slow for of_link in plan.values() for slow in of_link.values()]
    needed = {"htb": bool(ways), "tbf": any(slow.bits_per_second for slow in ways), "netem": any(slow.delay_ms for slow in ways)}
    return [kind for kind, is_needed in needed.items() if is_needed]


def classifier_script(plan: ShapingPlan) -> str:
    """Returns the nftables script that assigns the packets of slow paths to their classes."""
    rules = [
        f"    iifname {nft_set([leave])} oifname {nft_set([arrive])} meta priority set 1:{number:x}"
        for arrive, ways in plan.items()
        for number, leave in enumerate(ways, start=1)
    ]
    if not rules:
        return _DELETE_TABLE
    hook = "    type filter hook forward priority filter - 25; policy accept;"
    return _DELETE_TABLE + "\n".join([f"table ip {TABLE} {{", "  chain passing {", hook, *rules, "  }", "}", ""])


def tc_commands(link: str, shapings: ShapingBySource) -> str:
    """Returns the tc(8) commands that add the queues of slow paths to a link that has none. Other packets pass at once (`default 0`)."""
    lines = [f"qdisc add dev {link} root handle 1: htb default 0"]
    for number, slow in enumerate(shapings.values(), start=1):
        lines += _class_commands(link, number, slow)
    return "".join(f"{line}\n" for line in lines)


def _class_commands(link: str, number: int, slow: LinkShaping) -> Iterator[str]:
    parent = f"1:{number:x}"
    yield f"class add dev {link} parent 1: classid {parent} htb rate {_NO_LIMIT} quantum 60000"
    if slow.delay_ms:
        handle = f"{0x1000 + number:x}:"
        microseconds = round(slow.delay_ms * 1000)
        yield f"qdisc add dev {link} parent {parent} handle {handle} netem limit {_NETEM_LIMIT} delay {microseconds}us"
        parent = f"{handle}1"
    if slow.bits_per_second:
        rate = slow.bits_per_second / 8
        burst, waiting = max(_MIN_BURST_BYTES, int(rate * _BURST_SECONDS)), max(_MIN_QUEUE_BYTES, int(rate * _QUEUE_SECONDS))
        handle = f"{0x2000 + number:x}:"
        yield f"qdisc add dev {link} parent {parent} handle {handle} tbf rate {slow.bits_per_second}bit burst {burst} limit {waiting}"


def qdisc_missing(kind: str) -> bool:
    """Whether this machine's kernel lacks a kind of queue. Tries it in a temporary network namespace, which also loads its module."""
    try:
        run(["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "handle", "1:", kind, *_QDISC_PROBES[kind]], timeout=30)
    except CommandError as error:
        if "unknown" in error.output:
            return True
        raise
    return False
