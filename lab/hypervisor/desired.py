"""The state that the AWS API asks for: machines, their addresses, volumes and routes out. Plain data, no calls."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

DEFAULT_ROOT_GIB = 8
"""The size of a root volume if the API gives none: that of Debian's AMI."""


class Power(Enum):
    """The power state that the API asks for."""

    ON = "on"
    OFF = "off"
    """Off, its root disk kept."""
    GONE = "gone"
    """Off, its root disk removed."""

    @classmethod
    def from_instance_state(cls, state: str) -> "Power":
        """Returns the power state that an EC2 instance state asks for."""
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
    """EC2's instance state, such as `running` or `stopping`."""
    name: str
    """The `host` tag, else the `Name` tag, else the instance id."""
    role: str
    """The `role` tag, or empty."""
    zone: str
    image_id: str
    address: IPv4Interface | None
    """The private address with its subnet's prefix length; None once terminated."""
    launched: datetime | None = None
    """When the API last started it."""
    public_address: IPv4Address | None = None
    egress_address: IPv4Address | None = None
    """The source address of its packets outside: its public one or its NAT gateway's. None: it cannot send outside."""
    egress_zone: str = ""
    """The zone of the NAT gateway that its packets leave through; empty if through none."""
    s3_endpoint: bool = False
    """Whether its subnet's route table has a gateway endpoint for S3."""
    group_ids: tuple[str, ...] = ()
    """The security groups of its network interface."""
    volumes: tuple[Volume, ...] = ()
    """Data volumes; the root volume is in the machine's own folder (`lab.hypervisor.root_disk`)."""
    detaching: frozenset[str] = frozenset()
    """Volumes being detached. Each is complete once the guest no longer uses it."""
    root_gib: int = DEFAULT_ROOT_GIB
    """The root volume's size."""
    problem: str | None = None
    """Why no machine can be made for it; None if one can."""

    @property
    def power(self) -> Power:
        """What the API wants of it."""
        return Power.from_instance_state(self.state)

    @property
    def present(self) -> bool:
        """Whether it has its addresses. They stay while it shuts down, so that it can close its connections."""
        return self.state != "terminated"

    @property
    def gateway(self) -> IPv4Address | None:
        """The subnet's router: its first address."""
        return self.address.network[1] if self.address else None

    @property
    def hostname(self) -> str:
        """The hostname that EC2 gives an instance by default."""
        return f"ip-{str(self.address.ip).replace('.', '-')}" if self.address else self.instance_id


@dataclass(frozen=True, kw_only=True)
class DesiredState:
    """Everything that the hypervisor acts on, read from the API at one time."""

    machines: dict[str, DesiredMachine] = field(default_factory=dict[str, DesiredMachine])
    """By instance id."""
    volume_ids: frozenset[str] = frozenset()
    """The ids of all existing volumes; the files of others may be deleted."""


@dataclass(frozen=True, kw_only=True)
class NatTable:
    """The router's address translations and the addresses that it lets out. Derived from the machines."""

    public_to_private: dict[IPv4Address, IPv4Address]
    private_to_public: dict[IPv4Address, IPv4Address]
    s3_endpoint: frozenset[IPv4Address]

    @classmethod
    def for_machines(cls, machines: dict[str, DesiredMachine]) -> "NatTable":
        """Returns the translations for these machines. Addresses of terminated machines have none."""
        alive = [machine for machine in machines.values() if machine.present]
        addressed = [(machine, machine.address.ip) for machine in alive if machine.address and not machine.problem]
        return cls(
            public_to_private={machine.public_address: ip for machine, ip in addressed if machine.public_address},
            private_to_public={ip: machine.egress_address for machine, ip in addressed if machine.egress_address},
            s3_endpoint=frozenset(ip for machine, ip in addressed if machine.s3_endpoint),
        )


def overlapping(address: IPv4Interface, local: list[IPv4Network]) -> IPv4Network | None:
    """Returns the first of this machine's own networks that overlaps a host's subnet, if any."""
    return next((network for network in local if network.overlaps(address.network)), None)
