"""Checks whether a packet can pass, by sending one and by evaluating the rules that the router enforces."""

from dataclasses import asdict, dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING

from lab.hypervisor import namespaces
from lab.hypervisor.faults.paths import AWS, INTERNET
from lab.hypervisor.firewall.policy import ICMP
from lab.hypervisor.firewall.verdict import Packet, Verdict, evaluate, unfiltered
from lab.hypervisor.probes import Probe, ProbePoint, ProbeReply, run_probes
from lab.hypervisor.router import MACHINE_LINK
from lab.names import METADATA_ADDRESS, RESOLVER_ADDRESS, LabNames

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.hypervisor.desired import DesiredMachine
    from lab.hypervisor.firewall.model import NetworkInterface
    from lab.hypervisor.firewall.policy import FirewallPolicy

_ECHO_REQUEST = 8
_UNFILTERED = (METADATA_ADDRESS, RESOLVER_ADDRESS)


@dataclass(frozen=True, kw_only=True)
class PathEndpoint:
    """One end of the packet's path: a host, or an address that belongs to no host."""

    name: str
    address: IPv4Address
    """The address; for a host its private one."""
    machine: "DesiredMachine | None" = None
    via_public_address: bool = False
    """Whether the request named the host by its public address."""


@dataclass(frozen=True, kw_only=True)
class ReachabilityReport:
    """The result of the check."""

    source: PathEndpoint
    target: PathEndpoint
    packet: Packet
    passed: bool
    """Whether the packet arrived."""
    reply: ProbeReply
    seconds: float | None
    egress: Verdict
    """The verdict of the sender's security groups."""
    ingress: Verdict
    """The verdict of the target's security groups."""
    obstacle: str
    """What else blocks the packet; empty if nothing."""

    def as_dict(self) -> dict[str, object]:
        """Returns the report for JSON."""
        return {
            "from": {"name": self.source.name, "address": str(self.source.address)},
            "to": {"name": self.target.name, "address": str(self.target.address)},
            "packet": str(self.packet),
            "passed": self.passed,
            "answer": self.reply.value,
            "seconds": self.seconds,
            "permitted": self.egress.permitted and self.ingress.permitted,
            "out": asdict(self.egress),
            "in": asdict(self.ingress),
            "blocked_by": self.obstacle,
        }


