"""VPC endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.handler import Handler, added_and_removed, ignore_missing, retag, tag_map, tag_specifications
from lab.provider.rules.model import TypeRules, Violation, as_list, name_set
from lab.provider.rules.validators import document, one_of

_CHANGES: Final = (("routeTableIds", "RouteTableIds"), ("subnetIds", "SubnetIds"), ("securityGroupIds", "SecurityGroupIds"))


def _endpoint_violations(props: dict[str, Any]) -> Iterator[Violation]:
    if props.get("vpcEndpointType", "Gateway") == "Gateway":
        for name in ("subnetIds", "securityGroupIds", "privateDnsEnabled", "subnetConfigurations"):
            if props.get(name):
                yield Violation(name, "a Gateway endpoint has none; set vpcEndpointType to Interface or leave it out")


class VpcEndpoint(Handler):
    """`aws.ec2.VpcEndpoint`."""

    label = "EC2 VPC Endpoint"
    rules = TypeRules(
        unsupported=name_set("dnsOptions ipAddressType resourceConfigurationArn serviceNetworkArn serviceRegion subnetConfigurations"),
        checks={
            "vpcEndpointType": one_of("Interface", "Gateway", "GatewayLoadBalancer", "Resource", "ServiceNetwork"),
            "policy": document,
        },
        cross_check=_endpoint_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        operation, service = "ec2.create_vpc_endpoint", news.get("serviceName")
        offered = as_list(client.call("ec2.describe_vpc_endpoint_services").get("ServiceNames"))
        if service not in offered:
            raise client.api_error(operation, "InvalidServiceName", f"The Vpc Endpoint Service '{service}' does not exist")
        for other in _endpoints(client, news["vpcId"]):
            shared = set(as_list(other.get("RouteTableIds"))) & set(as_list(news.get("routeTableIds")))
            if other["ServiceName"] == service and shared:
                message = f"route table {sorted(shared)[0]} already has a route with destination-prefix-list-id of {service}"
                raise client.api_error(operation, "RouteAlreadyExists", message)
        made = client.call(
            operation,
            VpcId=news["vpcId"],
            ServiceName=service,
            VpcEndpointType=news.get("vpcEndpointType") or "Gateway",
            PolicyDocument=_policy_json(news.get("policy")),
            RouteTableIds=news.get("routeTableIds"),
            SubnetIds=news.get("subnetIds"),
            SecurityGroupIds=news.get("securityGroupIds"),
            PrivateDnsEnabled=news.get("privateDnsEnabled"),
            TagSpecifications=tag_specifications("vpc-endpoint", news),
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        del news
        client.wait(f"endpoint {identifier}", lambda: str((_endpoint(client, identifier) or {}).get("State")).lower(), "available")

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        endpoint = _endpoint(client, identifier)
        if endpoint is None or endpoint["State"].lower() in ("deleted", "deleting"):
            return None
        # As internal/service/ec2/vpc_endpoint.go does (`findPrefixListByName`), and for gateways alone.
        wanted = filters(prefix_list_name=endpoint["ServiceName"])
        gateway = endpoint.get("VpcEndpointType") == "Gateway"
        prefix_list = client.first("ec2.describe_prefix_lists", "PrefixLists", Filters=wanted) if gateway else None
        return {
            "arn": client.arn("ec2", f"vpc-endpoint/{identifier}"),
            "vpcId": endpoint["VpcId"],
            "serviceName": endpoint["ServiceName"],
            "vpcEndpointType": endpoint.get("VpcEndpointType") or "Gateway",
            "policy": endpoint.get("PolicyDocument") or state.get("policy"),
            "privateDnsEnabled": bool(endpoint.get("PrivateDnsEnabled")),
            "routeTableIds": sorted(as_list(endpoint.get("RouteTableIds"))),
            "subnetIds": sorted(as_list(endpoint.get("SubnetIds"))),
            "securityGroupIds": sorted(_groups(endpoint)),
            "prefixListId": prefix_list["PrefixListId"] if prefix_list else None,
            "cidrBlocks": as_list(prefix_list.get("Cidrs")) if prefix_list else [],
            "state": endpoint["State"].lower(),
            "ownerId": client.account(),
            "requesterManaged": False,
            "dnsEntries": [],
            "networkInterfaceIds": as_list(endpoint.get("NetworkInterfaceIds")),
            "tagsAll": tag_map(endpoint.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        request: dict[str, Any] = {}
        for name, parameter in _CHANGES:
            if name in changed:
                added, removed = added_and_removed(olds, news, name)
                request |= {f"Add{parameter}": added} if added else {}
                request |= {f"Remove{parameter}": removed} if removed else {}
        if "policy" in changed:
            request |= {"PolicyDocument": _policy_json(news["policy"])} if news.get("policy") else {"ResetPolicy": True}
        if "privateDnsEnabled" in changed:
            request["PrivateDnsEnabled"] = bool(news.get("privateDnsEnabled"))
        if request:
            client.call("ec2.modify_vpc_endpoint", VpcEndpointId=identifier, **request)
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        del state
        ignore_missing(lambda: client.call("ec2.delete_vpc_endpoints", VpcEndpointIds=[identifier]))
        client.wait(f"endpoint {identifier}", lambda: str((_endpoint(client, identifier) or {}).get("State", "deleted")).lower(), "deleted")


def _groups(endpoint: dict[str, Any]) -> list[str]:
    return [str(item["GroupId"]) for item in as_list(endpoint.get("Groups"))]


def _endpoint(client: ApiClient, identifier: str) -> dict[str, Any] | None:
    return client.first("ec2.describe_vpc_endpoints", "VpcEndpoints", VpcEndpointIds=[identifier])


def _endpoints(client: ApiClient, vpc: str) -> list[dict[str, Any]]:
    found = client.list_all("ec2.describe_vpc_endpoints", "VpcEndpoints", Filters=filters(vpc_id=vpc))
    return [endpoint for endpoint in found if endpoint["State"].lower() not in ("deleted", "deleting")]


def _policy_json(policy: Any) -> str | None:
    return policy if isinstance(policy, str) or policy is None else json.dumps(policy)
