"""What an auditor would ask of the network, asked of the API."""

import json
from ipaddress import IPv4Network
from typing import Any

import pytest

from stack.firewall import FLOWS
from tests.aws.api import Api, Resource, tags
from tests.aws.harness import Stack

EVERYWHERE = "0.0.0.0/0"
ACCOUNT = "123456789012"


def own(api: Api, what: str) -> list[Resource]:
    """Those of the stack's VPC: the account's default VPC is nobody's business here."""
    vpc = api.vpc()["VpcId"]
    return [one for one in api.describe(what) if one.get("VpcId") == vpc]


def group_names(api: Api) -> dict[str, str]:
    """The groups of the stack's VPC: their ids, and what they are for."""
    return {one["GroupId"]: tags(one).get("Name", "") for one in own(api, "security_groups")}


def rules(api: Api) -> list[Resource]:
    groups = group_names(api)
    return [one for one in api.describe("security_group_rules") if one["GroupId"] in groups]


def test_nothing_is_open_to_the_world_but_http_and_https_of_the_load_balancer(each: Stack) -> None:
    groups = group_names(each.api)
    by_address = [rule for rule in rules(each.api) if not rule["IsEgress"] and not rule.get("ReferencedGroupInfo")]
    assert sorted((groups[rule["GroupId"]], rule["FromPort"], rule["ToPort"], rule["CidrIpv4"]) for rule in by_address) == [
        (f"{each.name}-load-balancer", 80, 80, EVERYWHERE),
        (f"{each.name}-load-balancer", 443, 443, EVERYWHERE),
    ]


def test_the_rules_are_those_of_the_firewall_s_table_and_no_more(each: Stack) -> None:
    groups = group_names(each.api)
    found = [
        (
            "out" if rule["IsEgress"] else "in",
            groups[rule["GroupId"]].removeprefix(f"{each.name}-"),
            rule["IpProtocol"],
            rule["FromPort"],
            rule["ToPort"],
            groups[rule["ReferencedGroupInfo"]["GroupId"]].removeprefix(f"{each.name}-")
            if rule.get("ReferencedGroupInfo")
            else rule["CidrIpv4"],
        )
        for rule in rules(each.api)
    ]
    out = [("out", role, "tcp", port, port, EVERYWHERE) for role in ("database", "load-balancer", "web") for port in (80, 443)]
    between = [
        ("load-balancer", "web", 8443),
        ("web", "database", 3306),
        ("web", "database", 9200),
        ("database", "database", 3306),
        ("database", "database", 9200),
    ]
    expected = [
        *out,
        *(("out", source, "tcp", port, port, target) for source, target, port in between),
        *(("in", target, "tcp", port, port, source) for source, target, port in between),
        *(("in", "load-balancer", "tcp", port, port, EVERYWHERE) for port in (80, 443)),
    ]
    assert sorted(found) == sorted(expected)
    assert {rule.get("Description") for rule in rules(each.api)} == {flow.description for flow in FLOWS}, "each rule says why it is there"


def test_the_default_group_has_no_rule_at_all(each: Stack) -> None:
    (default,) = [one for one in own(each.api, "security_groups") if one["GroupName"] == "default"]
    assert (default["IpPermissions"], default["IpPermissionsEgress"]) == ([], [])
    assert [rule for rule in rules(each.api) if rule["GroupId"] == default["GroupId"]] == []


def test_every_zone_has_three_subnets_and_only_the_load_balancer_s_gives_public_addresses(each: Stack, zones: list[str]) -> None:
    subnets = own(each.api, "subnets")
    tiers = {tags(one)["Name"].removeprefix(f"{each.name}-"): one for one in subnets}
    numbers = range(1, len(zones) + 1)
    assert sorted(tiers) == sorted(f"{tier}-{number}" for tier in ("public", "app", "data") for number in numbers)
    assert [name for name, one in tiers.items() if one["MapPublicIpOnLaunch"]] == ["public-1"]
    for name, one in tiers.items():
        assert one["AvailabilityZone"] == zones[int(name[-1]) - 1], name
        assert IPv4Network(one["CidrBlock"]).subnet_of(IPv4Network(each.api.vpc()["CidrBlock"])), name


