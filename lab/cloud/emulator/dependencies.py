"""Refuses, as AWS does and moto does not, to delete what is still in use. Each error has AWS's own code and message."""

from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend

from lab.cloud.emulator.patching import ec2_error, original, replace

_delete_nic = original(NetworkInterfaceBackend, "delete_network_interface")
_detach_gateway = original(InternetGatewayBackend, "detach_internet_gateway")
_attach_gateway = original(InternetGatewayBackend, "attach_internet_gateway")
_delete_group = original(SecurityGroupBackend, "delete_security_group")
_delete_subnet = original(SubnetBackend, "delete_subnet")
_delete_vpc = original(VPCBackend, "delete_vpc")

_vpcs_being_deleted: set[str] = set()
"""A default security group can only be deleted with its VPC."""


def install() -> None:
    """Patches the deletions."""
    replace(NetworkInterface, "delete", _release_interface)
    replace(NetworkInterfaceBackend, "delete_network_interface", _delete_network_interface)
    replace(InternetGatewayBackend, "attach_internet_gateway", _attach_internet_gateway)
    replace(InternetGatewayBackend, "detach_internet_gateway", _detach_internet_gateway)
    replace(SecurityGroupBackend, "delete_security_group", _delete_security_group)
    replace(SubnetBackend, "delete_subnet", _refuse_subnet_in_use)
    replace(VPCBackend, "delete_vpc", _refuse_vpc_in_use)


def _release_interface(nic: Any) -> None:
    """Deletes an interface as AWS itself does, with its instance or NAT gateway."""
    nic.ec2_backend.enis.pop(nic.id, None)
    for address in nic.private_ip_addresses:
        nic.subnet.del_subnet_ip(address["PrivateIpAddress"])


def _delete_network_interface(backend: Any, eni_id: str) -> None:
    nic = backend.get_network_interface(eni_id)
    if nic.status == "in-use":
        raise ec2_error("InvalidNetworkInterface.InUse", f"Interface: [{eni_id}] in use.")
    _delete_nic(backend, eni_id)
    for address in nic.private_ip_addresses:
        nic.subnet.del_subnet_ip(address["PrivateIpAddress"])


def _attach_internet_gateway(backend: Any, internet_gateway_id: str, vpc_id: str) -> Any:
    if any(gateway.vpc is not None and gateway.vpc.id == vpc_id for gateway in backend.internet_gateways.values()):
        raise ec2_error("InvalidParameterValue", f"Network {vpc_id} already has an internet gateway attached")
    return _attach_gateway(backend, internet_gateway_id, vpc_id)


def _detach_internet_gateway(backend: Any, internet_gateway_id: str, vpc_id: str) -> None:
    if any(nic.vpc_id == vpc_id and nic.public_ip for nic in backend.enis.values()):
        raise ec2_error(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
        )
    _detach_gateway(backend, internet_gateway_id, vpc_id)


def _delete_security_group(backend: Any, name: str | None = None, group_id: str | None = None) -> None:
    group = backend.get_security_group_from_id(group_id) if group_id else None
    if group is not None:
        if group.name == "default" and group.vpc_id not in _vpcs_being_deleted:
            raise ec2_error("CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user')
        used = any(member.id == group_id for nic in backend.enis.values() for member in nic.group_set)
        if used or group_id in _referenced_groups(backend, by_others_than=group_id):
            raise ec2_error("DependencyViolation", f"resource {group_id} has a dependent object")
    _delete_group(backend, name=name, group_id=group_id)


def _referenced_groups(backend: Any, *, by_others_than: str | None) -> set[str]:
    return {
        rule.source_group["GroupId"]
        for groups in backend.groups.values()
        for group in groups.values()
        if group.id != by_others_than
        for rule in [*group.ingress_rules, *group.egress_rules]
        if rule.source_group.get("GroupId")
    }


def _refuse_subnet_in_use(backend: Any, subnet_id: str) -> Any:
    if any(nic.subnet.id == subnet_id for nic in backend.enis.values()):
        raise ec2_error("DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    return _delete_subnet(backend, subnet_id)


def _refuse_vpc_in_use(backend: Any, vpc_id: str) -> Any:
    attached = any(gateway.vpc is not None and gateway.vpc.id == vpc_id for gateway in backend.internet_gateways.values())
    groups = any(group.name != "default" for group in backend.groups.get(vpc_id, {}).values())
    endpoints = any(endpoint.vpc_id == vpc_id and endpoint.state != "deleted" for endpoint in backend.vpc_end_points.values())
    if attached or groups or endpoints:
        raise ec2_error("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    _vpcs_being_deleted.add(vpc_id)
    try:
        return _delete_vpc(backend, vpc_id)
    finally:
        _vpcs_being_deleted.discard(vpc_id)
