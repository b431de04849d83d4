"""Standalone rules of security groups: one rule, one resource."""

from __future__ import annotations

from typing import Any, Final

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, retag, tag_map
from lab.provider.rules.model import TypeRules
from lab.provider.rules.validators import between, cidr4, cidr6
from lab.provider.services.security_groups.checks import DESCRIPTION, protocol, protocol_number, replaced_source, rule_violations
from lab.provider.services.security_groups.groups import describe

_ALL_PORTS: Final = -1


class _Rule(Handler):
    rules = TypeRules(
        checks={
            "cidrIpv4": cidr4,
            "cidrIpv6": cidr6,
            "fromPort": between(-1, 65535),
            "toPort": between(-1, 65535),
            "ipProtocol": protocol,
            "description": DESCRIPTION,
        },
        cross_check=rule_violations,
        replace_if=replaced_source,
    )
    direction: str

    def create(self, client: ApiClient, news: Props) -> str:
        self._check_group_in_vpc(client, news)
        made = client.call(
            f"ec2.authorize_security_group_{self.direction}",
            GroupId=news["securityGroupId"],
            IpPermissions=[_permission(news)],
        )
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        """Tags by a call of their own: `Create` in terraform-provider-aws, internal/service/ec2/vpc_security_group_ingress_rule.go."""
        retag(client, identifier, {}, news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        rule = client.first("ec2.describe_security_group_rules", "SecurityGroupRules", SecurityGroupRuleIds=[identifier])
        if rule is None or bool(rule.get("IsEgress")) != (self.direction == "egress"):
            return None
        portless = protocol_number(str(rule["IpProtocol"])) == "-1" or (
            rule.get("FromPort") == _ALL_PORTS and state.get("fromPort") is None
        )
        spelled, live = state.get("ipProtocol"), rule["IpProtocol"]
        return {
            "arn": client.arn("ec2", f"security-group-rule/{identifier}"),
            "securityGroupRuleId": identifier,
            "securityGroupId": rule["GroupId"],
            "ipProtocol": spelled if spelled and protocol_number(spelled) == protocol_number(str(live)) else live,
            "fromPort": None if portless else rule.get("FromPort"),
            "toPort": None if portless else rule.get("ToPort"),
            "cidrIpv4": rule.get("CidrIpv4") or None,
            "cidrIpv6": rule.get("CidrIpv6") or None,
            "prefixListId": rule.get("PrefixListId") or None,
            "referencedSecurityGroupId": (rule.get("ReferencedGroupInfo") or {}).get("GroupId"),
            "description": rule.get("Description") or None,
            "tagsAll": tag_map(rule.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if changed - {"tags", "tagsAll"}:
            self._check_group_in_vpc(client, news)
            described = {
                "IpProtocol": news["ipProtocol"],
                "FromPort": _permission(news).get("FromPort"),
                "ToPort": _permission(news).get("ToPort"),
                "CidrIpv4": news.get("cidrIpv4"),
                "CidrIpv6": news.get("cidrIpv6"),
                "PrefixListId": news.get("prefixListId"),
                "ReferencedGroupId": news.get("referencedSecurityGroupId"),
                "Description": news.get("description"),
            }
            rule = {name: value for name, value in described.items() if value is not None}
            client.call(
                "ec2.modify_security_group_rules",
                GroupId=news["securityGroupId"],
                SecurityGroupRules=[{"SecurityGroupRuleId": identifier, "SecurityGroupRule": rule}],
            )
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        ignore_missing(
            lambda: client.call(
                f"ec2.revoke_security_group_{self.direction}", GroupId=state["securityGroupId"], SecurityGroupRuleIds=[identifier]
            ),
            "InvalidPermission.NotFound",
        )

    def _check_group_in_vpc(self, client: ApiClient, news: Props) -> None:
        """A rule's source must be a group of the same VPC; moto takes any."""
        source, operation = news.get("referencedSecurityGroupId"), f"ec2.authorize_security_group_{self.direction}"
        if source is None:
            return
        own, other = describe(client, news["securityGroupId"]), describe(client, source.rpartition("/")[2])
        if other is None:
            raise client.api_error(operation, "InvalidGroup.NotFound", f"The security group '{source}' does not exist")
        if own is not None and own["VpcId"] != other["VpcId"]:
            message = f"You have specified two resources that belong to different networks: {own['GroupId']} and {source}"
            raise client.api_error(operation, "InvalidGroup.NotFound", message)


def _permission(news: Props) -> dict[str, Any]:
    text = {"Description": news["description"]} if news.get("description") else {}
    made: dict[str, Any] = {"IpProtocol": "-1" if protocol_number(news["ipProtocol"]) == "-1" else news["ipProtocol"]}
    if news.get("fromPort") is not None:
        made |= {"FromPort": news["fromPort"], "ToPort": news.get("toPort")}
    elif made["IpProtocol"] != "-1":
        made |= {"FromPort": _ALL_PORTS, "ToPort": _ALL_PORTS}  # moto breaks on a protocol such as VRRP (112) without ports
    for name, key, field in (
        ("cidrIpv4", "IpRanges", "CidrIp"),
        ("cidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("prefixListId", "PrefixListIds", "PrefixListId"),
        ("referencedSecurityGroupId", "UserIdGroupPairs", "GroupId"),
    ):
        if news.get(name) is not None:
            made[key] = [{field: news[name], **text}]
    return made


class SecurityGroupIngressRule(_Rule):
    """`aws.vpc.SecurityGroupIngressRule`."""

    label = "VPC Security Group Ingress Rule"
    direction = "ingress"


class SecurityGroupEgressRule(_Rule):
    """`aws.vpc.SecurityGroupEgressRule`."""

    label = "VPC Security Group Egress Rule"
    direction = "egress"
