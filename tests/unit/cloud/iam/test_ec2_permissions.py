"""What calls of EC2 need, by the table of AWS's service authorization reference."""

import pytest

from lab.cloud.calls import HttpRequest
from tests.unit.cloud.iam.service_calls import EC2, ROLE, asked, ec2, found


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (ec2("DescribeAddresses", AllocationId_1="eipalloc-1"), [("ec2:DescribeAddresses", "*")]),
        (
            ec2("AssociateAddress", AllocationId="eipalloc-1", InstanceId="i-1", AllowReassociation="true"),
            [("ec2:AssociateAddress", f"{EC2}:elastic-ip/eipalloc-1"), ("ec2:AssociateAddress", f"{EC2}:instance/i-1")],
        ),
        (
            ec2("StopInstances", InstanceId_1="i-1", InstanceId_2="i-2"),
            [("ec2:StopInstances", f"{EC2}:instance/i-1"), ("ec2:StopInstances", f"{EC2}:instance/i-2")],
        ),
        (
            ec2("CreateTags", ResourceId_1="vol-1", ResourceId_2="i-1", Tag_1_Key="a"),
            [("ec2:CreateTags", f"{EC2}:volume/vol-1"), ("ec2:CreateTags", f"{EC2}:instance/i-1")],
        ),
        (
            ec2("AssociateIamInstanceProfile", InstanceId="i-1", IamInstanceProfile_Name="web"),
            [("ec2:AssociateIamInstanceProfile", f"{EC2}:instance/i-1"), ("iam:PassRole", ROLE)],
        ),
        (
            ec2("RunInstances", ImageId="ami-1", SubnetId="subnet-1", SecurityGroupId_1="sg-1", IamInstanceProfile_Arn="arn:x/web"),
            [
                *(("ec2:RunInstances", f"{EC2}:{end}") for end in ("instance/*", "network-interface/*", "volume/*")),
                ("ec2:RunInstances", "arn:aws:ec2:eu-west-1::image/ami-1"),
                *(("ec2:RunInstances", f"{EC2}:{end}") for end in ("subnet/subnet-1", "security-group/sg-1")),
                ("iam:PassRole", ROLE),
            ],
        ),
    ],
)
def test_ec2(message: HttpRequest, expected: list[tuple[str, str]]) -> None:
    assert asked("ec2", message) == expected


TAGS = {"TagSpecification_1_Tag_1_Key": "project", "TagSpecification_1_Tag_1_Value": "webstack"}


def test_what_a_call_makes_bears_the_tags_of_the_request_and_to_tag_it_is_an_action_of_its_own() -> None:
    vpc, subnet, tags = found("ec2", ec2("CreateSubnet", VpcId="vpc-1", TagSpecification_1_ResourceType="subnet", **TAGS))
    assert (vpc.resource, vpc.tags_of, dict(vpc.context)) == (f"{EC2}:vpc/vpc-1", "vpc-1", {}), "the VPC has its own tags"
    asked_for = {"aws:requesttag/project": ("webstack",), "aws:tagkeys": ("project",)}
    assert (subnet.action, subnet.resource, subnet.tags_of, dict(subnet.context)) == ("ec2:CreateSubnet", f"{EC2}:subnet/*", "", asked_for)
    assert (tags.action, tags.resource) == ("ec2:CreateTags", f"{EC2}:subnet/*")
    assert dict(tags.context) == {**asked_for, "ec2:createaction": ("CreateSubnet",)}


def test_tags_on_what_exists_come_with_those_that_it_has() -> None:
    (need,) = found("ec2", ec2("CreateTags", ResourceId_1="sg-1", Tag_1_Key="project", Tag_1_Value="webstack"))
    assert (need.tags_of, need.context["aws:requesttag/project"], "ec2:createaction" in need.context) == ("sg-1", ("webstack",), False)


def test_a_rule_is_made_where_it_is_tagged() -> None:
    group = ("ec2:AuthorizeSecurityGroupIngress", f"{EC2}:security-group/sg-1")
    assert asked("ec2", ec2("AuthorizeSecurityGroupIngress", GroupId="sg-1")) == [group]
    tagged = ec2("AuthorizeSecurityGroupIngress", GroupId="sg-1", TagSpecification_1_ResourceType="security-group-rule", **TAGS)
    rule = f"{EC2}:security-group-rule/*"
    assert asked("ec2", tagged) == [group, ("ec2:AuthorizeSecurityGroupIngress", rule), ("ec2:CreateTags", rule)]


def test_an_association_is_of_its_table_and_its_subnet() -> None:
    assert asked("ec2", ec2("DisassociateRouteTable", AssociationId="rtbassoc-1")) == [
        ("ec2:DisassociateRouteTable", f"{EC2}:route-table/rtb-1"),
        ("ec2:DisassociateRouteTable", f"{EC2}:subnet/subnet-1"),
    ]


def test_an_address_is_disassociated_with_its_interface_and_one_that_lost_its_association_for_no_tags_sake() -> None:
    assert asked("ec2", ec2("DisassociateAddress", AssociationId="eipassoc-1")) == [
        ("ec2:DisassociateAddress", f"{EC2}:elastic-ip/eipalloc-1"),
        ("ec2:DisassociateAddress", f"{EC2}:network-interface/eni-1"),
    ]
    assert asked("ec2", ec2("DisassociateAddress", AssociationId="eipassoc-2")) == [("ec2:DisassociateAddress", f"{EC2}:elastic-ip/*")]


def test_flow_logs_are_handed_a_role() -> None:
    passed = found("ec2", ec2("CreateFlowLogs", ResourceId_1="vpc-1", DeliverLogsPermissionArn=ROLE))[-1]
    assert (passed.action, passed.resource, passed.context["iam:passedtoservice"]) == (
        "iam:PassRole",
        ROLE,
        ("vpc-flow-logs.amazonaws.com",),
    )


def test_a_role_is_passed_on_to_a_service() -> None:
    passed = found("ec2", ec2("AssociateIamInstanceProfile", InstanceId="i-1", IamInstanceProfile_Name="web"))[-1]
    assert passed.context == {"iam:passedtoservice": ("ec2.amazonaws.com",)}
