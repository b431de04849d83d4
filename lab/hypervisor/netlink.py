"""The part of pyroute2 that the lab uses, with type annotations."""

from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, Any, TypeVar

from pyroute2 import IPRoute, NetlinkError

from lab.hypervisor import namespaces

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_T = TypeVar("_T")
_NUD_PERMANENT = 0x80
_EEXIST = 17
_MAIN_TABLE = 254
_ENODEV = 19


class Netlink:
    """Links, addresses and routes of one network namespace. Comes from `node_netlink` or `call_with_netlink`."""

    def __init__(self, route: Any) -> None:
        self._route = route

    def links(self) -> dict[str, int]:
        """Returns the index of each link, by name."""
        return {str(link.get_attr("IFLA_IFNAME")): int(link["index"]) for link in self._route.get_links()}

    def add_veth_pair(self, name: str, *, peer: str, peer_namespace: str, peer_mac: str | None = None) -> None:
        """Makes a veth pair: `name` here, `peer` in another namespace."""
        other: dict[str, str] = {"ifname": peer, "net_ns_fd": peer_namespace}
        if peer_mac:
            other["address"] = peer_mac
        self._route.link("add", ifname=name, kind="veth", peer=other)

    def set_link_up(self, name: str) -> None:
        """Brings a link up."""
        self._route.link("set", index=self.links()[name], state="up")

    def set_link_down(self, name: str) -> None:
        """Brings a link down, which removes its routes and neighbours."""
        self._route.link("set", index=self.links()[name], state="down")

    def remove_link(self, name: str) -> None:
        """Removes a link, if it exists, and the other end of its pair."""
        index = self.links().get(name)
        if index is None:
            return
        try:
            self._route.link("del", index=index)
        except NetlinkError as error:
            if error.code != _ENODEV:  # the kernel has removed it with its other end's namespace
                raise

    def add_address(self, name: str, address: IPv4Interface) -> None:
        """Adds an address to a link, unless it has it."""
        self._ignore_existing(
            lambda: self._route.addr("add", index=self.links()[name], address=str(address.ip), prefixlen=address.network.prefixlen)
        )

    def addresses(self) -> list[IPv4Interface]:
        """Returns all IPv4 addresses in the namespace."""
        return [IPv4Interface(f"{entry.get_attr('IFA_ADDRESS')}/{entry['prefixlen']}") for entry in self._route.get_addr(family=2)]

    def route_to_link(self, destination: IPv4Network, name: str) -> None:
        """Routes a network directly to a link."""
        self._route.route("replace", dst=str(destination), oif=self.links()[name], scope="link")

    def remove_route(self, destination: IPv4Network) -> None:
        """Removes the routes for exactly this network, if any."""
        for entry in self._route.get_routes(family=2, table=_MAIN_TABLE):
            if entry.get_attr("RTA_DST") == str(destination.network_address) and entry["dst_len"] == destination.prefixlen:
                self._route.route("del", dst=str(destination), oif=entry.get_attr("RTA_OIF"), scope=entry["scope"])

    def route_via(self, destination: IPv4Network, gateway: IPv4Address) -> None:
        """Routes a network to a gateway."""
        self._route.route("replace", dst=str(destination), gateway=str(gateway))

    def add_blackhole(self, destination: IPv4Network) -> None:
        """Adds a blackhole route: packets for the network are dropped unless a more specific route matches."""
        self._ignore_existing(lambda: self._route.route("add", dst=str(destination), type="blackhole"))

    def routes(self) -> list[IPv4Network]:
        """Returns the destinations of all IPv4 routes except the default route."""
        found: list[IPv4Network] = []
        for entry in self._route.get_routes(family=2, table=_MAIN_TABLE):
            destination = entry.get_attr("RTA_DST")
            if destination:
                found.append(IPv4Network(f"{destination}/{entry['dst_len']}"))
        return found

    def set_neighbour(self, address: IPv4Address, mac: str, name: str) -> None:
        """Adds a permanent neighbour entry, so that no ARP is sent for the address."""
        self._route.neigh("replace", dst=str(address), lladdr=mac, ifindex=self.links()[name], state=_NUD_PERMANENT)

    @staticmethod
    def _ignore_existing(action: "Callable[[], object]") -> None:
        try:
            action()
        except NetlinkError as error:
            if error.code != _EEXIST:
                raise


@contextmanager
def node_netlink() -> "Generator[Netlink]":
    """Yields a `Netlink` for this process's own namespace."""
    with IPRoute() as route:
        yield Netlink(route)


def call_with_netlink(namespace: str, function: "Callable[[Netlink], _T]") -> "_T":
    """Calls `function` in a thread inside the namespace, with the namespace's `Netlink`, and returns its result."""

    def enter() -> _T:
        with IPRoute() as route:
            return function(Netlink(route))

    return namespaces.call_in_namespace(namespace, enter)
