"""The reachability matrix: what the firewall's table alone promises, and what real packets make of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from lab.hypervisor.probes import ICMP, TCP, UDP, Probe, ProbePoint, ProbeReply, ProbeResult, run_probes
from lab.hypervisor.router import MACHINE_LINK
from stack.firewall import FLOWS
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest

INTERNET = "internet"
VRRP = 112
PORTS = {
    TCP: (22, 25, 80, 443, 1, 3306, 3307, 8080, 8081, 8443, 9100, 9101, 9104, 9113, 9200, 33060, 65535),
    UDP: (53, 123, 443, 3306),
    VRRP: (0,),
    ICMP: (0,),
}
"""What is tried: every port that anything listens on, SSH, the exporters', neighbours of the open ones, the ends; other protocols."""

_NUMBERS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}


@dataclass(frozen=True, kw_only=True)
class PathEndpoint:
    """A host of the lab, or the internet."""

    name: str
    role: str
    zone: str
    probe_point: ProbePoint
    address: IPv4Address
    public: IPv4Address | None = None


@dataclass(frozen=True, kw_only=True, order=True)
class Pair:
    """One question."""

    source: str
    target: str
    protocol: int
    port: int


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """What became of all tries, against what the table says."""

    passed: frozenset[Pair]
    refused: frozenset[Pair]
    unexpectedly_allowed: list[Pair]
    """They passed, and nothing in the table permits it."""
    unexpectedly_blocked: list[Pair]
    """The table permits them, and they did not pass or their answer did not come back."""
    report: str


def endpoints(lab: LabUnderTest) -> list[PathEndpoint]:
    """The stack's hosts and the internet."""
    names = lab.names
    result = [
        PathEndpoint(
            name=INTERNET,
            role=INTERNET,
            zone="-",
            probe_point=ProbePoint(namespace=None, link=names.wan_link),
            address=names.wan_peer_address,
        )
    ]
    for name, row in lab.hosts().items():
        if row["role"] and row["state"] == "running":
            result.append(
                PathEndpoint(
                    name=name,
                    role=str(row["role"]),
                    zone=str(row["zone"]),
                    probe_point=ProbePoint(namespace=names.machine_netns(str(row["instance_id"])), link=MACHINE_LINK),
                    address=IPv4Address(str(row["private_ip"])),
                    public=IPv4Address(str(row["public_ip"])) if row["public_ip"] else None,
                )
            )
    return result


def allowed(source: PathEndpoint, target: PathEndpoint, protocol: int, port: int) -> bool:
    """Whether the table permits it: some flow lets it leave its source and some flow lets it arrive at its target."""
    about = [flow for flow in FLOWS if _NUMBERS[flow.protocol] == protocol and flow.port == port]
    leaves = source.role == INTERNET or any(flow.source == source.role and flow.target in (target.role, INTERNET) for flow in about)
    arrives = target.role == INTERNET or any(flow.target == target.role and flow.source in (source.role, INTERNET) for flow in about)
    reachable = source.role != INTERNET or target.public is not None  # nobody outside has a way to a private address
    return leaves and arrives and reachable


def measure(hosts: Sequence[PathEndpoint]) -> Matrix:
    """Tries every pair on every port, all at once."""
    asked: list[tuple[Pair, PathEndpoint, PathEndpoint]] = []
    tries: list[Probe] = []
    for source in hosts:
        for target in hosts:
            if source is target:
                continue
            outside = source.role == INTERNET
            for protocol, ports in PORTS.items():
                for port in ports:
                    asked.append((Pair(source=source.name, target=target.name, protocol=protocol, port=port), source, target))
                    tries.append(
                        Probe(
                            source=source.probe_point,
                            target=target.probe_point,
                            address=(target.public if outside else None) or target.address,
                            protocol=protocol,
                            port=port,
                            bypass_routing=outside and target.public is None,
                        )
                    )
    outcomes = run_probes(tries, timeout=2 * TIMEOUT_FACTOR)
    passed = {pair for (pair, _, _), outcome in zip(asked, outcomes, strict=True) if _passed(pair, outcome)}
    stirred = {
        pair for (pair, _, _), outcome in zip(asked, outcomes, strict=True) if outcome.arrived or outcome.reply is not ProbeReply.NONE
    }
    promised = {pair for pair, source, target in asked if allowed(source, target, pair.protocol, pair.port)}
    refused = {pair for pair, _, _ in asked} - stirred
    return Matrix(
        passed=frozenset(passed),
        refused=frozenset(refused),
        unexpectedly_allowed=sorted(stirred - promised),
        unexpectedly_blocked=sorted(promised - passed),
        report=_report(asked, passed, refused),
    )


def _passed(pair: Pair, outcome: ProbeResult) -> bool:
    """Arrived, and for TCP the answer came back; a datagram to an open port need not be answered."""
    return outcome.arrived and (pair.protocol != TCP or outcome.reply in (ProbeReply.CONNECTED, ProbeReply.REFUSED))


def _report(asked: Sequence[tuple[Pair, PathEndpoint, PathEndpoint]], passed: set[Pair], refused: set[Pair]) -> str:
    tried, through = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for pair, source, target in asked:
        zones = (source.zone, target.zone)
        tried[zones] += 1
        through[zones] += pair in passed
    lines = [f"tried {len(asked)} pairs: {len(passed)} passed, {len(refused)} refused"]
    lines += [
        f"  {source} -> {target}: {count} tried, {through[source, target]} passed" for (source, target), count in sorted(tried.items())
    ]
    return "\n".join(lines)
