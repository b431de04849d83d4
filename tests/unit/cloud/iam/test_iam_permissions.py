"""What calls of IAM need, by the table of AWS's service authorization reference."""

from tests.unit.cloud.iam.service_calls import ROLE, asked, found, iam


def test_iam() -> None:
    profile = "arn:aws:iam::123456789012:instance-profile/p"
    made, tagged = found("iam", iam("CreateRole", RoleName="web", PermissionsBoundary="arn:b", Tags_member_1_Key="a"))
    assert (made.action, made.resource, made.context["iam:permissionsboundary"]) == ("iam:CreateRole", ROLE, ("arn:b",))
    assert (tagged.action, made.boundary_of) == ("iam:TagRole", "")
    (put,) = found("iam", iam("PutRolePolicy", RoleName="web", PolicyName="p", PolicyDocument="{}"))
    assert (put.action, put.boundary_of) == ("iam:PutRolePolicy", ROLE)
    assert asked("iam", iam("AddRoleToInstanceProfile", RoleName="web", InstanceProfileName="p")) == [
        ("iam:AddRoleToInstanceProfile", profile),
        ("iam:PassRole", ROLE),
    ]
