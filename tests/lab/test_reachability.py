"""Who reaches whom, tried with real packets from every host, and from outside, to every other: what the firewall's table declares passes,
and nothing else does. The expectation comes from the table alone; that the test can fail is shown by rules changed behind its back."""

import json
import time
from typing import TYPE_CHECKING

import pytest

from lab.hypervisor.probes import TCP
from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.matrix import Matrix, Pair, PathEndpoint, endpoints, measure

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import IpPermissionTypeDef, SecurityGroupRuleTypeDef

PATIENCE = 30.0
"""Seconds until a change of a rule must show; tests/lab/test_security_groups.py says how fast it is."""


@pytest.fixture
def ec2(lab: LabUnderTest) -> "EC2Client":
    return lab.ec2()


@pytest.fixture
def groups(ec2: "EC2Client") -> dict[str, str]:
    """The stack's security groups: id by `database`, `web`, `load-balancer`."""
    found = ec2.describe_security_groups(Filters=[{"Name": "tag:component", "Values": ["firewall"]}])["SecurityGroups"]
    return {group.get("GroupName", "").removeprefix("dev-").rpartition("-")[0]: group.get("GroupId", "") for group in found}


def test_all_that_is_declared_passes_and_all_else_is_refused(lab: LabUnderTest, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    matrix = measure(endpoints(lab))
    with capsys.disabled():
        print(f"\n{matrix.report} ({time.monotonic() - began:.1f} s)")
    assert (matrix.unexpectedly_allowed, matrix.unexpectedly_blocked) == ([], [])
    assert len(matrix.passed) > 30
    assert len(matrix.refused) > 500


def test_a_rule_added_behind_the_programs_back_is_found(lab: LabUnderTest, ec2: "EC2Client", groups: dict[str, str]) -> None:
    everyone = endpoints(lab)
    made = ec2.authorize_security_group_ingress(GroupId=groups["web"], IpPermissions=[_to_port(22, groups["load-balancer"])])[
        "SecurityGroupRules"
    ]
    made += ec2.authorize_security_group_egress(GroupId=groups["load-balancer"], IpPermissions=[_to_port(22, groups["web"])])[
        "SecurityGroupRules"
    ]
    try:
        matrix = _disturbed(everyone)
    finally:
        for rule in made:
            revoke = ec2.revoke_security_group_egress if rule.get("IsEgress") else ec2.revoke_security_group_ingress
            revoke(GroupId=rule.get("GroupId", ""), SecurityGroupRuleIds=[rule.get("SecurityGroupRuleId", "")])
    assert matrix.unexpectedly_blocked == []
    assert matrix.unexpectedly_allowed == _pairs(everyone, "load_balancer", "web", [22])
    _undisturbed(everyone)


def test_a_rule_widened_behind_the_programs_back_is_found(lab: LabUnderTest, ec2: "EC2Client", groups: dict[str, str]) -> None:
    everyone = endpoints(lab)
    rules = [
        _rule_of(ec2, groups["database"], groups["web"], 3306, egress=False),
        _rule_of(ec2, groups["web"], groups["database"], 3306, egress=True),
    ]
    try:
        for rule in rules:
            _modify(ec2, rule, 3306, 9113)
        matrix = _disturbed(everyone)
    finally:
        for rule in rules:
            _modify(ec2, rule, 3306, 3306)
    assert matrix.unexpectedly_blocked == []
    assert matrix.unexpectedly_allowed == _pairs(everyone, "web", "database", [3307, 8080, 8081, 8443, 9100, 9101, 9104, 9113])
    _undisturbed(everyone)


def test_a_rule_removed_behind_the_programs_back_is_found_and_the_program_puts_it_back(
    lab: LabUnderTest, ec2: "EC2Client", groups: dict[str, str]
) -> None:
    everyone = endpoints(lab)
    rule = _rule_of(ec2, groups["database"], groups["web"], 9200, egress=False)
    ec2.revoke_security_group_ingress(GroupId=groups["database"], SecurityGroupRuleIds=[rule.get("SecurityGroupRuleId", "")])
    try:
        matrix = _disturbed(everyone)
    finally:
        lab.command("refresh")
        lab.up()
    assert matrix.unexpectedly_allowed == []
    assert matrix.unexpectedly_blocked == _pairs(everyone, "web", "database", [9200])
    _undisturbed(everyone)


def test_reach_names_the_rule_or_the_default(lab: LabUnderTest, ec2: "EC2Client", groups: dict[str, str]) -> None:
    through = json.loads(lab.command("reach", "--json", "web-1", "db-1", "3306").stdout)
    leaving = _rule_of(ec2, groups["web"], groups["database"], 3306, egress=True)
    arriving = _rule_of(ec2, groups["database"], groups["web"], 3306, egress=False)
    assert (through["passed"], through["answer"]) == (True, "connected")
    assert (through["out"]["rule_id"], through["out"]["group_id"]) == (leaving.get("SecurityGroupRuleId"), groups["web"])
    assert (through["in"]["rule_id"], through["in"]["group_id"]) == (arriving.get("SecurityGroupRuleId"), groups["database"])
    held = lab.command("reach", "db-1", "web-1", "22").stdout
    assert "does not pass" in held
    assert f"out: {groups['database']}" in held
    assert "default deny: no rule allows 22/tcp out to" in held
    outside = json.loads(lab.command("reach", "--json", "internet", "web-1", "8443").stdout)
    assert (outside["passed"], outside["blocked_by"]) == (False, "web-1 has no public address")


def _disturbed(everyone: list[PathEndpoint]) -> Matrix:
    """The matrix once it is not what the table says; measured anew, for the change may have come in the midst of the measurement."""

    def differs() -> bool:
        matrix = measure(everyone)
        return bool(matrix.unexpectedly_allowed or matrix.unexpectedly_blocked)

    wait_until(differs, seconds=PATIENCE, what="the matrix fails")
    return measure(everyone)


def _undisturbed(everyone: list[PathEndpoint]) -> None:
    """Returns when the matrix is what the table says again."""

    def agrees() -> bool:
        matrix = measure(everyone)
        return not matrix.unexpectedly_allowed and not matrix.unexpectedly_blocked

    wait_until(agrees, seconds=PATIENCE, what="the matrix holds again")


def _to_port(port: int, group_id: str) -> "IpPermissionTypeDef":
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": group_id}]}


def _pairs(everyone: list[PathEndpoint], source: str, target: str, ports: list[int]) -> list[Pair]:
    return sorted(
        Pair(source=one.name, target=other.name, protocol=TCP, port=port)
        for one in everyone
        for other in everyone
        for port in ports
        if (one.role, other.role) == (source, target) and one is not other
    )


def _rule_of(ec2: "EC2Client", group_id: str, peer: str, port: int, *, egress: bool) -> "SecurityGroupRuleTypeDef":
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])["SecurityGroupRules"]
    (found,) = [
        rule
        for rule in rules
        if rule.get("IsEgress") is egress and rule.get("FromPort") == port and rule.get("ReferencedGroupInfo", {}).get("GroupId") == peer
    ]
    return found


def _modify(ec2: "EC2Client", rule: "SecurityGroupRuleTypeDef", first: int, last: int) -> None:
    ec2.modify_security_group_rules(
        GroupId=rule.get("GroupId", ""),
        SecurityGroupRules=[
            {
                "SecurityGroupRuleId": rule.get("SecurityGroupRuleId", ""),
                "SecurityGroupRule": {
                    "IpProtocol": rule.get("IpProtocol", ""),
                    "FromPort": first,
                    "ToPort": last,
                    "ReferencedGroupId": rule.get("ReferencedGroupInfo", {}).get("GroupId", ""),
                    "Description": rule.get("Description", ""),
                },
            }
        ],
    )
