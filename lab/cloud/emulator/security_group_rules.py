"""The descriptions and peers of security group rules.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html
"""

from typing import Any

from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule

from lab.cloud.emulator.patching import original, replace

_modify = original(SecurityGroupBackend, "modify_security_group_rules")


def install() -> None:
    """Keeps the description of rules whose peer is a group, and allows the peer to be changed; moto does so only for address ranges."""
    replace(SecurityGroupRule, "description", property(_description))
    replace(SecurityGroupBackend, "modify_security_group_rules", _modify_rules)


def _modify_rules(backend: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
    _modify(backend, group_id, rules)
    group = backend.get_security_group_by_name_or_id(group_id)
    for rule_id, change in rules.items():
        rule = group.get_rule(rule_id)
        if change.get("ReferencedGroupId") and rule.source_group:
            rule.source_group = {**rule.source_group, "GroupId": change["ReferencedGroupId"]}
        if change.get("PrefixListId") and rule.prefix_list_id:
            rule.prefix_list_id = change["PrefixListId"]


def _description(rule: Any) -> str | None:
    # moto stores a changed description with the address range, whatever the rule's peer, so that one comes first.
    return rule.ip_range.get("Description") or rule.source_group.get("Description")
