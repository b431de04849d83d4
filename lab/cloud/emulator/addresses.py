"""Public and private addresses: their allocation and their association.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html
"""

from contextvars import ContextVar
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends, elastic_ip_addresses, elastic_network_interfaces, nat_gateways
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.nat_gateways import NatGateway, NatGatewayBackend
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.nat_gateways import NatGateways
from moto.ec2.utils import random_nat_gateway_id

from lab.cloud.emulator.patching import ec2_error, original, replace
from lab.names import mac_address

_associate = original(ElasticAddressBackend, "associate_address")
_disassociate = original(ElasticAddressBackend, "disassociate_address")
_release = original(ElasticAddressBackend, "release_address")
_init_interface = original(NetworkInterface, "__init__")
_request_ip = original(Subnet, "request_ip")
_answer_create_nat_gateway = original(NatGateways, "create_nat_gateway")

_requested_nat_ip: ContextVar[str | None] = ContextVar("nat_address", default=None)
"""The private address that the current request asks for its NAT gateway."""


def install(public_range: IPv4Network) -> None:
    """Takes public addresses from `public_range`, each only once, and makes associations and NAT gateways behave as on AWS."""
    pool = PublicIpPool(public_range)
    replace(elastic_ip_addresses, "random_ip", pool.allocate)
    replace(elastic_network_interfaces, "random_public_ip", pool.allocate)
    replace(NetworkInterface, "__init__", _make_interface)
    replace(NetworkInterface, "association", property(_public_association))
    replace(NetworkInterface, "start", _start_interface)
    replace(NetworkInterface, "stop", _stop_interface)
    replace(ElasticAddressBackend, "associate_address", _associate_address)
    replace(ElasticAddressBackend, "disassociate_address", _disassociate_address)
    replace(ElasticAddressBackend, "release_address", _release_address)
    replace(NatGateways, "create_nat_gateway", _create_nat_gateway)
    replace(NatGateway, "__init__", _make_nat_gateway)
    replace(NatGatewayBackend, "delete_nat_gateway", _delete_nat_gateway)
    replace(Subnet, "request_ip", _reserve_private_address)
    replace(nat_gateways, "random_private_ip", _fail_random_ip)


class PublicIpPool:
    """Allocates the addresses of a range in turn: one just released is the last to be reused."""

    def __init__(self, network: IPv4Network) -> None:
        self._addresses = list(network.hosts())
        self._next = 0

    def allocate(self) -> str:
        """Returns a free address. Raises AWS's own error if there is none."""
        held = _public_ips_in_use()
        for _ in self._addresses:
            candidate = str(self._addresses[self._next])
            self._next = (self._next + 1) % len(self._addresses)
            if candidate not in held:
                return candidate
        raise ec2_error(
            "InsufficientAddressCapacity", f"Not enough addresses available: all {len(self._addresses)} of the lab's are taken."
        )


def _public_ips_in_use() -> set[str]:
    held: set[str] = set()
    for account in list(ec2_backends.values()):
        for backend in list(account.values()):
            held.update(address.public_ip for address in backend.addresses)
            held.update(nic.public_ip for nic in backend.enis.values() if nic.public_ip)
    return held


def _elastic_ip_of(nic: Any) -> Any | None:
    return next((address for address in nic.ec2_backend.addresses if address.eni is nic), None)


def _make_interface(nic: Any, *args: Any, **kwargs: Any) -> None:
    """Sets the MAC address that the machine's link will have; moto makes one up."""
    _init_interface(nic, *args, **kwargs)
    if nic.private_ip_address:
        nic.mac_address = mac_address(IPv4Address(nic.private_ip_address))


def _public_association(nic: Any) -> dict[str, Any]:
    """On AWS an automatic address belongs to Amazon and has no allocation; moto shows the account as its owner."""
    if not nic.public_ip:
        return {}
    elastic = _elastic_ip_of(nic)
    shown = {"publicIp": nic.public_ip, "publicDnsName": _public_dns_name(nic), "ipOwnerId": "amazon"}
    if elastic is not None:
        shown |= {"ipOwnerId": nic.owner_id, "allocationId": elastic.allocation_id, "associationId": elastic.association_id}
    return shown


def _public_dns_name(nic: Any) -> str:
    """https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html: in us-east-1 the name contains no region."""
    region: str = nic.ec2_backend.region_name
    zone = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{nic.public_ip.replace('.', '-')}.{zone}.amazonaws.com"


def _start_interface(nic: Any) -> None:
    """Keeps an Elastic IP at a start; moto replaces it with an automatic address."""
    if nic.public_ip is None and _elastic_ip_of(nic) is None:
        nic.check_auto_public_ip()


def _stop_interface(nic: Any) -> None:
    """Releases an automatic public address when the instance stops and keeps an Elastic IP; moto drops both."""
    if nic.public_ip_auto_assign and _elastic_ip_of(nic) is None:
        nic.public_ip = None


