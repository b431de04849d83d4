"""Reads security groups, rules and prefix lists from the AWS API."""

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Protocol

from lab.hypervisor.firewall.model import Group, GroupRule, SecurityGroupSnapshot

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import SecurityGroupRuleTypeDef


class Ec2Clients(Protocol):
    """EC2 clients by region, such as `lab.hypervisor.state_reader.Ec2StateReader`."""

    def client(self, region: str) -> "EC2Client":
        """Returns an EC2 client for a region."""
        ...


class SecurityGroupReader:
    """Reads all regions' security groups into one snapshot, since ids are unique. Blocking: call `read` in a thread."""

    def __init__(self, clients: Ec2Clients, *, s3_address: IPv4Address) -> None:
        self._clients = clients
        self._s3_address = s3_address

    def read(self, regions: Iterable[str]) -> SecurityGroupSnapshot:
        """Returns the API's current state. Raises botocore's errors if the API does not answer."""
        groups: dict[str, Group] = {}
        rules: list[GroupRule] = []
        prefix_lists: dict[str, tuple[str, ...]] = {}
        for region in sorted(regions):
            ec2 = self._clients.client(region)
            for page in ec2.get_paginator("describe_security_groups").paginate():
                for group in page["SecurityGroups"]:
                    group_id = group.get("GroupId", "")
                    groups[group_id] = Group(group_id=group_id, name=group.get("GroupName", ""))
            found = [
                _rule(rule) for page in ec2.get_paginator("describe_security_group_rules").paginate() for rule in page["SecurityGroupRules"]
            ]
            rules += found
            prefix_lists.update(self._prefix_lists(ec2, {rule.prefix_list_id for rule in found if rule.prefix_list_id}))
        return SecurityGroupSnapshot(groups=groups, rules=tuple(rules), prefix_lists=prefix_lists)

    def _prefix_lists(self, ec2: "EC2Client", wanted: set[str]) -> dict[str, tuple[str, ...]]:
        """Returns the networks of these prefix lists. AWS's own list for S3 contains the lab's S3, the only one that can be reached."""
        if not wanted:
            return {}
        result: dict[str, tuple[str, ...]] = {}
        for prefix_list in ec2.describe_managed_prefix_lists()["PrefixLists"]:
            list_id, name = prefix_list.get("PrefixListId", ""), prefix_list.get("PrefixListName", "")
            if list_id not in wanted or prefix_list.get("State", "").startswith("delete"):
                continue
            if prefix_list.get("OwnerId") == "AWS" and name.startswith("com.amazonaws.") and name.endswith(".s3"):
                result[list_id] = (f"{self._s3_address}/32",)
                continue
            entries = ec2.get_managed_prefix_list_entries(PrefixListId=list_id)["Entries"]
            result[list_id] = tuple(entry.get("Cidr", "") for entry in entries)
        return result


def _rule(rule: "SecurityGroupRuleTypeDef") -> GroupRule:
    return GroupRule(
        rule_id=rule.get("SecurityGroupRuleId", ""),
        group_id=rule.get("GroupId", ""),
        egress=rule.get("IsEgress", False),
        protocol=rule.get("IpProtocol", ""),
        from_port=rule.get("FromPort", -1),
        to_port=rule.get("ToPort", -1),
        cidr_ipv4=rule.get("CidrIpv4"),
        cidr_ipv6=rule.get("CidrIpv6"),
        prefix_list_id=rule.get("PrefixListId"),
        peer_group_id=rule.get("ReferencedGroupInfo", {}).get("GroupId"),
        description=rule.get("Description", ""),
    )
