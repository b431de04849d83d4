"""The router: one network namespace that every packet of the lab passes, between machines and between them and the outside.

Its loopback has the addresses that AWS provides in every VPC (the subnets' gateways, the metadata service, the resolver) and those of AWS's
own endpoints. Its link `wan` leads to this machine, which is the lab's internet. Each machine has a link of its own, as on EC2: packets
within a subnet pass the router too, because it answers ARP for the whole subnet (proxy ARP).
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from lab.hypervisor import namespaces, node_firewall
from lab.hypervisor.desired import DesiredMachine, NatTable
from lab.hypervisor.netlink import Netlink, call_with_netlink, node_netlink
from lab.hypervisor.run import run
from lab.names import METADATA_ADDRESS, RESOLVER_ADDRESS, WAN, LabNames, mac_address

_BLACKHOLE_LINK = "lo"
"""The link to which packets for a machine that is off are routed; the rules drop them there. The address keeps a route so that the router
still answers ARP for it, as a VPC does: the sender times out instead of getting an error."""

MACHINE_LINK = "ens5"
"""The name that Nitro instances give their first interface."""

_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "1",  # a machine may only send from its own address
    "net/ipv4/conf/default/proxy_arp": "1",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
}
"""Set before the links are made, since they copy `default`."""


class AddressClashError(RuntimeError):
    """The lab's addresses are already in use on this machine."""


def set_up(names: LabNames) -> None:
    """Makes the router and its link to this machine, or whatever is missing of them."""
    with node_netlink() as wires:
        if names.wan_link not in wires.links():
            _check_address_clash(names, wires)
    node_firewall.install(names)
    namespaces.create(names.router_netns)
    for path, value in _SYSCTLS.items():
        namespaces.write_sysctl(names.router_netns, path, value)
    with node_netlink() as wires:
        if names.wan_link not in wires.links():
            wires.add_veth_pair(names.wan_link, peer=WAN, peer_namespace=names.router_netns)
        wires.add_address(names.wan_link, IPv4Interface(f"{names.wan_peer_address}/30"))
        wires.set_link_up(names.wan_link)
    call_with_netlink(names.router_netns, lambda wires: _set_up_inside(names, wires))
    with node_netlink() as wires:
        for destination in (names.public_network, IPv4Network(f"{names.api_address}/31")):
            wires.route_via(destination, names.router_address)


def _set_up_inside(names: LabNames, wires: Netlink) -> None:
    wires.set_link_up("lo")
    for address in (METADATA_ADDRESS, RESOLVER_ADDRESS, names.api_address, names.s3_address):
        wires.add_address("lo", IPv4Interface(f"{address}/32"))
    wires.add_address(WAN, IPv4Interface(f"{names.router_address}/30"))
    wires.set_link_up(WAN)
    wires.route_via(IPv4Network("0.0.0.0/0"), names.wan_peer_address)
    wires.add_blackhole(names.public_network)  # unused addresses: without it their packets would loop


def _check_address_clash(names: LabNames, wires: Netlink) -> None:
    taken = wires.routes()
    for ours in (names.public_network, names.wan_network):
        for theirs in taken:
            if theirs.overlaps(ours):
                raise AddressClashError(
                    f"lab {names.name!r} needs the addresses {ours}, but this machine has a route to {theirs} already "
                    "(another lab with the same slot, or a network of its own); give the lab another name"
                )


def local_networks(names: LabNames) -> list[IPv4Network]:
    """Returns this machine's own networks, without the lab's: a VPC must not overlap them."""
    with node_netlink() as wires:
        networks = [address.network for address in wires.addresses() if not address.ip.is_loopback]
    return [network for network in networks if not network.overlaps(names.wan_network)]


def connect(names: LabNames, machine: DesiredMachine) -> None:
    """Makes a machine's network namespace, link and address, replacing existing ones."""
    address, gateway = machine.address, machine.gateway
    if address is None or gateway is None:
        raise ValueError(f"{machine.instance_id} has no address")
    disconnect(names, machine.instance_id)
    namespace, link, mac = names.machine_netns(machine.instance_id), names.router_link(machine.instance_id), mac_address(address.ip)
    namespaces.create(namespace)

    def router_side(wires: Netlink) -> None:
        wires.add_blackhole(address.network)  # unused addresses of the subnet
        wires.add_address("lo", IPv4Interface(f"{gateway}/32"))
        wires.add_veth_pair(link, peer=MACHINE_LINK, peer_namespace=namespace, peer_mac=mac)

    def machine_side(wires: Netlink) -> None:
        wires.set_link_up("lo")
        wires.add_address(MACHINE_LINK, address)
        wires.set_link_up(MACHINE_LINK)
        wires.route_via(IPv4Network("0.0.0.0/0"), gateway)

    call_with_netlink(names.router_netns, router_side)
    # The default of 80 hundredths delays the first packet between two hosts of a subnet by a second.
    namespaces.write_sysctl(names.router_netns, f"net/ipv4/neigh/{link}/proxy_delay", "0")
    call_with_netlink(namespace, machine_side)
    restore_link(names, machine.instance_id, address.ip)


