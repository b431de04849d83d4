"""Derives from a lab's name everything that is named after it: links, namespaces, addresses, ports, folders.

These names are how a lab's parts are found again, whichever clone started it and whatever state it was left in. The derivation is pure:
the same name gives the same result on every machine, and nothing is looked up.

Addresses come from 198.18.0.0/15, which RFC 2544 reserves for tests between networks: nothing on the internet answers there, and it is
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
"""Short for webstack lab: a link's name has at most 15 characters and must also hold the lab's name."""

STATE_ROOT = Path("/var/lib/webstack")
"""One folder for the machine, so that every clone finds all labs."""

DEFAULT_LAB = "dev"
TEST_LAB = "test"

METADATA_ADDRESS = IPv4Address("169.254.169.254")
"""The instance metadata service, at the same address in every VPC."""

RESOLVER_ADDRESS = IPv4Address("169.254.169.253")
"""The VPC's resolver, at the same address in every VPC."""

WAN = "wan"
"""The router's end of its link to this machine, its way to the internet."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,7}")
_PUBLIC_BLOCK = IPv4Network("198.18.0.0/16")
_WAN_BLOCK = IPv4Network("198.19.0.0/16")
_RESERVED_SLOTS = {DEFAULT_LAB: 0, TEST_LAB: 1}
_API_PORT_BASE = 14600


class LabNameError(LabError):
    """The name is not a valid lab name."""


@dataclass(frozen=True, kw_only=True)
class LabNames:
    """The names, addresses and paths of one lab. Create it with `LabNames.of`."""

    name: str
    slot: int
    """0 to 255; selects the lab's addresses and ports. If two names share a slot, the second lab to start fails with an error."""

    @classmethod
    def of(cls, name: str) -> "LabNames":
        """Returns the names for lab `name`. Raises `LabNameError` if network links cannot carry it."""
        if not _NAME.fullmatch(name):
            raise LabNameError(
                f"lab name {name!r}: 1 to 8 lowercase letters, digits and hyphens, not beginning with a hyphen "
                "(network links carry it and have 15 characters); choose a shorter one"
            )
        reserved = len(_RESERVED_SLOTS)
        slot = _RESERVED_SLOTS.get(name, reserved + zlib.crc32(name.encode()) % (256 - reserved))
        return cls(name=name, slot=slot)

    # Names on this machine. A dot ends the prefix; lab names contain none, so no lab's prefix matches another lab's names.

    @property
    def prefix(self) -> str:
        """The name of the lab's cgroup and of this machine's end of its link; all other names start with it and a dot."""
        return f"{NAME_PREFIX}-{self.name}"

    @property
    def router_netns(self) -> str:
        """The router's network namespace, through which every packet of the lab passes."""
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
        """The router's end of an instance's link. 15 characters hold only part of the id, but enough to be unique."""
        return f"v-{instance_id.removeprefix('i-')[:13]}"

    # Addresses.

    @property
    def public_network(self) -> IPv4Network:
        """The lab's public addresses, Elastic IPs and automatic ones alike; reachable from this machine."""
        return _subnet(_PUBLIC_BLOCK, 24, self.slot)

    @property
    def wan_network(self) -> IPv4Network:
        """The network outside the VPCs: this machine's end of the link, and AWS's own endpoints."""
        return _subnet(_WAN_BLOCK, 24, self.slot)

    @property
    def wan_peer_address(self) -> IPv4Address:
        """This machine's address on the lab's internet side."""
        return self.wan_network[1]

    @property
    def router_address(self) -> IPv4Address:
        """The address of the router's end of the link to this machine."""
        return self.wan_network[2]

    @property
    def api_address(self) -> IPv4Address:
        """The address of `*.amazonaws.com`, except S3. It is public: as on AWS, hosts need a route to the internet to reach it."""
        return self.wan_network[16]

    @property
    def s3_address(self) -> IPv4Address:
        """The address of S3. It is separate because only S3 can also be reached through a gateway endpoint's route."""
        return self.wan_network[17]

    # A port on 127.0.0.1 of this machine.

    @property
    def api_port(self) -> int:
        """The API gateway's port, for programs on this machine."""
        return _API_PORT_BASE + self.slot

    @property
    def api_endpoint(self) -> str:
        """The API gateway's URL."""
        return f"http://127.0.0.1:{self.api_port}"

    # Files.

    @property
    def state_dir(self) -> Path:
        """The folder of the lab's state; `down` removes it."""
        return STATE_ROOT / "labs" / self.name

    def make_state_dir(self) -> None:
        """Makes the state folder and its parents, accessible only to root: machines' root disks contain setuid root programs."""
        for folder in (self.state_dir.parent.parent, self.state_dir.parent, self.state_dir):
            make_private_dir(folder)

    @property
    def control_socket(self) -> Path:
        """The socket of the daemon's control API."""
        return self.state_dir / "daemon.sock"

    @property
    def moto_socket(self) -> Path:
        """The socket of the moto server behind the API gateway. moto does not authenticate callers, so only root can open it."""
        return self.state_dir / "api.sock"

    @property
    def moto_address(self) -> str:
        """The moto server's address. The lab's own parts call it directly, to stay clear of faults and of the call log."""
        return from_socket(self.moto_socket)

    @property
    def keys_file(self) -> Path:
        """The file with the administrator's access key (`lab.admin_keys`)."""
        return self.state_dir / "keys.json"

    @property
    def daemon_lock(self) -> Path:
        """The lock that the lab's only daemon holds."""
        return self.state_dir / "daemon.lock"

    @property
    def daemon_log(self) -> Path:
        """The daemon's log."""
        return self.state_dir / "daemon.log"

    @property
    def moto_log(self) -> Path:
        """The API server's log."""
        return self.state_dir / "api.log"

    def pid_file(self, process: str) -> Path:
        """The pid file of one of the lab's processes (`daemon`, `api`, `provider`); see `lab.processes`."""
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
    """Returns the MAC address of the interface with this private address; the metadata service reports the same one.

    It is locally administered, and distinct for distinct private addresses.
    """
    return "02:00:" + ":".join(f"{octet:02x}" for octet in private_address.packed)


def _subnet(block: IPv4Network, prefix_length: int, index: int) -> IPv4Network:
    size = 2 ** (32 - prefix_length)
    return IPv4Network((int(block.network_address) + index * size, prefix_length))
