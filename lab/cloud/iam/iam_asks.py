"""What calls to IAM need: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html"""

import re

from lab.cloud.calls import Call
from lab.cloud.iam.needs import REQUEST_TAGS, Need, UnknownCallError, request_tags

_OF_ROLES = frozenset(
    {
        "CreateRole", "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "GetRole", "GetRolePolicy",
        "ListAttachedRolePolicies", "ListInstanceProfilesForRole", "ListRolePolicies", "ListRoleTags", "PutRolePermissionsBoundary",
        "PutRolePolicy", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription",
    }
)  # fmt: skip
_OF_PROFILES = frozenset(
    {
        "AddRoleToInstanceProfile", "CreateInstanceProfile", "DeleteInstanceProfile", "GetInstanceProfile", "ListInstanceProfileTags",
        "RemoveRoleFromInstanceProfile", "TagInstanceProfile", "UntagInstanceProfile",
    }
)  # fmt: skip
_WITH_BOUNDARY = frozenset(
    {
        "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "GetRole", "PutRolePolicy", "UpdateAssumeRolePolicy",
        "UpdateRole", "UpdateRoleDescription",
    }
)  # fmt: skip
"""Calls that bring the boundary which the role has; CreateRole and PutRolePermissionsBoundary bring the one that it is to have."""
_BOUNDARY = "iam:permissionsboundary"


def needs(call: Call, partition: str, account: str) -> list[Need]:
    """What a call needs, a role's or profile's path being `/`. Raises `UnknownCallError`."""
    role, profile = call.parameters.get("RoleName", ""), call.parameters.get("InstanceProfileName", "")
    start = f"arn:{partition}:iam::{account}"
    role_arn, facts = f"{start}:role/{role}", request_tags(_tags(call))
    action = f"iam:{call.action}"
    if call.parameters.get("Path", "/") != "/":
        raise UnknownCallError(call)
    if call.action in _OF_ROLES and role:
        given = call.parameters.get("PermissionsBoundary")
        if given:
            facts[_BOUNDARY] = (given,)
        existing = role_arn if call.action in _WITH_BOUNDARY else ""
        known = (*REQUEST_TAGS, *((_BOUNDARY,) if existing or call.action in {"CreateRole", "PutRolePermissionsBoundary"} else ()))
        found = [Need(action=action, resource=role_arn, facts=facts, boundary_of=existing, worked_out=known)]
        if call.action == "CreateRole" and _tags(call):
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags_roles.html#id_tags_roles_permissions
            found.append(Need(action="iam:TagRole", resource=role_arn, facts=request_tags(_tags(call)), worked_out=REQUEST_TAGS))
        return found
    if call.action in _OF_PROFILES and profile:
        resource = f"{start}:instance-profile/{profile}"
        found = [Need(action=action, resource=resource, facts=facts, worked_out=REQUEST_TAGS)]
        if call.action == "CreateInstanceProfile" and facts:
            found.append(Need(action="iam:TagInstanceProfile", resource=resource, facts=facts, worked_out=REQUEST_TAGS))
        if call.action == "AddRoleToInstanceProfile":
            found.append(Need(action="iam:PassRole", resource=role_arn, facts={"iam:passedtoservice": ("ec2.amazonaws.com",)}))
        return found
    raise UnknownCallError(call)


def _tags(call: Call) -> dict[str, str]:
    numbered = re.compile(r"Tags\.member\.(\d+)\.Key")
    found = {match[1]: value for key, value in call.parameters.items() if (match := numbered.fullmatch(key))}
    return {key: call.parameters.get(f"Tags.member.{number}.Value", "") for number, key in found.items()}