def cut_link(names: LabNames, instance_id: str, address: IPv4Address) -> None:
    """Cuts the machine's network link: packets from it and to it are lost without an error."""
    link = names.router_link(instance_id)

    def down(wires: Netlink) -> None:
        wires.route_to_link(IPv4Network(f"{address}/32"), _BLACKHOLE_LINK)
        if link in wires.links():
            wires.set_link_down(link)

    call_with_netlink(names.router_netns, down)


def restore_link(names: LabNames, instance_id: str, address: IPv4Address) -> None:
    """Restores a machine's link. A link that goes down loses its route and its neighbour entry, so both are set again."""
    link = names.router_link(instance_id)

    def up(wires: Netlink) -> None:
        wires.set_link_up(link)
        wires.route_to_link(IPv4Network(f"{address}/32"), link)
        wires.set_neighbour(address, mac_address(address), link)

    call_with_netlink(names.router_netns, up)


def disconnect(names: LabNames, instance_id: str, address: IPv4Address | None = None) -> None:
    """Removes the machine's link and namespace. With `address`, packets for it are dropped silently, as on EC2 while an instance is off."""

    def remove(wires: Netlink) -> None:
        if address is not None:
            wires.route_to_link(IPv4Network(f"{address}/32"), _BLACKHOLE_LINK)
        wires.remove_link(names.router_link(instance_id))

    if namespaces.exists(names.router_netns):
        call_with_netlink(names.router_netns, remove)
    namespaces.remove(names.machine_netns(instance_id))


def remove_host_route(names: LabNames, address: IPv4Address) -> None:
    """Removes the route of an address that no machine has any more."""
    call_with_netlink(names.router_netns, lambda wires: wires.remove_route(IPv4Network(f"{address}/32")))


def nat_rules(names: LabNames, nat: NatTable) -> str:
    """Returns the nftables script that replaces the router's translations in one transaction.

    Only packets with a public source address reach this machine's own namespace, and only hosts with a route out reach AWS's endpoints.
    Packets from outside are dropped unless they are for a public address. Packets to another host's public address leave and come back in:
    the sender needs a route out and appears with its own public address, not as a member of its security groups.
    """

    def elements(pairs: list[str]) -> str:
        return f"\n    elements = {{ {', '.join(pairs)} }}" if pairs else ""

    def mapping(pairs: dict[IPv4Address, IPv4Address]) -> str:
        return elements([f"{left} : {right}" for left, right in sorted(pairs.items())])

    def members(addresses: list[IPv4Address]) -> str:
        return elements([str(address) for address in sorted(addresses)])

    return f"""\
table ip translation
delete table ip translation
table ip translation {{
  map public_to_private {{
    type ipv4_addr : ipv4_addr{mapping(nat.public_to_private)}
  }}
  map private_to_public {{
    type ipv4_addr : ipv4_addr{mapping(nat.private_to_public)}
  }}
  set has_way_out {{
    type ipv4_addr{members(list(nat.private_to_public))}
  }}
  set has_s3_endpoint {{
    type ipv4_addr{members(list(nat.s3_endpoint))}
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    dnat to ip daddr map @public_to_private
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{WAN}" snat to ip saddr map @private_to_public
    ct status dnat snat to ip saddr map @private_to_public
  }}
  chain leaving {{
    type filter hook forward priority filter - 20; policy accept;
    oifname "{_BLACKHOLE_LINK}" counter drop
    oifname "{WAN}" ip saddr != @has_way_out counter drop
    iifname "{WAN}" ct direction original ct status & dnat == 0 counter drop
    iifname != "{WAN}" ct direction original ct status dnat ip saddr != @has_way_out counter drop
  }}
  chain endpoints {{
    type filter hook input priority filter - 20; policy accept;
    iifname {{ "{WAN}", "lo" }} accept
    ip daddr {names.api_address} ip saddr != @has_way_out counter drop
    ip daddr {names.s3_address} ip saddr != @has_way_out ip saddr != @has_s3_endpoint counter drop
  }}
}}
"""


def load_rules(names: LabNames, script: str) -> None:
    """Loads an nftables script into the router atomically."""
    _run_inside(names, ["nft", "-f", "-"], script)


def run_tc(names: LabNames, arguments: Sequence[str], commands: str) -> str:
    """Runs tc(8) in the router with `commands` as its input and returns its output. Raises CommandError."""
    return _run_inside(names, ["tc", *arguments], commands)


def _run_inside(names: LabNames, argv: Sequence[str], stdin: str) -> str:
    return run(["nsenter", f"--net={namespaces.path_of(names.router_netns)}", *argv], stdin=stdin, timeout=30)
