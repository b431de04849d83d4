"""Security groups, their inline rules, and a VPC's default group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from lab.provider.cloud import Cloud, filters
from lab.provider.codec import Props
from lab.provider.naming import unique
from lab.provider.rules.firewall import protocol_number
from lab.provider.rules.model import listed
from lab.provider.services.base import Handler, quiet, retag, tag_map, tag_specifications

_DIRECTIONS: Final = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}


def describe(cloud: Cloud, identifier: str) -> dict[str, Any] | None:
    """The group as EC2 describes it."""
    return cloud.first("ec2.describe_security_groups", "SecurityGroups", GroupIds=[identifier])


class SecurityGroup(Handler):
    """`aws.ec2.SecurityGroup`: made without AWS's open egress rule, as the real provider does."""

    kind = "aws:ec2/securityGroup:SecurityGroup"
    label = "EC2 Security Group"

    def create(self, cloud: Cloud, news: Props) -> str:
        made = cloud.call(
            "ec2.create_security_group",
            GroupName=news.get("name") or unique(str(news.get("namePrefix") or "pulumi-")),
            Description=news.get("description") or "Managed by Pulumi",
            VpcId=news.get("vpcId"),
            TagSpecifications=tag_specifications("security-group", news),
        )
        return str(made["GroupId"])

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        _replace(cloud, identifier, "egress", news.get("egress") or [])
        if news.get("ingress"):
            _replace(cloud, identifier, "ingress", news["ingress"])

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        del state
        group = describe(cloud, identifier)
        return None if group is None else _live(cloud, group)

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        for direction in sorted(changed & _DIRECTIONS.keys()):
            _replace(cloud, identifier, direction, news.get(direction) or [])
        retag(cloud, identifier, olds, news)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        group = describe(cloud, identifier)
        if group is None:
            return
        if state.get("revokeRulesOnDelete"):
            for direction in _DIRECTIONS:
                _replace(cloud, identifier, direction, [])
        if group["GroupName"] == "default":
            raise cloud.refusal(
                "ec2.delete_security_group",
                "CannotDelete",
                f'the specified group: "{identifier}" name: "default" cannot be deleted by a user',
            )
        if user := _user(cloud, identifier, group["VpcId"]):
            message = f"resource {identifier} has a dependent object ({user})"
            raise cloud.refusal("ec2.delete_security_group", "DependencyViolation", message)
        quiet(lambda: cloud.call("ec2.delete_security_group", GroupId=identifier))


class DefaultSecurityGroup(Handler):
    """`aws.ec2.DefaultSecurityGroup`: adopts the VPC's default group and takes its rules away; its delete does nothing."""

    kind = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    label = "EC2 Default Security Group"

    def create(self, cloud: Cloud, news: Props) -> str:
        vpc = news.get("vpcId") or cloud.call("ec2.describe_vpcs", Filters=filters(is_default="true"))["Vpcs"][0]["VpcId"]
        group = cloud.first("ec2.describe_security_groups", "SecurityGroups", Filters=filters(vpc_id=vpc, group_name="default"))
        if group is None:
            raise cloud.refusal("ec2.describe_security_groups", "InvalidGroup.NotFound", f"{vpc} has no default security group")
        return str(group["GroupId"])

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        # Tags first, as internal/service/ec2/vpc_default_security_group.go does: policies may allow changes of what is tagged alone.
        group = describe(cloud, identifier) or {}
        retag(cloud, identifier, {"tagsAll": tag_map(group.get("Tags"))}, news)
        for direction in _DIRECTIONS:
            _replace(cloud, identifier, direction, news.get(direction) or [])

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        del state
        group = describe(cloud, identifier)
        return None if group is None else _live(cloud, group)

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        for direction in sorted(changed & _DIRECTIONS.keys()):
            _replace(cloud, identifier, direction, news.get(direction) or [])
        retag(cloud, identifier, olds, news)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        """AWS does not let go of a default group; the real provider leaves it as it is."""


def _user(cloud: Cloud, group: str, vpc: str) -> str | None:
    for interface in cloud.every("ec2.describe_network_interfaces", "NetworkInterfaces", Filters=filters(group_id=group)):
        return f"network interface {interface['NetworkInterfaceId']}"
    for other in cloud.every("ec2.describe_security_groups", "SecurityGroups", Filters=filters(vpc_id=vpc)):
        permissions = [item for key in _DIRECTIONS.values() for item in other.get(key, [])]
        if other["GroupId"] != group and any(pair.get("GroupId") == group for item in permissions for pair in item["UserIdGroupPairs"]):
            return f"a rule of {other['GroupId']} names it"
    return None


def _live(cloud: Cloud, group: dict[str, Any]) -> Props:
    return {
        "arn": cloud.arn("ec2", f"security-group/{group['GroupId']}"),
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group["VpcId"],
        "ownerId": cloud.account(),
        "ingress": _rules(group, "ingress"),
        "egress": _rules(group, "egress"),
        "tagsAll": tag_map(group.get("Tags")),
    }


def _rules(group: dict[str, Any], direction: str) -> list[Props]:
    """A group's rules in the form of the inline properties: one for each permission and description."""
    found: list[Props] = []
    for permission in listed(group.get(_DIRECTIONS[direction])):
        described: dict[str, Props] = {}
        for key, field, value in (
            ("IpRanges", "cidrBlocks", "CidrIp"),
            ("Ipv6Ranges", "ipv6CidrBlocks", "CidrIpv6"),
            ("PrefixListIds", "prefixListIds", "PrefixListId"),
            ("UserIdGroupPairs", "securityGroups", "GroupId"),
        ):
            for item in listed(permission.get(key)):
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


def _replace(cloud: Cloud, identifier: str, direction: str, wanted: Iterable[Props]) -> None:
    """Bring the group's rules of a direction to the wanted ones."""
    group = describe(cloud, identifier) or {}
    before = cast("list[dict[str, Any]]", group.get(_DIRECTIONS[direction]) or [])
    after = [_permission(identifier, rule) for rule in wanted]
    if before:
        cloud.call(f"ec2.revoke_security_group_{direction}", GroupId=identifier, IpPermissions=[_bare(item) for item in before])
    if after:
        cloud.call(f"ec2.authorize_security_group_{direction}", GroupId=identifier, IpPermissions=after)


def _bare(permission: dict[str, Any]) -> dict[str, Any]:
    """A described permission in the form in which it can be revoked."""
    kept = {key: value for key, value in permission.items() if value not in ([], None)}
    if kept.get("UserIdGroupPairs"):
        kept["UserIdGroupPairs"] = [{"GroupId": pair["GroupId"]} for pair in kept["UserIdGroupPairs"]]
    return kept


def _permission(identifier: str, rule: Props) -> dict[str, Any]:
    text = {"Description": rule["description"]} if rule.get("description") else {}
    groups = [*listed(rule.get("securityGroups")), *([identifier] if rule.get("self") else [])]
    protocol = "-1" if protocol_number(str(rule["protocol"])) == "-1" else str(rule["protocol"])
    made: dict[str, Any] = {"IpProtocol": protocol}
    if protocol != "-1":
        made |= {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    for key, field, values in (
        ("IpRanges", "CidrIp", listed(rule.get("cidrBlocks"))),
        ("Ipv6Ranges", "CidrIpv6", listed(rule.get("ipv6CidrBlocks"))),
        ("PrefixListIds", "PrefixListId", listed(rule.get("prefixListIds"))),
        ("UserIdGroupPairs", "GroupId", groups),
    ):
        if values:
            made[key] = [{field: value, **text} for value in values]
    return made
