"""VPC endpoints: the services that they can be had for, and what moto shows of them that AWS does not.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpoint.html
"""

from typing import Any

from moto.ec2.models import vpcs
from moto.ec2.models.managed_prefixes import ManagedPrefixList
from moto.ec2.models.vpcs import VPCBackend, VPCEndPoint

from lab.cloud.emulator.patching import original, replace

GATEWAY_SERVICES = ["s3", "dynamodb"]
"""Those with gateway endpoints; for all others moto's common description of an interface endpoint serves."""

_init = original(VPCEndPoint, "__init__")
_delete = original(VPCBackend, "delete_vpc_endpoints")


def install() -> None:
    """To list the services moto asks every one that it emulates and loads all their code: seconds in which no other call is answered."""
    replace(vpcs, "IMPLEMENTED_ENDPOINT_SERVICES", GATEWAY_SERVICES)
    replace(vpcs, "COVERED_ENDPOINT_SERVICES", GATEWAY_SERVICES)
    ManagedPrefixList.cidrs = property(_cidrs)  # pyright: ignore[reportAttributeAccessIssue] - moto's class has no such attribute
    replace(VPCEndPoint, "__init__", _init_endpoint)
    replace(VPCBackend, "delete_vpc_endpoints", _delete_endpoints)


def _init_endpoint(endpoint: Any, *args: Any, **kwargs: Any) -> None:
    """An endpoint of which nothing is said is a gateway, which has no private DNS; moto keeps no type, and says that it has."""
    _init(endpoint, *args, **kwargs)
    endpoint.vpc_endpoint_type = endpoint.vpc_endpoint_type or "Gateway"
    if endpoint.vpc_endpoint_type.lower() == "gateway":
        endpoint.private_dns_enabled = False


def _delete_endpoints(backend: Any, vpce_ids: list[str] | None = None) -> None:
    """A deleted endpoint is not listed for ever; moto shows it as `deleted`."""
    _delete(backend, vpce_ids)
    for identifier in vpce_ids or []:
        backend.vpc_end_points.pop(identifier, None)


def _cidrs(prefix_list: Any) -> list[str]:
    """The addresses of AWS's own lists, which DescribePrefixLists tells and moto leaves out.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_PrefixList.html
    """
    entries: list[dict[str, str]] = prefix_list.entries.get(prefix_list.version) or []
    return [entry["Cidr"] for entry in entries]
