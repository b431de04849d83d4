"""IAM roles, their policies, instance profiles."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from lab.provider.cloud import Cloud
from lab.provider.codec import Props
from lab.provider.naming import unique
from lab.provider.rules.model import listed
from lab.provider.services.base import Handler, quiet, tag_list, tag_map, tags_of


def text(document: Any) -> str:
    """A policy as the API takes it."""
    return document if isinstance(document, str) else json.dumps(document)


def _document(found: Any) -> str:
    """A policy as the API gives it: an object (boto3 decodes some), or URL-encoded text."""
    return unquote(found) if isinstance(found, str) else json.dumps(found)


def _name(news: Props) -> str:
    return str(news.get("name") or unique(str(news.get("namePrefix") or "pulumi-")))


def _retag(cloud: Cloud, kind: str, key: str, identifier: str, olds: Props, news: Props) -> None:
    before, after = tags_of(olds), tags_of(news)
    if gone := sorted(before.keys() - after.keys()):
        cloud.call(f"iam.untag_{kind}", **{key: identifier}, TagKeys=gone)
    if fresh := {name: value for name, value in after.items() if before.get(name) != value}:
        cloud.call(f"iam.tag_{kind}", **{key: identifier}, Tags=tag_list(fresh))


def _inline(cloud: Cloud, role: str) -> list[Props]:
    """The policies inside a role, RolePolicy's included (`resourceRoleRead` in terraform-provider-aws, internal/service/iam/role.go)."""
    return [
        {"name": name, "policy": _document(cloud.call("iam.get_role_policy", RoleName=role, PolicyName=name)["PolicyDocument"])}
        for name in sorted(listed(cloud.call("iam.list_role_policies", RoleName=role).get("PolicyNames")))
    ]


