"""What the AWS API says there should be: machines, their addresses, their volumes, their ways out. Plain data, no calls."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

DEFAULT_ROOT_GIB = 8
"""The size of a root volume of which the API tells none: that of Debian's AMI."""


class Power(Enum):
    """What the API wants of a machine."""

    ON = "on"
    OFF = "off"
    """Off, its root disk kept."""
    GONE = "gone"
    """Off, its root disk removed."""

    @classmethod
    def from_instance_state(cls, state: str) -> "Power":
        """The wish behind an instance state of the API."""
        return {"pending": cls.ON, "running": cls.ON, "stopping": cls.OFF, "stopped": cls.OFF}.get(state, cls.GONE)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """An EBS volume attached to an instance."""

    volume_id: str
    size_gib: int


@dataclass(frozen=True, kw_only=True)
class DesiredMachine:
    """One instance as the API shows it."""

    instance_id: str
    region: str
    state: str
    """The API's own word, `running` or `stopping` for instance."""
    name: str
    """The `host` tag, else the `Name` tag, else the instance id."""
    role: str
    """The `role` tag, or nothing."""
    zone: str
    image_id: str
    address: IPv4Interface | None
    """The private address within its subnet; None once terminated."""
    launched: datetime | None = None
    """When the API last started it."""
    public_address: IPv4Address | None = None
    egress_address: IPv4Address | None = None
    """The address that its packets bear outside: its own public one or its NAT gateway's; None: nothing of it leaves."""
    egress_zone: str = ""
    """The zone of the NAT gateway by which they leave; empty where they leave by none."""
    s3_endpoint: bool = False
    """Whether its subnet's routes lead to S3 by a gateway endpoint."""
    group_ids: tuple[str, ...] = ()
    """Security groups of its network interface."""
    volumes: tuple[Volume, ...] = ()
    """Data volumes; the root volume is in the machine's own folder (`lab.hypervisor.root_disk`)."""
    detaching: frozenset[str] = frozenset()
    """Volumes that somebody detaches: they are gone when the guest has let go of them."""
    root_gib: int = DEFAULT_ROOT_GIB
    """The root volume's size."""
    problem: str | None = None
    """Why it cannot be a machine."""

    @property
    def power(self) -> Power:
        """What the API wants of it."""
        return Power.from_instance_state(self.state)

    @property
    def present(self) -> bool:
        """Whether it has its addresses: also while it shuts down, so that it can end its connections in order."""
        return self.state != "terminated"

    @property
    def gateway(self) -> IPv4Address | None:
        """The subnet's router: its first address."""
        return self.address.network[1] if self.address else None

    @property
    def hostname(self) -> str:
        """The name that EC2 gives a host until it names itself."""
        return f"ip-{str(self.address.ip).replace('.', '-')}" if self.address else self.instance_id


@dataclass(frozen=True, kw_only=True)
class DesiredState:
    """Everything that the hypervisor acts on, read at one time."""

    machines: dict[str, DesiredMachine] = field(default_factory=dict[str, DesiredMachine])
    """By instance id."""
    volume_ids: frozenset[str] = frozenset()
    """All volumes that exist: the data of others can go."""


@dataclass(frozen=True, kw_only=True)
class NatTable:
    """What the router does to addresses, and whom it lets out. Follows from the machines."""

    public_to_private: dict[IPv4Address, IPv4Address]
    private_to_public: dict[IPv4Address, IPv4Address]
    s3_endpoint: frozenset[IPv4Address]

    @classmethod
    def for_machines(cls, machines: dict[str, DesiredMachine]) -> "NatTable":
        """The translations for these machines; an address of a machine that is gone has none."""
        alive = [machine for machine in machines.values() if machine.present]
        addressed = [(machine, machine.address.ip) for machine in alive if machine.address and not machine.problem]
        return cls(
            public_to_private={machine.public_address: ip for machine, ip in addressed if machine.public_address},
            private_to_public={ip: machine.egress_address for machine, ip in addressed if machine.egress_address},
            s3_endpoint=frozenset(ip for machine, ip in addressed if machine.s3_endpoint),
        )


def overlapping(address: IPv4Interface, local: list[IPv4Network]) -> IPv4Network | None:
    """The network of this machine's own that a host's subnet would hide, if any."""
    return next((network for network in local if network.overlaps(address.network)), None)
