"""Security groups, their inline rules, and a VPC's default group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, retag, tag_map, tag_specifications
from lab.provider.naming import prefixed_unique_id
from lab.provider.rules.model import TypeRules, as_list
from lab.provider.rules.validators import all_of, length, matches
from lab.provider.services.security_groups.checks import DESCRIPTION, INLINE_CHECKS, inline_violations, protocol_number

_DIRECTIONS: Final = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}


def describe(client: ApiClient, identifier: str) -> dict[str, Any] | None:
    """The group as EC2 describes it."""
    return client.first("ec2.describe_security_groups", "SecurityGroups", GroupIds=[identifier])


class _GroupHandler(Handler):
    """What both types of groups do alike."""

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        del state
        group = describe(client, identifier)
        return None if group is None else _live(client, group)

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        for direction in sorted(changed & _DIRECTIONS.keys()):
            _replace(client, identifier, direction, news.get(direction) or [])
        retag(client, identifier, olds, news)


class SecurityGroup(_GroupHandler):
    """`aws.ec2.SecurityGroup`: made without AWS's open egress rule, as the real provider does."""

    label = "EC2 Security Group"
    rules = TypeRules(
        checks={
            "name": all_of(length(1, 255), matches(r"(?!sg-)[\s\S]*", 'a name that does not start with "sg-"'), DESCRIPTION),
            "namePrefix": all_of(length(1, 229), matches(r"(?!sg-)[\s\S]*", 'a prefix that does not start with "sg-"'), DESCRIPTION),
            "description": all_of(length(1, 255), DESCRIPTION),
            **INLINE_CHECKS,
        },
        cross_check=inline_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        made = client.call(
            "ec2.create_security_group",
            GroupName=news.get("name") or prefixed_unique_id(str(news.get("namePrefix") or "pulumi-")),
            Description=news.get("description") or "Managed by Pulumi",
            VpcId=news.get("vpcId"),
            TagSpecifications=tag_specifications("security-group", news),
        )
        return str(made["GroupId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        _replace(client, identifier, "egress", news.get("egress") or [])
        if news.get("ingress"):
            _replace(client, identifier, "ingress", news["ingress"])

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        group = describe(client, identifier)
        if group is None:
            return
        if state.get("revokeRulesOnDelete"):
            for direction in _DIRECTIONS:
                _replace(client, identifier, direction, [])
        if group["GroupName"] == "default":
            raise client.api_error(
                "ec2.delete_security_group",
                "CannotDelete",
                f'the specified group: "{identifier}" name: "default" cannot be deleted by a user',
            )
        if user := _dependent_object(client, identifier, group["VpcId"]):
            message = f"resource {identifier} has a dependent object ({user})"
            raise client.api_error("ec2.delete_security_group", "DependencyViolation", message)
        ignore_missing(lambda: client.call("ec2.delete_security_group", GroupId=identifier))


class DefaultSecurityGroup(_GroupHandler):
    """`aws.ec2.DefaultSecurityGroup`: adopts the VPC's default group and takes its rules away; its delete does nothing."""

    label = "EC2 Default Security Group"
    rules = TypeRules(
        checks=INLINE_CHECKS,
        cross_check=inline_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        vpc = news.get("vpcId") or client.call("ec2.describe_vpcs", Filters=filters(is_default="true"))["Vpcs"][0]["VpcId"]
        group = client.first("ec2.describe_security_groups", "SecurityGroups", Filters=filters(vpc_id=vpc, group_name="default"))
        if group is None:
            raise client.api_error("ec2.describe_security_groups", "InvalidGroup.NotFound", f"{vpc} has no default security group")
        return str(group["GroupId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        # Tags first, as internal/service/ec2/vpc_default_security_group.go does: policies may allow changes of what is tagged alone.
        group = describe(client, identifier) or {}
        retag(client, identifier, {"tagsAll": tag_map(group.get("Tags"))}, news)
        for direction in _DIRECTIONS:
            _replace(client, identifier, direction, news.get(direction) or [])

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """AWS does not let go of a default group; the real provider leaves it as it is."""


def _dependent_object(client: ApiClient, group: str, vpc: str) -> str | None:
    for interface in client.list_all("ec2.describe_network_interfaces", "NetworkInterfaces", Filters=filters(group_id=group)):
        return f"network interface {interface['NetworkInterfaceId']}"
    for other in client.list_all("ec2.describe_security_groups", "SecurityGroups", Filters=filters(vpc_id=vpc)):
        permissions = [item for key in _DIRECTIONS.values() for item in other.get(key, [])]
        if other["GroupId"] != group and any(pair.get("GroupId") == group for item in permissions for pair in item["UserIdGroupPairs"]):
            return f"a rule of {other['GroupId']} names it"
    return None


def _live(client: ApiClient, group: dict[str, Any]) -> Props:
    return {
        "arn": client.arn("ec2", f"security-group/{group['GroupId']}"),
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group["VpcId"],
        "ownerId": client.account(),
        "ingress": _rules(group, "ingress"),
        "egress": _rules(group, "egress"),
        "tagsAll": tag_map(group.get("Tags")),
    }


def _rules(group: dict[str, Any], direction: str) -> list[Props]:
    """A group's rules in the form of the inline properties: one for each permission and description."""
    found: list[Props] = []
    for permission in as_list(group.get(_DIRECTIONS[direction])):
        described: dict[str, Props] = {}
        for key, field, value in (
            ("IpRanges", "cidrBlocks", "CidrIp"),
            ("Ipv6Ranges", "ipv6CidrBlocks", "CidrIpv6"),
            ("PrefixListIds", "prefixListIds", "PrefixListId"),
            ("UserIdGroupPairs", "securityGroups", "GroupId"),
        ):
            for item in as_list(permission.get(key)):
                rule = described.setdefault(str(item.get("Description") or ""), {})
                if value == "GroupId" and item.get(value) == group["GroupId"]:
                    rule["self"] = True
                else:
                    rule.setdefault(field, []).append(item[value])
        protocol = str(permission["IpProtocol"])
        low, high = (0, 0) if protocol == "-1" else (permission.get("FromPort", 0), permission.get("ToPort", 0))
        for text, rule in described.items():
            found.append({**rule, "protocol": protocol, "fromPort": low, "toPort": high, "description": text})
    return found


def _replace(client: ApiClient, identifier: str, direction: str, wanted: Iterable[Props]) -> None:
    """Bring the group's rules of a direction to the wanted ones."""
    group = describe(client, identifier) or {}
    before = cast("list[dict[str, Any]]", group.get(_DIRECTIONS[direction]) or [])
    after = [_permission(identifier, rule) for rule in wanted]
    if before:
        client.call(f"ec2.revoke_security_group_{direction}", GroupId=identifier, IpPermissions=[_bare(item) for item in before])
    if after:
        client.call(f"ec2.authorize_security_group_{direction}", GroupId=identifier, IpPermissions=after)


def _bare(permission: dict[str, Any]) -> dict[str, Any]:
    """A described permission in the form in which it can be revoked."""
    kept = {key: value for key, value in permission.items() if value not in ([], None)}
    if kept.get("UserIdGroupPairs"):
        kept["UserIdGroupPairs"] = [{"GroupId": pair["GroupId"]} for pair in kept["UserIdGroupPairs"]]
    return kept


def _permission(identifier: str, rule: Props) -> dict[str, Any]:
    text = {"Description": rule["description"]} if rule.get("description") else {}
    groups = [*as_list(rule.get("securityGroups")), *([identifier] if rule.get("self") else [])]
    protocol = "-1" if protocol_number(str(rule["protocol"])) == "-1" else str(rule["protocol"])
    made: dict[str, Any] = {"IpProtocol": protocol}
    if protocol != "-1":
        made |= {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    for key, field, values in (
        ("IpRanges", "CidrIp", as_list(rule.get("cidrBlocks"))),
        ("Ipv6Ranges", "CidrIpv6", as_list(rule.get("ipv6CidrBlocks"))),
        ("PrefixListIds", "PrefixListId", as_list(rule.get("prefixListIds"))),
        ("UserIdGroupPairs", "GroupId", groups),
    ):
        if values:
            made[key] = [{field: value, **text} for value in values]
    return made