class Role(Handler):
    """`aws.iam.Role`."""

    kind = "aws:iam/role:Role"
    label = "IAM Role"

    def create(self, cloud: Cloud, news: Props) -> str:
        made = cloud.call(
            "iam.create_role",
            RoleName=_name(news),
            AssumeRolePolicyDocument=text(news["assumeRolePolicy"]),
            Path=news.get("path"),
            Description=news.get("description"),
            MaxSessionDuration=news.get("maxSessionDuration"),
            PermissionsBoundary=news.get("permissionsBoundary"),
            Tags=tag_list(news.get("tagsAll")) or None,
        )
        return str(made["Role"]["RoleName"])

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        del state
        found = cloud.find("iam.get_role", RoleName=identifier)
        if found is None:
            return None
        role = found["Role"]
        attached = cloud.call("iam.list_attached_role_policies", RoleName=identifier).get("AttachedPolicies")
        return {
            "arn": role["Arn"],
            "name": role["RoleName"],
            "path": role["Path"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat(),
            "description": role.get("Description") or "",
            "maxSessionDuration": role.get("MaxSessionDuration") or 3600,
            "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn") or "",
            "assumeRolePolicy": _document(role["AssumeRolePolicyDocument"]),
            "managedPolicyArns": [item["PolicyArn"] for item in listed(attached)],
            "inlinePolicies": _inline(cloud, identifier),
            "tagsAll": tag_map(role.get("Tags")),
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "assumeRolePolicy" in changed:
            cloud.call("iam.update_assume_role_policy", RoleName=identifier, PolicyDocument=text(news["assumeRolePolicy"]))
        if changed & {"description", "maxSessionDuration"}:
            cloud.call(
                "iam.update_role",
                RoleName=identifier,
                Description=news.get("description") or "",
                MaxSessionDuration=news.get("maxSessionDuration") or 3600,
            )
        if "permissionsBoundary" in changed:
            if boundary := news.get("permissionsBoundary"):
                cloud.call("iam.put_role_permissions_boundary", RoleName=identifier, PermissionsBoundary=boundary)
            else:
                cloud.call("iam.delete_role_permissions_boundary", RoleName=identifier)
        _retag(cloud, "role", "RoleName", identifier, olds, news)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        """The real provider takes the role out of its profiles first; what is attached to it AWS (and moto) refuse."""
        if state.get("forceDetachPolicies"):
            for policy in listed((cloud.find("iam.list_attached_role_policies", RoleName=identifier) or {}).get("AttachedPolicies")):
                cloud.call("iam.detach_role_policy", RoleName=identifier, PolicyArn=policy["PolicyArn"])
            for name in listed((cloud.find("iam.list_role_policies", RoleName=identifier) or {}).get("PolicyNames")):
                cloud.call("iam.delete_role_policy", RoleName=identifier, PolicyName=name)
        for profile in listed((cloud.find("iam.list_instance_profiles_for_role", RoleName=identifier) or {}).get("InstanceProfiles")):
            name = profile["InstanceProfileName"]
            cloud.call("iam.remove_role_from_instance_profile", InstanceProfileName=name, RoleName=identifier)
        quiet(lambda: cloud.call("iam.delete_role", RoleName=identifier))


class RolePolicy(Handler):
    """`aws.iam.RolePolicy`; its id is `role:name`."""

    kind = "aws:iam/rolePolicy:RolePolicy"
    label = "IAM Role Policy"

    def create(self, cloud: Cloud, news: Props) -> str:
        name = _name(news)
        cloud.call("iam.put_role_policy", RoleName=news["role"], PolicyName=name, PolicyDocument=text(news["policy"]))
        return f"{news['role']}:{name}"

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        role, _, name = identifier.partition(":")
        found = cloud.find("iam.get_role_policy", RoleName=role, PolicyName=name)
        if found is None:
            return None
        return {"role": role, "name": name, "policy": _document(found["PolicyDocument"])}

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        role, _, name = identifier.partition(":")
        cloud.call("iam.put_role_policy", RoleName=role, PolicyName=name, PolicyDocument=text(news["policy"]))

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        role, _, name = identifier.partition(":")
        quiet(lambda: cloud.call("iam.delete_role_policy", RoleName=role, PolicyName=name))


class RolePolicyAttachment(Handler):
    """`aws.iam.RolePolicyAttachment`."""

    kind = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    label = "IAM Role Policy Attachment"

    def create(self, cloud: Cloud, news: Props) -> str:
        cloud.call("iam.attach_role_policy", RoleName=news["role"], PolicyArn=news["policyArn"])
        return f"{news['role']}/{news['policyArn']}"

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        role, arn = state["role"], state["policyArn"]
        attached = (cloud.find("iam.list_attached_role_policies", RoleName=role) or {}).get("AttachedPolicies")
        return {"role": role, "policyArn": arn} if any(item["PolicyArn"] == arn for item in listed(attached)) else None

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        """Both properties replace."""

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        quiet(lambda: cloud.call("iam.detach_role_policy", RoleName=state["role"], PolicyArn=state["policyArn"]))

    def imported(self, identifier: str) -> Props:
        role, _, arn = identifier.partition("/")
        return {"role": role, "policyArn": arn}


class InstanceProfile(Handler):
    """`aws.iam.InstanceProfile`."""

    kind = "aws:iam/instanceProfile:InstanceProfile"
    label = "IAM Instance Profile"

    def create(self, cloud: Cloud, news: Props) -> str:
        made = cloud.call(
            "iam.create_instance_profile",
            InstanceProfileName=_name(news),
            Path=news.get("path"),
            Tags=tag_list(news.get("tagsAll")) or None,
        )
        return str(made["InstanceProfile"]["InstanceProfileName"])

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        if news.get("role"):
            cloud.call("iam.add_role_to_instance_profile", InstanceProfileName=identifier, RoleName=news["role"])

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        found = cloud.find("iam.get_instance_profile", InstanceProfileName=identifier)
        if found is None:
            return None
        profile = found["InstanceProfile"]
        roles = listed(profile.get("Roles"))
        return {
            "arn": profile["Arn"],
            "name": profile["InstanceProfileName"],
            "path": profile["Path"],
            "uniqueId": profile["InstanceProfileId"],
            "createDate": profile["CreateDate"].isoformat(),
            "role": roles[0]["RoleName"] if roles else None,
            "tagsAll": tag_map(profile.get("Tags")),
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "role" in changed:
            if olds.get("role"):
                cloud.call("iam.remove_role_from_instance_profile", InstanceProfileName=identifier, RoleName=olds["role"])
            if news.get("role"):
                cloud.call("iam.add_role_to_instance_profile", InstanceProfileName=identifier, RoleName=news["role"])
        _retag(cloud, "instance_profile", "InstanceProfileName", identifier, olds, news)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        live = self.read(cloud, identifier, state)
        if live is None:
            return
        if live["role"]:
            cloud.call("iam.remove_role_from_instance_profile", InstanceProfileName=identifier, RoleName=live["role"])
        quiet(lambda: cloud.call("iam.delete_instance_profile", InstanceProfileName=identifier))
