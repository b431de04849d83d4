"""VPC endpoints: the services that offer them, and differences between what moto and AWS show.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpoint.html
"""

from typing import Any

from moto.ec2.models import vpcs
from moto.ec2.models.managed_prefixes import ManagedPrefixList
from moto.ec2.models.vpcs import VPCBackend, VPCEndPoint

from lab.cloud.emulator.patching import original, replace

GATEWAY_SERVICES = ["s3", "dynamodb"]
"""The services with gateway endpoints. For all others moto's generic description of an interface endpoint is used."""

_init = original(VPCEndPoint, "__init__")
_delete = original(VPCBackend, "delete_vpc_endpoints")


def install() -> None:
    """Replaces the list of services: moto builds it by loading all services that it emulates, and blocks other calls for seconds."""
    replace(vpcs, "IMPLEMENTED_ENDPOINT_SERVICES", GATEWAY_SERVICES)
    replace(vpcs, "COVERED_ENDPOINT_SERVICES", GATEWAY_SERVICES)
    ManagedPrefixList.cidrs = property(_cidrs)  # pyright: ignore[reportAttributeAccessIssue] - moto's class has no such attribute
    replace(VPCEndPoint, "__init__", _init_endpoint)
    replace(VPCBackend, "delete_vpc_endpoints", _delete_endpoints)


def _init_endpoint(endpoint: Any, *args: Any, **kwargs: Any) -> None:
    """Makes an endpoint without a type a gateway, which has no private DNS; moto keeps no type and shows private DNS as enabled."""
    _init(endpoint, *args, **kwargs)
    endpoint.vpc_endpoint_type = endpoint.vpc_endpoint_type or "Gateway"
    if endpoint.vpc_endpoint_type.lower() == "gateway":
        endpoint.private_dns_enabled = False


def _delete_endpoints(backend: Any, vpce_ids: list[str] | None = None) -> None:
    """Removes deleted endpoints from the list; moto shows them as `deleted` forever."""
    _delete(backend, vpce_ids)
    for identifier in vpce_ids or []:
        backend.vpc_end_points.pop(identifier, None)


def _cidrs(prefix_list: Any) -> list[str]:
    """Returns the addresses of AWS's own prefix lists, which DescribePrefixLists shows and moto leaves out.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_PrefixList.html
    """
    entries: list[dict[str, str]] = prefix_list.entries.get(prefix_list.version) or []
    return [entry["Cidr"] for entry in entries]
