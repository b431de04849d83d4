"""Route tables, routes and associations."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator
from typing import Any, Final

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, retag, tag_map, tag_specifications, to_api_params
from lab.provider.rules.model import TypeRules, Violation, as_list, indexed_dicts, name_set
from lab.provider.rules.validators import cidr4, cidr6

_TARGETS: Final = {
    "carrierGatewayId": "CarrierGatewayId",
    "coreNetworkArn": "CoreNetworkArn",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "gatewayId": "GatewayId",
    "localGatewayId": "LocalGatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}
_DESTINATIONS: Final = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_INLINE: Final = {
    "cidrBlock": "DestinationCidrBlock",
    "ipv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}


ROUTE_TARGETS: Final = (
    "carrierGatewayId", "coreNetworkArn", "egressOnlyGatewayId", "gatewayId", "localGatewayId", "natGatewayId", "networkInterfaceId",
    "odbNetworkArn", "transitGatewayId", "vpcEndpointId", "vpcPeeringConnectionId",
)  # fmt: skip


def _route_violations(props: dict[str, Any]) -> Iterator[Violation]:
    if props.get("gatewayId") == "local":
        yield Violation("gatewayId", 'cannot create a route to "local": the table has it already')
    if "destinationPrefixListId" in props and "vpcEndpointId" in props:
        yield Violation("vpcEndpointId", "conflicts with destinationPrefixListId: a gateway endpoint adds its own routes")
    if "egressOnlyGatewayId" in props and "destinationCidrBlock" in props:
        yield Violation("egressOnlyGatewayId", "serves IPv6 destinations only")


def _inline_route_violations(props: dict[str, Any]) -> Iterator[Violation]:
    for index, route in indexed_dicts(props.get("routes")):
        destinations = [name for name in ("cidrBlock", "ipv6CidrBlock", "destinationPrefixListId") if route.get(name) is not None]
        targets = [name for name in ROUTE_TARGETS if route.get(name) is not None]
        for given, kind in ((destinations, "destination"), (targets, "target")):
            if len(given) != 1:
                yield Violation(f"routes[{index}]", f"exactly one {kind} must be given; got {', '.join(given) or 'none'}")


def _table(client: ApiClient, identifier: str) -> dict[str, Any] | None:
    return client.first("ec2.describe_route_tables", "RouteTables", RouteTableIds=[identifier])


def _put_route(client: ApiClient, table: dict[str, Any], route: dict[str, Any], verb: str = "create") -> None:
    """Create or replace a route after what AWS checks of its target, which moto does not or breaks on."""
    operation, vpc = f"ec2.{verb}_route", table["VpcId"]
    if gateway := route.get("GatewayId"):
        attached = client.list_all("ec2.describe_internet_gateways", "InternetGateways", Filters=filters(attachment__vpc_id=vpc))
        if gateway.startswith("igw-") and gateway not in [item["InternetGatewayId"] for item in attached]:
            message = f"route table {table['RouteTableId']} and network gateway {gateway} belong to different networks"
            raise client.api_error(operation, "InvalidParameterValue", message)
    if nat := route.get("NatGatewayId"):
        found = client.first("ec2.describe_nat_gateways", "NatGateways", NatGatewayIds=[nat])
        if found is None or found["State"] in ("deleted", "deleting"):
            raise client.api_error(operation, "InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat}' does not exist")
        if found["VpcId"] != vpc:
            message = f"route table {table['RouteTableId']} and nat gateway {nat} belong to different networks"
            raise client.api_error(operation, "InvalidParameterValue", message)
    if destination := route.get("DestinationCidrBlock"):
        own = client.call("ec2.describe_vpcs", VpcIds=[vpc])["Vpcs"][0]["CidrBlock"]
        if ipaddress.IPv4Network(destination) == ipaddress.IPv4Network(own):
            message = f"The destination CIDR block {destination} is equal to or more specific than the local route of the VPC"
            raise client.api_error(operation, "InvalidParameterValue", message)
    client.call(operation, RouteTableId=table["RouteTableId"], **route)


class RouteTable(Handler):
    """`aws.ec2.RouteTable`."""

    label = "EC2 Route Table"
    rules = TypeRules(
        unsupported=name_set("propagatingVgws"),
        checks={"routes[].cidrBlock": cidr4, "routes[].ipv6CidrBlock": cidr6},
        cross_check=_inline_route_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        made = client.call("ec2.create_route_table", VpcId=news["vpcId"], TagSpecifications=tag_specifications("route-table", news))
        return str(made["RouteTable"]["RouteTableId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        table = _table(client, identifier) or {}
        for route in as_list(news.get("routes")):
            _put_route(client, table, to_api_params(route, _INLINE | _TARGETS))

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        table = _table(client, identifier)
        if table is None:
            return None
        return {
            "arn": client.arn("ec2", f"route-table/{identifier}"),
            "vpcId": table["VpcId"],
            "ownerId": client.account(),
            "routes": [_inline(route) for route in as_list(table.get("Routes")) if _is_user_route(route)],
            "propagatingVgws": [],
            "tagsAll": tag_map(table.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "routes" in changed:
            table = _table(client, identifier) or {}
            live = {_destination(_inline(route)): _inline(route) for route in as_list(table.get("Routes")) if _is_user_route(route)}
            wanted: dict[str, Props] = {_destination(route): route for route in as_list(news.get("routes"))}
            for destination, route in live.items():
                if destination not in wanted:
                    client.call("ec2.delete_route", RouteTableId=identifier, **to_api_params(route, _INLINE))
            for destination, route in wanted.items():
                request = to_api_params(route, _INLINE | _TARGETS)
                if destination not in live:
                    _put_route(client, table, request)
                elif request != to_api_params(live[destination], _INLINE | _TARGETS):
                    _put_route(client, table, request, "replace")
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        del state
        for association in as_list((_table(client, identifier) or {}).get("Associations")):
            if not association.get("Main"):
                client.call("ec2.disassociate_route_table", AssociationId=association["RouteTableAssociationId"])
        ignore_missing(lambda: client.call("ec2.delete_route_table", RouteTableId=identifier))


def _is_user_route(route: dict[str, Any]) -> bool:
    """Not the local route, not one that a gateway endpoint or a VPN put there."""
    target = str(route.get("GatewayId") or route.get("VpcEndpointId") or "")
    from_endpoint = bool(route.get("DestinationPrefixListId")) and target.startswith("vpce-")
    return target != "local" and not from_endpoint and route.get("Origin") != "EnableVgwRoutePropagation"


def _inline(route: dict[str, Any]) -> Props:
    return {name: route[key] for name, key in (_INLINE | _TARGETS).items() if route.get(key)}


def _destination(route: Props) -> str:
    return str(next(route[name] for name in _INLINE if route.get(name)))


class Route(Handler):
    """`aws.ec2.Route`."""

    label = "EC2 Route"
    rules = TypeRules(
        checks={"destinationCidrBlock": cidr4, "destinationIpv6CidrBlock": cidr6},
        cross_check=_route_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        table = _table(client, news["routeTableId"])
        if table is None:
            message = f"The routeTable ID '{news['routeTableId']}' does not exist"
            raise client.api_error("ec2.create_route", "InvalidRouteTableID.NotFound", message)
        _put_route(client, table, to_api_params(news, _DESTINATIONS | _TARGETS))
        destination = next(str(news[name]) for name in _DESTINATIONS if news.get(name))
        return f"r-{news['routeTableId']}{zlib.crc32(destination.encode())}"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        route = _route(client, state)
        if route is None:
            return None
        live: Props = {name: route.get(key) or None for name, key in (_DESTINATIONS | _TARGETS).items()}
        return live | {
            "routeTableId": state["routeTableId"],
            "instanceId": route.get("InstanceId") or "",
            "instanceOwnerId": route.get("InstanceOwnerId") or "",
            "origin": route.get("Origin") or "CreateRoute",
            "state": route.get("State") or "active",
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        _put_route(client, _table(client, news["routeTableId"]) or {}, to_api_params(news, _DESTINATIONS | _TARGETS), "replace")

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        if _route(client, state) is not None:
            given = {key: state[name] for name, key in _DESTINATIONS.items() if state.get(name)}
            ignore_missing(lambda: client.call("ec2.delete_route", RouteTableId=state["routeTableId"], **given))

    def parse_import_id(self, identifier: str) -> Props:
        table, _, destination = identifier.partition("_")
        name = "destinationPrefixListId" if destination.startswith("pl-") else "destinationCidrBlock"
        return {"routeTableId": table, name: destination}


def _route(client: ApiClient, state: Props) -> dict[str, Any] | None:
    for route in as_list((_table(client, state["routeTableId"]) or {}).get("Routes")):
        if any(state.get(name) and route.get(key) == state[name] for name, key in _DESTINATIONS.items()):
            return route
    return None


class RouteTableAssociation(Handler):
    """`aws.ec2.RouteTableAssociation`. A changed table gives it a new id at AWS, which the engine cannot be told."""

    label = "EC2 Route Table Association"

    def create(self, client: ApiClient, news: Props) -> str:
        operation, table = "ec2.associate_route_table", _table(client, news["routeTableId"])
        if table is None:
            raise client.api_error(operation, "InvalidRouteTableID.NotFound", f"The routeTable ID '{news['routeTableId']}' does not exist")
        if subnet := news.get("subnetId"):
            found = client.first("ec2.describe_subnets", "Subnets", SubnetIds=[subnet])
            if found is None:
                raise client.api_error(operation, "InvalidSubnetID.NotFound", f"The subnet ID '{subnet}' does not exist")
            if found["VpcId"] != table["VpcId"]:
                message = f"Route table {table['RouteTableId']} and subnet {subnet} belong to different networks"
                raise client.api_error(operation, "InvalidParameterValue", message)
        if other := _association(client, news):
            message = f"the specified association for route table {news['routeTableId']} conflicts with an existing association ({other})"
            raise client.api_error(operation, "Resource.AlreadyAssociated", message)
        made = client.call(operation, RouteTableId=news["routeTableId"], SubnetId=news.get("subnetId"), GatewayId=news.get("gatewayId"))
        return str(made["AssociationId"])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        association = _association(client, state)
        if association is None:
            return None
        table = client.call("ec2.describe_route_tables", Filters=filters(association__route_table_association_id=association))[
            "RouteTables"
        ][0]
        return {"routeTableId": table["RouteTableId"], "subnetId": state.get("subnetId"), "gatewayId": state.get("gatewayId")}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        client.call(
            "ec2.replace_route_table_association", AssociationId=_association(client, olds) or identifier, RouteTableId=news["routeTableId"]
        )

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        if association := _association(client, state):
            ignore_missing(lambda: client.call("ec2.disassociate_route_table", AssociationId=association))

    def parse_import_id(self, identifier: str) -> Props:
        target, _, table = identifier.partition("/")
        return {"subnetId" if target.startswith("subnet-") else "gatewayId": target, "routeTableId": table}


def _association(client: ApiClient, props: Props) -> str | None:
    """The id of the explicit association of a subnet or gateway."""
    name, key = ("subnetId", "SubnetId") if props.get("subnetId") else ("gatewayId", "GatewayId")
    for table in client.list_all("ec2.describe_route_tables", "RouteTables"):
        for association in as_list(table.get("Associations")):
            if association.get(key) == props[name] and not association.get("Main"):
                return str(association["RouteTableAssociationId"])
    return None
