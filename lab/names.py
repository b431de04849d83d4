"""The one place where a lab's name becomes everything that bears it: links, namespaces, addresses, ports, folders.

Everything that a lab makes outside its state folder is found again by what stands here, whichever clone started it and whatever
state it was left in. The derivation is pure: the same name gives the same names on every machine, and nothing is looked up.

Addresses come from 198.18.0.0/15, which RFC 2544 keeps for tests between networks: nothing on the internet answers there, and it is
no private range that the machine's own network may use.
"""

import re
import zlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab.errors import LabError
from lab.files import make_private_dir
from lab.moto_address import from_socket

NAME_PREFIX = "wsl"
"""Short for webstack lab: a link's name has 15 characters, and the lab's own name has to fit beside it."""

STATE_ROOT = Path("/var/lib/webstack")
"""Machine-wide: another clone finds the labs that this one started."""

DEFAULT_LAB = "dev"
TEST_LAB = "test"

METADATA_ADDRESS = IPv4Address("169.254.169.254")
"""The instance metadata service, at the same address in every VPC."""

RESOLVER_ADDRESS = IPv4Address("169.254.169.253")
"""The VPC's resolver, at the same address in every VPC."""

WAN = "wan"
"""The router's own end of its link to this machine, by which it leads to the internet."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,7}")
_PUBLIC_BLOCK = IPv4Network("198.18.0.0/16")
_WAN_BLOCK = IPv4Network("198.19.0.0/16")
_RESERVED_SLOTS = {DEFAULT_LAB: 0, TEST_LAB: 1}
_API_PORT_BASE = 14600


class LabNameError(LabError):
    """The name cannot be a lab's."""


@dataclass(frozen=True, kw_only=True)
class LabNames:
    """What one lab's things are called and where they are. Made by `LabNames.of`."""

    name: str
    slot: int
    """0 to 255; picks the lab's addresses and ports. Two names may share one: the second lab to start refuses and says so."""

    @classmethod
    def of(cls, name: str) -> "LabNames":
        """The names of lab `name`; raises `LabNameError` when a link could not carry it."""
        if not _NAME.fullmatch(name):
            raise LabNameError(
                f"lab name {name!r}: 1 to 8 lowercase letters, digits and hyphens, not beginning with a hyphen "
                "(network links carry it and have 15 characters); choose a shorter one"
            )
        reserved = len(_RESERVED_SLOTS)
        slot = _RESERVED_SLOTS.get(name, reserved + zlib.crc32(name.encode()) % (256 - reserved))
        return cls(name=name, slot=slot)

    # Names in the machine's own tables. A dot ends the prefix: no lab's name holds one, so no lab's prefix begins another's name.

    @property
    def prefix(self) -> str:
        """The name of the lab's cgroup and of its link to this machine; all other names begin with it and a dot."""
        return f"{NAME_PREFIX}-{self.name}"

    @property
    def router_netns(self) -> str:
        """The network namespace that every packet of the lab passes."""
        return f"{self.prefix}.router"

    @property
    def wan_link(self) -> str:
        """This machine's end of the link to the router; its other end is `WAN` inside the router."""
        return self.prefix

    def machine_netns(self, instance_id: str) -> str:
        """The network namespace of one instance."""
        return f"{self.prefix}.{instance_id}"

    @staticmethod
    def router_link(instance_id: str) -> str:
        """The router's end of an instance's link: 15 characters hold only part of the id, enough to tell any two apart."""
        return f"v-{instance_id.removeprefix('i-')[:13]}"

    # Addresses.

    @property
    def public_network(self) -> IPv4Network:
        """Public addresses of the lab, Elastic IPs and automatic ones alike; reachable from this machine."""
        return _subnet(_PUBLIC_BLOCK, 24, self.slot)

    @property
    def wan_network(self) -> IPv4Network:
        """What lies outside the VPCs: this machine's end of the link, and AWS's own endpoints."""
        return _subnet(_WAN_BLOCK, 24, self.slot)

    @property
    def wan_peer_address(self) -> IPv4Address:
        """This machine, as the internet side of the lab."""
        return self.wan_network[1]

    @property
    def router_address(self) -> IPv4Address:
        """The router's end of the link to this machine."""
        return self.wan_network[2]

    @property
    def api_address(self) -> IPv4Address:
        """Where `*.amazonaws.com` lives, S3 excepted: a public address, so reaching it takes a way out, as on AWS."""
        return self.wan_network[16]

    @property
    def s3_address(self) -> IPv4Address:
        """Where S3 lives: an address of its own, because S3 alone is also reached through a gateway endpoint's route."""
        return self.wan_network[17]

    # A port on 127.0.0.1 of this machine.

    @property
    def api_port(self) -> int:
        """The API gateway for programs on this machine."""
        return _API_PORT_BASE + self.slot

    @property
    def api_endpoint(self) -> str:
        """The API gateway's URL."""
        return f"http://127.0.0.1:{self.api_port}"

    # Files.

    @property
    def state_dir(self) -> Path:
        """All that the lab keeps; removed by `down`."""
        return STATE_ROOT / "labs" / self.name

    def make_state_dir(self) -> None:
        """Makes the state folder, for root alone, and so all above it: machines' root disks hold programs that run as their owner, root."""
        for folder in (self.state_dir.parent.parent, self.state_dir.parent, self.state_dir):
            make_private_dir(folder)

    @property
    def control_socket(self) -> Path:
        """The daemon's control API."""
        return self.state_dir / "daemon.sock"

    @property
    def moto_socket(self) -> Path:
        """The moto server behind the API gateway. It checks nobody, so only root can open it."""
        return self.state_dir / "api.sock"

    @property
    def moto_address(self) -> str:
        """The moto server's address: what the lab's own parts read must not be throttled by a fault, nor stand in the call log."""
        return from_socket(self.moto_socket)

    @property
    def keys_file(self) -> Path:
        """The keys of the lab's administrator: `lab.admin_keys`."""
        return self.state_dir / "keys.json"

    @property
    def daemon_lock(self) -> Path:
        """Held by the one daemon of this lab."""
        return self.state_dir / "daemon.lock"

    @property
    def daemon_log(self) -> Path:
        """Where the daemon's output goes."""
        return self.state_dir / "daemon.log"

    @property
    def moto_log(self) -> Path:
        """Where the API server's output goes."""
        return self.state_dir / "api.log"

    def pid_file(self, process: str) -> Path:
        """Pid and start time of one of the lab's processes (`daemon`, `api`, `provider`); see `lab.processes`."""
        return self.state_dir / f"{process}.pid"

    @property
    def machines_dir(self) -> Path:
        """One folder per instance: its root disk and its log."""
        return self.state_dir / "machines"

    def machine_dir(self, instance_id: str) -> Path:
        """The folder of one instance."""
        return self.machines_dir / instance_id

    def volume_file(self, volume_id: str) -> Path:
        """The file behind one EBS volume."""
        return self.state_dir / "volumes" / f"{volume_id}.img"


def mac_address(private_address: IPv4Address) -> str:
    """The hardware address of the interface with this private address; the metadata service reports the same one.

    Locally administered, as all made-up addresses must be, and as different as the private addresses are.
    """
    return "02:00:" + ":".join(f"{octet:02x}" for octet in private_address.packed)


def _subnet(block: IPv4Network, prefix_length: int, index: int) -> IPv4Network:
    size = 2 ** (32 - prefix_length)
    return IPv4Network((int(block.network_address) + index * size, prefix_length))
