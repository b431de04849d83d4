"""Changes of a security group's rules."""

from typing import Any

from tests.aws.cloud.support import Network


def test_a_rule_between_groups_keeps_its_description(network: Network) -> None:
    pair = {"GroupId": network.group, "Description": "replication"}
    permission = {"IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306, "UserIdGroupPairs": [pair]}
    made = network.ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=[permission])["SecurityGroupRules"][0]
    assert made["Description"] == "replication"
    change = {key: made[key] for key in ("IpProtocol", "FromPort", "ToPort")}
    change |= {"ReferencedGroupId": network.group, "Description": "replication and clone"}
    rule = {"SecurityGroupRuleId": made["SecurityGroupRuleId"], "SecurityGroupRule": change}
    network.ec2.modify_security_group_rules(GroupId=network.group, SecurityGroupRules=[rule])
    found = network.ec2.describe_security_group_rules(SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])["SecurityGroupRules"]
    assert [rule["Description"] for rule in found] == ["replication and clone"]


def test_a_rule_may_come_to_name_another_group(network: Network) -> None:
    other = network.ec2.create_security_group(GroupName="other", Description="other", VpcId=network.vpc)["GroupId"]
    permission: Any = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": network.group}]}
    made = network.ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=[permission])["SecurityGroupRules"][0]
    rule_id = made.get("SecurityGroupRuleId", "")
    change: Any = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "ReferencedGroupId": other}
    network.ec2.modify_security_group_rules(
        GroupId=network.group, SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": change}]
    )
    (found,) = network.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
    assert found.get("ReferencedGroupInfo", {}).get("GroupId") == other