@pytest.fixture
def zones(each: Stack) -> list[str]:
    """The availability zones that the stack's file asks for."""
    return [f"eu-central-1{letter}" for letter in {"dev": "ab", "prod": "abc"}[each.name]]


def test_there_is_one_nat_gateway_in_dev_and_one_in_each_zone_of_prod(dev: Stack, prod: Stack) -> None:
    def places(stack: Stack) -> list[str]:
        subnets = {one["SubnetId"]: tags(one)["Name"] for one in own(stack.api, "subnets")}
        return sorted(subnets[gateway["SubnetId"]] for gateway in stack.api.describe("nat_gateways"))

    assert places(dev) == ["dev-public-1"]
    assert places(prod) == ["prod-public-1", "prod-public-2", "prod-public-3"]


def test_private_subnets_leave_by_their_nat_gateway_and_public_ones_by_the_internet_gateway(each: Stack, zones: list[str]) -> None:
    subnets = {one["SubnetId"]: tags(one)["Name"].removeprefix(f"{each.name}-") for one in own(each.api, "subnets")}
    gateways = {one["NatGatewayId"]: subnets[one["SubnetId"]][-1] for one in each.api.describe("nat_gateways")}
    ways: dict[str, str] = {}
    for table in own(each.api, "route_tables"):
        routes: list[Resource] = [route for route in table["Routes"] if route.get("DestinationCidrBlock") == EVERYWHERE]
        for association in table["Associations"]:
            if not association.get("SubnetId"):
                assert routes == [], "the main table, which a forgotten subnet would use, leads nowhere"
                continue
            (route,) = routes
            nat = route.get("NatGatewayId")
            ways[subnets[association["SubnetId"]]] = f"nat-{gateways[nat]}" if nat else route["GatewayId"].partition("-")[0]
    numbers = range(1, len(zones) + 1)
    nat = {number: "nat-1" if each.name == "dev" else f"nat-{number}" for number in numbers}
    assert ways == {
        **{f"public-{number}": "igw" for number in numbers},
        **{f"{tier}-{number}": nat[number] for tier in ("app", "data") for number in numbers},
    }


def test_traffic_is_logged_and_the_log_is_kept_for_as_long_as_configured(each: Stack) -> None:
    (log,) = each.api.describe("flow_logs")
    (group,) = each.api.logs.describe_log_groups()["logGroups"]
    assert (log["ResourceId"], log["TrafficType"], log["FlowLogStatus"]) == (each.api.vpc()["VpcId"], "ALL", "ACTIVE")
    assert log["LogGroupName"] == group.get("logGroupName")
    assert group.get("retentionInDays") == {"dev": 7, "prod": 90}[each.name]


def test_the_way_to_s3_leads_to_the_artifact_bucket_and_the_session_manager_agent_alone(each: Stack) -> None:
    (endpoint,) = each.api.describe("vpc_endpoints")
    private = {one["RouteTableId"] for one in own(each.api, "route_tables") if tags(one)}
    assert (endpoint["VpcEndpointType"], endpoint["ServiceName"]) == ("Gateway", "com.amazonaws.eu-central-1.s3")
    assert set(endpoint["RouteTableIds"]) == private
    statements: list[dict[str, Any]] = json.loads(endpoint["PolicyDocument"])["Statement"]
    bucket = f"arn:aws:s3:::{each.api.bucket()}"
    assert [(one["Effect"], one["Action"], one["Resource"]) for one in statements] == [
        ("Allow", ["s3:GetObject", "s3:PutObject", "s3:ListBucket"], [bucket, f"{bucket}/*"]),
        ("Allow", "s3:GetObject", "arn:aws:s3:::amazon-ssm-eu-central-1/*"),
    ]
    account = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}
    assert [one.get("Condition") for one in statements] == [account, None], "the agent is fetched without credentials"
