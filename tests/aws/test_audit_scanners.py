"""The stacks and the repository before the scanners: nothing is found that is not in the reviewed file, and they are shown to bite."""

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from audit import baseline, policies, prowler, repository
from audit.account import Account
from audit.applied_stack import AppliedStack, scan
from audit.findings import Finding
from lab.paths import REPOSITORY
from tests.aws.harness import Stack


def applied(stack: Stack) -> AppliedStack:
    return AppliedStack(account=Account(endpoint=stack.api.endpoint, stack=stack.name), types=frozenset(stack.resource_types()))


def new(findings: list[Finding]) -> set[tuple[str, str]]:
    """The check and resource of what the reviewed file does not know."""
    return {(one.check, one.resource) for one in baseline.classify(findings, baseline.load(), complete=False).new}


@pytest.fixture(scope="module")
def findings(dev: Stack, prod: Stack) -> list[Finding]:
    """What all scanners say of both stacks and of the repository; the locks' packages are asked for by `make audit` alone."""
    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(scan, applied(stack)) for stack in (dev, prod)] + [pool.submit(repository.scan, REPOSITORY)]
        return [finding for one in looking for finding in one.result()]


def test_every_finding_is_in_the_reviewed_file(findings: list[Finding]) -> None:
    assert baseline.classify(findings, baseline.load()).new == []


def test_every_line_of_the_reviewed_file_still_matches_a_finding(findings: list[Finding]) -> None:
    assert baseline.classify(findings, baseline.load()).stale == []


def test_what_cloudsplaining_says_of_infrastructure_is_about_the_agent_s_report_alone(findings: list[Finding]) -> None:
    assert {one.detail for one in findings if one.check == "InfrastructureModification"} == {"ssm:UpdateInstanceInformation"}


def test_prowler_finds_a_door_that_was_opened(dev: Stack) -> None:
    with door(dev):
        found = new(prowler.scan(applied(dev).account, ["ec2"]))
    assert ("ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22", "web") in found


def test_the_linters_find_a_right_that_is_too_wide_and_one_that_does_not_exist(dev: Stack) -> None:
    with rights(dev, "s3:*", "s3:GetObjekt", "iam:PassRole"):
        found = new(policies.scan(applied(dev).account))
    assert {check for check, _ in found} >= {"RESOURCE_STAR", "UNKNOWN_ACTION", "ServiceWildcard", "DataExfiltration"}
    assert {resource for _, resource in found} <= {"identity policy of role web", "identity policy of web"}


@contextmanager
def door(stack: Stack) -> Generator[None]:
    """SSH open to the world on the web hosts."""
    ec2 = stack.api.ec2
    groups = {group.get("GroupId", ""): group.get("Tags", []) for group in ec2.describe_security_groups()["SecurityGroups"]}
    (web,) = [group for group, tagged in groups.items() if f"{stack.name}-web" in [tag.get("Value") for tag in tagged]]
    made = ec2.authorize_security_group_ingress(GroupId=web, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
    try:
        yield
    finally:
        rule = made["SecurityGroupRules"][0].get("SecurityGroupRuleId", "")
        ec2.revoke_security_group_ingress(GroupId=web, SecurityGroupRuleIds=[rule])


@contextmanager
def rights(stack: Stack, *actions: str) -> Generator[None]:
    """More rights for the web hosts' role, on everything."""
    iam = stack.api.iam
    (role,) = [one["RoleName"] for one in iam.list_roles()["Roles"] if one["RoleName"].startswith(f"{stack.name}-web-")]
    # Parliament looks no further in a statement that names an unknown action.
    statements = [{"Effect": "Allow", "Action": action, "Resource": "*"} for action in actions]
    iam.put_role_policy(RoleName=role, PolicyName="wide", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="wide")
