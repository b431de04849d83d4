"""May this packet pass? Answered twice: by sending one, and by the rules that the router obeys."""

from dataclasses import asdict, dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING

from lab.hypervisor import namespaces
from lab.hypervisor.faults.network import AWS, INTERNET
from lab.hypervisor.firewall.judge import Packet, Verdict, judge, unfiltered
from lab.hypervisor.firewall.policy import ICMP
from lab.hypervisor.router import MACHINE_LINK
from lab.hypervisor.tries import Answer, Place, Try, try_all
from lab.names import METADATA_ADDRESS, RESOLVER_ADDRESS, LabNames

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.hypervisor.desired import DesiredMachine
    from lab.hypervisor.firewall.facts import Interface
    from lab.hypervisor.firewall.policy import Policy

_ECHO_REQUEST = 8
_UNFILTERED = (METADATA_ADDRESS, RESOLVER_ADDRESS)


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of a question: a host, or an address that is no host's."""

    name: str
    address: IPv4Address
    """The host's private one."""
    machine: "DesiredMachine | None" = None
    by_public_address: bool = False
    """Whether the question named the host by its public address."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The answer."""

    source: End
    target: End
    packet: Packet
    passed: bool
    """Whether the packet that was sent arrived."""
    answer: Answer
    seconds: float | None
    out: Verdict
    """What the sender's security groups say."""
    into: Verdict
    """What the target's say."""
    obstacle: str
    """What else is in the way, or nothing."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "from": {"name": self.source.name, "address": str(self.source.address)},
            "to": {"name": self.target.name, "address": str(self.target.address)},
            "packet": str(self.packet),
            "passed": self.passed,
            "answer": self.answer.value,
            "seconds": self.seconds,
            "permitted": self.out.permitted and self.into.permitted,
            "out": asdict(self.out),
            "in": asdict(self.into),
            "obstacle": self.obstacle,
        }


class Question:
    """Asks about one lab, as its machines and its policy are now."""

    def __init__(
        self,
        names: LabNames,
        machines: "list[DesiredMachine]",
        policy: "Policy",
        ailing: "Callable[[str, str], list[str]]" = lambda _source, _target: [],
    ) -> None:
        """`ailing` names the faults, given on purpose, on the way between two ends: instance ids, `internet` or `aws`."""
        self._names = names
        self._ailing = ailing
        self._machines = machines
        self._policy = policy

    def end(self, wanted: str) -> End:
        """A host by name, instance id or address; `internet`; or another address. Raises `LookupError` with what there is."""
        if wanted == INTERNET:
            return End(name=INTERNET, address=self._names.machine_address)
        for machine in self._machines:
            if machine.address is None:
                continue
            known = (machine.name, machine.instance_id, str(machine.address.ip), str(machine.public_address))
            if wanted in known:
                return End(
                    name=machine.name, address=machine.address.ip, machine=machine, by_public_address=wanted == str(machine.public_address)
                )
        try:
            address = IPv4Address(wanted)
        except AddressValueError:
            hosts = ", ".join(sorted(machine.name for machine in self._machines)) or "none"
            raise LookupError(f"{wanted!r}: this lab has no such host; give one of {hosts}, {INTERNET!r}, or an IPv4 address") from None
        return End(name=INTERNET if address == self._names.machine_address else wanted, address=address)

    def ask(self, source: End, target: End, protocol: int, port: int | None) -> Reach:
        """Sends the packet and names the rules. Blocking, for a second and a half where nothing answers."""
        if source.machine is None and source.name != INTERNET:
            raise LookupError(
                f"{source.name}: packets can be sent from hosts, and from this machine, which is {INTERNET!r}; from no one else"
            )
        packet = Packet(protocol=protocol, port=_ECHO_REQUEST if protocol == ICMP else port)
        outside = source.machine is None
        public = target.machine.public_address if target.machine and (outside or target.by_public_address) else None
        out, into = self._verdicts(source, target, packet, public)
        obstacle = self._obstacle(source, target, public)
        outcome = None
        if self._present(source) and self._present(target):
            one = Try(
                source=self._place(source),
                target=self._place(target),
                address=public or target.address,
                protocol=protocol,
                port=port or 0,
                aimed=outside and public is None,
            )
            outcome = try_all([one])[0]
        answered = outcome is not None and outcome.answer in (Answer.CONNECTED, Answer.REFUSED)
        return Reach(
            source=source,
            target=target,
            packet=packet,
            passed=outcome is not None and (outcome.arrived or answered),
            answer=outcome.answer if outcome else Answer.NONE,
            seconds=outcome.seconds if outcome else None,
            out=out,
            into=into,
            obstacle=obstacle,
        )

    def _verdicts(self, source: End, target: End, packet: Packet, public: IPv4Address | None) -> tuple[Verdict, Verdict]:
        out = into = unfiltered("no security group is on the internet's side")
        if target.address in _UNFILTERED:
            reason = "EC2 does not filter its link-local services"
            return unfiltered(reason), unfiltered(reason)
        if (interface := self._interface(source)) is not None:
            out = judge(self._policy, interface, packet, egress=True, peer=public or target.address)
        if (interface := self._interface(target)) is not None:
            # By way of a public address it comes back in as anybody's packet would.
            seen = source.machine.exit_address if source.machine and public else None
            into = judge(self._policy, interface, packet, egress=False, peer=seen or source.address)
        return out, into

    def _obstacle(self, source: End, target: End, public: IPv4Address | None) -> str:
        for end in (source, target):
            if not self._present(end):
                return f"{end.name} is not running"
        outwards = target.machine is None or public is not None
        if source.machine and outwards and target.address not in _UNFILTERED and source.machine.exit_address is None:
            return f"{source.name} has no way out: neither a public address nor a NAT gateway"
        if source.machine is None and target.machine and public is None:
            return f"{target.name} has no public address"
        if target.address in _UNFILTERED:
            return ""
        return "; ".join(self._ailing(self._place_of_fault(source), self._place_of_fault(target)))

    def _place_of_fault(self, end: End) -> str:
        if end.machine:
            return end.machine.instance_id
        return AWS if end.address in (self._names.api_address, self._names.s3_address) else INTERNET

    def _interface(self, end: End) -> "Interface | None":
        wanted = end.machine.instance_id if end.machine else None
        return next((interface for interface in self._policy.interfaces if interface.instance_id == wanted), None)

    def _present(self, end: End) -> bool:
        return end.machine is None or namespaces.exists(self._names.machine_netns(end.machine.instance_id))

    def _place(self, end: End) -> Place:
        if end.machine:
            return Place(namespace=self._names.machine_netns(end.machine.instance_id), link=MACHINE_LINK)
        return Place(namespace=None, link=self._names.wan_link)