class ReachabilityChecker:
    """Checks reachability in one lab, with its current machines and firewall policy."""

    def __init__(
        self,
        names: LabNames,
        machines: "list[DesiredMachine]",
        policy: "FirewallPolicy",
        faults_on_path: "Callable[[str, str], list[str]]" = lambda _source, _target: [],
    ) -> None:
        """`faults_on_path` returns the active faults between two ends: instance ids, `internet` or `aws`."""
        self._names = names
        self._faults_on_path = faults_on_path
        self._machines = machines
        self._policy = policy

    def endpoint(self, name_or_address: str) -> PathEndpoint:
        """Returns the named end: a host by name, id or address, `internet`, or another address. Raises LookupError."""
        if name_or_address == INTERNET:
            return PathEndpoint(name=INTERNET, address=self._names.wan_peer_address)
        for machine in self._machines:
            if machine.address is None:
                continue
            known = (machine.name, machine.instance_id, str(machine.address.ip), str(machine.public_address))
            if name_or_address in known:
                return PathEndpoint(
                    name=machine.name,
                    address=machine.address.ip,
                    machine=machine,
                    via_public_address=name_or_address == str(machine.public_address),
                )
        try:
            address = IPv4Address(name_or_address)
        except AddressValueError:
            hosts = ", ".join(sorted(machine.name for machine in self._machines)) or "none"
            raise LookupError(
                f"{name_or_address!r}: this lab has no such host; give one of {hosts}, {INTERNET!r}, or an IPv4 address"
            ) from None
        return PathEndpoint(name=INTERNET if address == self._names.wan_peer_address else name_or_address, address=address)

    def check(self, source: PathEndpoint, target: PathEndpoint, protocol: int, port: int | None) -> ReachabilityReport:
        """Sends the packet and names the deciding rules. Blocks, for a second and a half if nothing answers."""
        if source.machine is None and source.name != INTERNET:
            raise LookupError(f"{source.name}: packets can only be sent from hosts and from {INTERNET!r}, which is this machine")
        packet = Packet(protocol=protocol, port=_ECHO_REQUEST if protocol == ICMP else port)
        outside = source.machine is None
        public = target.machine.public_address if target.machine and (outside or target.via_public_address) else None
        out, into = self._verdicts(source, target, packet, public)
        obstacle = self._obstacle(source, target, public)
        outcome = None
        if self._is_connected(source) and self._is_connected(target):
            one = Probe(
                source=self._probe_point(source),
                target=self._probe_point(target),
                address=public or target.address,
                protocol=protocol,
                port=port or 0,
                bypass_routing=outside and public is None,
            )
            outcome = run_probes([one])[0]
        answered = outcome is not None and outcome.reply in (ProbeReply.CONNECTED, ProbeReply.REFUSED)
        return ReachabilityReport(
            source=source,
            target=target,
            packet=packet,
            passed=outcome is not None and (outcome.arrived or answered),
            reply=outcome.reply if outcome else ProbeReply.NONE,
            seconds=outcome.seconds if outcome else None,
            egress=out,
            ingress=into,
            obstacle=obstacle,
        )

    def _verdicts(self, source: PathEndpoint, target: PathEndpoint, packet: Packet, public: IPv4Address | None) -> tuple[Verdict, Verdict]:
        out = into = unfiltered("the internet's side has no security group")
        if target.address in _UNFILTERED:
            reason = "EC2 does not filter its link-local services"
            return unfiltered(reason), unfiltered(reason)
        if (interface := self._interface(source)) is not None:
            out = evaluate(self._policy, interface, packet, egress=True, peer=public or target.address)
        if (interface := self._interface(target)) is not None:
            # Through a public address it comes back in like any packet from outside.
            seen = source.machine.egress_address if source.machine and public else None
            into = evaluate(self._policy, interface, packet, egress=False, peer=seen or source.address)
        return out, into

    def _obstacle(self, source: PathEndpoint, target: PathEndpoint, public: IPv4Address | None) -> str:
        for end in (source, target):
            if not self._is_connected(end):
                return f"{end.name} is not running"
        outwards = target.machine is None or public is not None
        if source.machine and outwards and target.address not in _UNFILTERED and source.machine.egress_address is None:
            return f"{source.name} has no route to the internet: neither a public address nor a NAT gateway"
        if source.machine is None and target.machine and public is None:
            return f"{target.name} has no public address"
        if target.address in _UNFILTERED:
            return ""
        return "; ".join(self._faults_on_path(self._fault_endpoint(source), self._fault_endpoint(target)))

    def _fault_endpoint(self, endpoint: PathEndpoint) -> str:
        if endpoint.machine:
            return endpoint.machine.instance_id
        return AWS if endpoint.address in (self._names.api_address, self._names.s3_address) else INTERNET

    def _interface(self, endpoint: PathEndpoint) -> "NetworkInterface | None":
        wanted = endpoint.machine.instance_id if endpoint.machine else None
        return next((interface for interface in self._policy.interfaces if interface.instance_id == wanted), None)

    def _is_connected(self, endpoint: PathEndpoint) -> bool:
        return endpoint.machine is None or namespaces.exists(self._names.machine_netns(endpoint.machine.instance_id))

    def _probe_point(self, endpoint: PathEndpoint) -> ProbePoint:
        if endpoint.machine:
            return ProbePoint(namespace=self._names.machine_netns(endpoint.machine.instance_id), link=MACHINE_LINK)
        return ProbePoint(namespace=None, link=self._names.wan_link)
