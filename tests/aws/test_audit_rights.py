"""What an auditor would ask of roles and their rights, asked of the API."""

import functools
import json
from typing import Any
from urllib.parse import unquote

from tests.aws.api import Api, Resource
from tests.aws.harness import Stack

Statement = dict[str, Any]

TIERS = ("load-balancer", "web", "database")

ON_EVERYTHING = {
    "ssm:UpdateInstanceInformation": "Session Manager names no resource that could be written here",
    "ssmmessages:": "as above",
    "ec2messages:": "as above",
    "ec2:DescribeAddresses": "EC2's Describe calls take no resource",
}
"""Actions that a statement on every resource may name, with the reason."""


def document(found: Any) -> list[Statement]:
    """A policy's statements; the API gives it as an object or as quoted text."""
    read: Resource = json.loads(unquote(found)) if isinstance(found, str) else dict(found)
    return read["Statement"]


def short(name: str, stack: Stack) -> str:
    """A name without the environment before it and the random end."""
    return name.rpartition("-")[0].removeprefix(f"{stack.name}-")


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@functools.cache
def policies(api: Api) -> dict[str, list[Statement]]:
    """The statements of every role, by its name without the random end."""
    found: dict[str, list[Statement]] = {}
    for role in (one["RoleName"] for one in api.iam.list_roles()["Roles"]):
        names = api.iam.list_role_policies(RoleName=role)["PolicyNames"]
        documents = [api.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        found[role.rpartition("-")[0]] = [statement for one in documents for statement in document(one)]
    return found


def of_hosts(stack: Stack) -> dict[str, list[Statement]]:
    return {role.removeprefix(f"{stack.name}-"): found for role, found in policies(stack.api).items() if not role.endswith("-flow-logs")}


def test_there_is_one_role_a_tier_which_only_ec2_takes_and_one_for_flow_logs(each: Stack) -> None:
    trusted: dict[str, Any] = {}
    for role in each.api.iam.list_roles()["Roles"]:
        (statement,) = document(role.get("AssumeRolePolicyDocument"))
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
        trusted[short(role["RoleName"], each)] = statement["Principal"]
    hosts = {tier: {"Service": "ec2.amazonaws.com"} for tier in TIERS}
    assert trusted == {**hosts, "flow-logs": {"Service": "vpc-flow-logs.amazonaws.com"}}


def test_the_flow_log_s_role_serves_this_account_s_flow_logs_alone(each: Stack) -> None:
    (role,) = [one for one in each.api.iam.list_roles()["Roles"] if "-flow-logs-" in one["RoleName"]]
    (statement,) = document(role.get("AssumeRolePolicyDocument"))
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:ec2:eu-central-1:123456789012:vpc-flow-log/*"},
    }


def test_every_tier_has_a_profile_with_its_own_role(each: Stack) -> None:
    profiles = each.api.iam.list_instance_profiles()["InstanceProfiles"]
    roles = {short(one["InstanceProfileName"], each): [short(role["RoleName"], each) for role in one["Roles"]] for one in profiles}
    assert roles == {tier: [tier] for tier in TIERS}


def test_no_role_has_a_managed_policy_of_aws(each: Stack) -> None:
    roles = [one["RoleName"] for one in each.api.iam.list_roles()["Roles"]]
    assert [policy for role in roles for policy in each.api.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]] == []


def test_no_statement_names_every_action_and_only_reasoned_ones_name_every_resource(each: Stack) -> None:
    for role, statements in policies(each.api).items():
        for statement in statements:
            actions, resources = listed(statement["Action"]), listed(statement["Resource"])
            assert statement["Effect"] == "Allow", (role, statement)
            assert [action for action in actions if "*" in action] == [], (role, statement)
            if "*" in resources:
                assert [action for action in actions if not action.startswith(tuple(ON_EVERYTHING))] == [], (role, statement)


def test_each_tier_reads_its_own_secrets_and_no_others(each: Stack) -> None:
    names = {one.get("ARN"): one.get("Name", "").rpartition("/")[2] for one in each.api.secrets.list_secrets()["SecretList"]}
    read = {
        tier: sorted(
            names[arn]
            for statement in statements
            if "secretsmanager:GetSecretValue" in listed(statement["Action"])
            for arn in listed(statement["Resource"])
        )
        for tier, statements in of_hosts(each).items()
    }
    app = ["app-migrator", "app-reader", "app-writer"]
    assert read == {
        "load-balancer": ["web-tls"],
        "web": sorted([*app, "app-session-key", "web-tls"]),
        "database": [*app, "database-clone", "database-replication"],
    }


def test_each_tier_writes_under_its_own_name_and_only_databases_say_who_is_primary(each: Stack) -> None:
    bucket = f"arn:aws:s3:::{each.api.bucket()}/"
    written = {
        tier: sorted(
            arn.removeprefix(bucket)
            for statement in statements
            if "s3:PutObject" in listed(statement["Action"])
            for arn in listed(statement["Resource"])
        )
        for tier, statements in of_hosts(each).items()
    }
    own = "hosts/${aws:userid}.json"
    assert written == {
        "load-balancer": [own],
        "web": [own],
        "database": ["database/certificates/${aws:userid}.pem", "database/primary.json", "database/replication.json", own],
    }


def test_only_the_load_balancer_moves_an_address_and_only_the_site_s(each: Stack) -> None:
    (address,) = [one for one in each.api.describe("addresses") if f"{each.name}-address" in [tag["Value"] for tag in one["Tags"]]]
    movers: dict[str, list[str]] = {}
    for tier, statements in of_hosts(each).items():
        for statement in statements:
            if "ec2:AssociateAddress" in listed(statement["Action"]):
                movers.setdefault(tier, []).extend(listed(statement["Resource"]))
    (resources,) = movers.values()
    assert list(movers) == ["load-balancer"]
    assert [arn.rpartition("/")[2] for arn in resources if ":elastic-ip/" in arn] == [address["AllocationId"]]


def test_the_flow_log_s_role_writes_to_its_own_group_and_may_make_none(each: Stack) -> None:
    (statement,) = policies(each.api)[f"{each.name}-flow-logs"]
    (group,) = each.api.logs.describe_log_groups()["logGroups"]
    assert "logs:CreateLogGroup" not in statement["Action"]
    assert {arn.removesuffix(":*") for arn in statement["Resource"]} == {group.get("arn", "").removesuffix(":*")}
