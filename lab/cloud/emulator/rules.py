"""Rules of security groups: what a rule says of itself.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html
"""

from typing import Any

from moto.ec2.models.security_groups import SecurityGroupRule

from lab.cloud.emulator.patching import replace


def install() -> None:
    """Keeps the description of a rule whose other end is a group; moto keeps only those of address ranges."""
    replace(SecurityGroupRule, "description", property(_description))


def _description(rule: Any) -> str | None:
    # A change of the description is put beside the address range, whatever the rule's other end: so that one goes first.
    return rule.ip_range.get("Description") or rule.source_group.get("Description")