def _associate_address(
    backend: Any,
    instance: Any = None,
    eni: Any = None,
    address: str | None = None,
    allocation_id: str | None = None,
    reassociate: bool = False,
) -> Any:
    """Moves the address. moto keeps showing it on its old interface, and ignores the instance of a given interface.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html
    """
    elastic = (backend.address_by_ip([address]) if address else backend.address_by_allocation([allocation_id]))[0]
    target = eni or instance.nics[0]
    _require_internet_gateway(backend, target.vpc_id)
    before = elastic.eni
    if before is target:
        return elastic
    held = _elastic_ip_of(target)
    if held is not None:
        if not reassociate:
            raise ec2_error("Resource.AlreadyAssociated", f"resource {target.id} is already associated with {held.association_id}")
        backend.disassociate_address(association_id=held.association_id)
    _associate(backend, instance=instance, eni=eni, address=address, allocation_id=allocation_id, reassociate=reassociate)
    elastic.instance = target.instance
    if before is not None:
        before.public_ip = None
        if before.instance is not None and before.instance.state == "running":
            before.check_auto_public_ip()
    return elastic


def _disassociate_address(backend: Any, address: str | None = None, association_id: str | None = None) -> None:
    """Refuses to disassociate a NAT gateway's address: its interface does not belong to the caller."""
    elastic = (backend.address_by_ip([address]) if address else backend.address_by_association([association_id]))[0]
    if elastic.eni is not None and elastic.eni.interface_type == "nat_gateway":
        raise ec2_error("AuthFailure", "You do not have permission to access the specified resource.")
    _disassociate(backend, address=address, association_id=association_id)


def _release_address(backend: Any, address: str | None = None, allocation_id: str | None = None) -> None:
    """AWS releases only addresses without an association."""
    elastic = (backend.address_by_ip([address]) if address else backend.address_by_allocation([allocation_id]))[0]
    if elastic.eni is not None:
        raise ec2_error("InvalidIPAddress.InUse", f"Address {elastic.public_ip} is in use.")
    _release(backend, address=address, allocation_id=allocation_id)


def _require_internet_gateway(backend: Any, vpc_id: str) -> None:
    if not any(gateway.vpc is not None and gateway.vpc.id == vpc_id for gateway in backend.internet_gateways.values()):
        raise ec2_error("Gateway.NotAttached", f"Network {vpc_id} is not attached to any internet gateway")


def _create_nat_gateway(response: Any) -> Any:
    """moto does not read PrivateIpAddress: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNatGateway.html"""
    token = _requested_nat_ip.set(response._get_param("PrivateIpAddress"))
    try:
        return _answer_create_nat_gateway(response)
    finally:
        _requested_nat_ip.reset(token)


def _make_nat_gateway(
    gateway: Any, backend: Any, subnet_id: str, allocation_id: str, tags: dict[str, str] | None = None, connectivity_type: str | None = None
) -> None:
    """Gives a NAT gateway an address of its subnet, on an interface of its own kind; moto takes any address of 10.0.0.0/8."""
    gateway.id = random_nat_gateway_id()
    gateway.ec2_backend = backend
    gateway.subnet_id = subnet_id
    gateway.connectivity_type = connectivity_type or "public"
    gateway.address_set = []
    gateway.state = "available"
    gateway._created_at = utcnow()
    subnet = backend.get_subnet(subnet_id)
    gateway.vpc_id = subnet.vpc_id
    if gateway.connectivity_type == "public":
        _require_internet_gateway(backend, subnet.vpc_id)
    wanted = _requested_nat_ip.get()
    if wanted:
        subnet.request_ip(wanted, gateway)
    gateway.private_ip = wanted or subnet.get_available_subnet_ip(instance=gateway)
    nic = backend.create_network_interface(subnet, gateway.private_ip, description=f"Interface for NAT Gateway {gateway.id}")
    nic.interface_type, nic.status, nic.requester_managed = "nat_gateway", "in-use", True
    gateway._eni = nic
    if allocation_id and gateway.connectivity_type == "public":
        backend.associate_address(eni=nic, allocation_id=allocation_id)
    gateway.add_tags(tags or {})


def _delete_nat_gateway(backend: Any, nat_gateway_id: str) -> Any:
    """Releases the interface, the private address and the Elastic IP's association, which moto keeps."""
    gateway = backend.nat_gateways.get(nat_gateway_id)
    if gateway is None:
        raise ec2_error("NatGatewayNotFound", f"The Nat Gateway {nat_gateway_id} was not found")
    if gateway.state != "deleted":
        gateway.state = "deleted"
        nic = gateway._eni
        elastic = _elastic_ip_of(nic)
        if elastic is not None:
            _disassociate(backend, association_id=elastic.association_id)
        nic.delete()
    return gateway


def _reserve_private_address(subnet: Any, ip: str, instance: Any) -> None:
    """Refuses an address that is outside the subnet, reserved or in use with AWS's own errors; moto crashes (HTTP 500) or accepts it.

    https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html: the first four addresses and the last one are reserved.
    """
    address = IPv4Address(ip)
    network = IPv4Network(subnet.cidr_block)
    if address not in network:
        raise ec2_error("InvalidParameterValue", f"Address {ip} does not fall within the subnet's address range")
    if int(address) - int(network.network_address) < 4 or address == network.broadcast_address:
        raise ec2_error("InvalidParameterValue", f"Address {ip} is in subnet's reserved address range")
    if any(nic.subnet.id == subnet.id and nic.private_ip_address == ip for nic in subnet.ec2_backend.enis.values()):
        raise ec2_error("InvalidIPAddress.InUse", f"Address {ip} is in use.")
    try:
        _request_ip(subnet, ip, instance)
    except Exception as error:  # moto raises a bare Exception
        raise ec2_error("InvalidIPAddress.InUse", f"Address {ip} is in use.") from error


def _fail_random_ip() -> str:
    raise AssertionError("NAT gateways take their private address from their subnet")
