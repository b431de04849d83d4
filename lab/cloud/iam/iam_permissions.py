"""What calls to IAM need: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html"""

import re

from lab.cloud.calls import Call
from lab.cloud.iam.permission import REQUEST_TAG_KEYS, RequiredPermission, UnknownCallError, request_tag_context

_ROLE_ACTIONS = frozenset(
    {
        "CreateRole", "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "GetRole", "GetRolePolicy",
        "ListAttachedRolePolicies", "ListInstanceProfilesForRole", "ListRolePolicies", "ListRoleTags", "PutRolePermissionsBoundary",
        "PutRolePolicy", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription",
    }
)  # fmt: skip
_PROFILE_ACTIONS = frozenset(
    {
        "AddRoleToInstanceProfile", "CreateInstanceProfile", "DeleteInstanceProfile", "GetInstanceProfile", "ListInstanceProfileTags",
        "RemoveRoleFromInstanceProfile", "TagInstanceProfile", "UntagInstanceProfile",
    }
)  # fmt: skip
_BOUNDARY_ACTIONS = frozenset(
    {
        "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "GetRole", "PutRolePolicy", "UpdateAssumeRolePolicy",
        "UpdateRole", "UpdateRoleDescription",
    }
)  # fmt: skip
"""Calls whose context has the role's current boundary. For CreateRole and PutRolePermissionsBoundary it is the new one."""
_BOUNDARY_KEY = "iam:permissionsboundary"


def permissions_for(call: Call, partition: str, account: str) -> list[RequiredPermission]:
    """Returns what a call needs, assuming that roles and profiles have the path `/`. Raises `UnknownCallError`."""
    role, profile = call.parameters.get("RoleName", ""), call.parameters.get("InstanceProfileName", "")
    start = f"arn:{partition}:iam::{account}"
    role_arn, facts = f"{start}:role/{role}", request_tag_context(_tags(call))
    action = f"iam:{call.action}"
    if call.parameters.get("Path", "/") != "/":
        raise UnknownCallError(call)
    if call.action in _ROLE_ACTIONS and role:
        given = call.parameters.get("PermissionsBoundary")
        if given:
            facts[_BOUNDARY_KEY] = (given,)
        existing = role_arn if call.action in _BOUNDARY_ACTIONS else ""
        known = (*REQUEST_TAG_KEYS, *((_BOUNDARY_KEY,) if existing or call.action in {"CreateRole", "PutRolePermissionsBoundary"} else ()))
        found = [RequiredPermission(action=action, resource=role_arn, context=facts, boundary_of=existing, supported_prefixes=known)]
        if call.action == "CreateRole" and _tags(call):
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags_roles.html#id_tags_roles_permissions
            found.append(
                RequiredPermission(
                    action="iam:TagRole", resource=role_arn, context=request_tag_context(_tags(call)), supported_prefixes=REQUEST_TAG_KEYS
                )
            )
        return found
    if call.action in _PROFILE_ACTIONS and profile:
        resource = f"{start}:instance-profile/{profile}"
        found = [RequiredPermission(action=action, resource=resource, context=facts, supported_prefixes=REQUEST_TAG_KEYS)]
        if call.action == "CreateInstanceProfile" and facts:
            found.append(
                RequiredPermission(action="iam:TagInstanceProfile", resource=resource, context=facts, supported_prefixes=REQUEST_TAG_KEYS)
            )
        if call.action == "AddRoleToInstanceProfile":
            found.append(
                RequiredPermission(action="iam:PassRole", resource=role_arn, context={"iam:passedtoservice": ("ec2.amazonaws.com",)})
            )
        return found
    raise UnknownCallError(call)


def _tags(call: Call) -> dict[str, str]:
    numbered = re.compile(r"Tags\.member\.(\d+)\.Key")
    found = {match[1]: value for key, value in call.parameters.items() if (match := numbered.fullmatch(key))}
    return {key: call.parameters.get(f"Tags.member.{number}.Value", "") for number, key in found.items()}
