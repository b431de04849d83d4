"""IAM roles, their policies, instance profiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, policy_json, tag_list, tag_map, tags_of
from lab.provider.naming import prefixed_unique_id
from lab.provider.rules.model import TypeRules, Violation, as_list
from lab.provider.rules.validators import all_of, arn, between, length, matches, policy

_NAME_CHECK: Final = matches(r"[\w+=,.@-]+", "letters, digits and _+=,.@-")
_PATH_CHECK: Final = all_of(length(1, 512), matches(r"/|/[\x21-\x7e]+/", 'a path that begins and ends with "/"'))


def _role_violations(props: dict[str, Any]) -> Iterator[Violation]:
    for name in ("inlinePolicies", "managedPolicyArns"):
        if name in props:
            yield Violation(name, "deprecated, and not implemented by the lab's provider: use RolePolicy")


def _decode_policy(found: Any) -> str:
    """A policy as the API gives it: an object (boto3 decodes some), or URL-encoded text."""
    return unquote(found) if isinstance(found, str) else json.dumps(found)


def _name(news: Props) -> str:
    return str(news.get("name") or prefixed_unique_id(str(news.get("namePrefix") or "pulumi-")))


def _retag(client: ApiClient, kind: str, key: str, identifier: str, olds: Props, news: Props) -> None:
    before, after = tags_of(olds), tags_of(news)
    if gone := sorted(before.keys() - after.keys()):
        client.call(f"iam.untag_{kind}", **{key: identifier}, TagKeys=gone)
    if fresh := {name: value for name, value in after.items() if before.get(name) != value}:
        client.call(f"iam.tag_{kind}", **{key: identifier}, Tags=tag_list(fresh))


def _inline_policies(client: ApiClient, role: str) -> list[Props]:
    """The policies inside a role, RolePolicy's included (`resourceRoleRead` in terraform-provider-aws, internal/service/iam/role.go)."""
    return [
        {"name": name, "policy": _decode_policy(client.call("iam.get_role_policy", RoleName=role, PolicyName=name)["PolicyDocument"])}
        for name in sorted(as_list(client.call("iam.list_role_policies", RoleName=role).get("PolicyNames")))
    ]


class Role(Handler):
    """`aws.iam.Role`."""

    label = "IAM Role"
    rules = TypeRules(
        checks={
            "name": all_of(length(1, 64), _NAME_CHECK),
            "namePrefix": all_of(length(1, 38), _NAME_CHECK),
            "assumeRolePolicy": policy(4096, principal=True),
            "maxSessionDuration": between(3600, 43200),
            "path": _PATH_CHECK,
            "permissionsBoundary": arn,
            "description": length(0, 1000),
        },
        cross_check=_role_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        made = client.call(
            "iam.create_role",
            RoleName=_name(news),
            AssumeRolePolicyDocument=policy_json(news["assumeRolePolicy"]),
            Path=news.get("path"),
            Description=news.get("description"),
            MaxSessionDuration=news.get("maxSessionDuration"),
            PermissionsBoundary=news.get("permissionsBoundary"),
            Tags=tag_list(news.get("tagsAll")) or None,
        )
        return str(made["Role"]["RoleName"])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        del state
        found = client.find("iam.get_role", RoleName=identifier)
        if found is None:
            return None
        role = found["Role"]
        attached = client.call("iam.list_attached_role_policies", RoleName=identifier).get("AttachedPolicies")
        return {
            "arn": role["Arn"],
            "name": role["RoleName"],
            "path": role["Path"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat(),
            "description": role.get("Description") or "",
            "maxSessionDuration": role.get("MaxSessionDuration") or 3600,
            "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn") or "",
            "assumeRolePolicy": _decode_policy(role["AssumeRolePolicyDocument"]),
            "managedPolicyArns": [item["PolicyArn"] for item in as_list(attached)],
            "inlinePolicies": _inline_policies(client, identifier),
            "tagsAll": tag_map(role.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "assumeRolePolicy" in changed:
            client.call("iam.update_assume_role_policy", RoleName=identifier, PolicyDocument=policy_json(news["assumeRolePolicy"]))
        if changed & {"description", "maxSessionDuration"}:
            client.call(
                "iam.update_role",
                RoleName=identifier,
                Description=news.get("description") or "",
                MaxSessionDuration=news.get("maxSessionDuration") or 3600,
            )
        if "permissionsBoundary" in changed:
            if boundary := news.get("permissionsBoundary"):
                client.call("iam.put_role_permissions_boundary", RoleName=identifier, PermissionsBoundary=boundary)
            else:
                client.call("iam.delete_role_permissions_boundary", RoleName=identifier)
        _retag(client, "role", "RoleName", identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """The real provider takes the role out of its profiles first; what is attached to it AWS (and moto) refuse."""
        if state.get("forceDetachPolicies"):
            for policy in as_list((client.find("iam.list_attached_role_policies", RoleName=identifier) or {}).get("AttachedPolicies")):
                client.call("iam.detach_role_policy", RoleName=identifier, PolicyArn=policy["PolicyArn"])
            for name in as_list((client.find("iam.list_role_policies", RoleName=identifier) or {}).get("PolicyNames")):
                client.call("iam.delete_role_policy", RoleName=identifier, PolicyName=name)
        for profile in as_list((client.find("iam.list_instance_profiles_for_role", RoleName=identifier) or {}).get("InstanceProfiles")):
            name = profile["InstanceProfileName"]
            client.call("iam.remove_role_from_instance_profile", InstanceProfileName=name, RoleName=identifier)
        ignore_missing(lambda: client.call("iam.delete_role", RoleName=identifier))


class RolePolicy(Handler):
    """`aws.iam.RolePolicy`; its id is `role:name`."""

    label = "IAM Role Policy"
    rules = TypeRules(
        checks={"name": all_of(length(1, 128), _NAME_CHECK), "policy": policy(10240, principal=False)},
    )

    def create(self, client: ApiClient, news: Props) -> str:
        name = _name(news)
        client.call("iam.put_role_policy", RoleName=news["role"], PolicyName=name, PolicyDocument=policy_json(news["policy"]))
        return f"{news['role']}:{name}"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        role, _, name = identifier.partition(":")
        found = client.find("iam.get_role_policy", RoleName=role, PolicyName=name)
        if found is None:
            return None
        return {"role": role, "name": name, "policy": _decode_policy(found["PolicyDocument"])}

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        role, _, name = identifier.partition(":")
        client.call("iam.put_role_policy", RoleName=role, PolicyName=name, PolicyDocument=policy_json(news["policy"]))

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        role, _, name = identifier.partition(":")
        ignore_missing(lambda: client.call("iam.delete_role_policy", RoleName=role, PolicyName=name))


class InstanceProfile(Handler):
    """`aws.iam.InstanceProfile`."""

    label = "IAM Instance Profile"
    rules = TypeRules(
        checks={"name": all_of(length(1, 128), _NAME_CHECK), "path": _PATH_CHECK},
    )

    def create(self, client: ApiClient, news: Props) -> str:
        made = client.call(
            "iam.create_instance_profile",
            InstanceProfileName=_name(news),
            Path=news.get("path"),
            Tags=tag_list(news.get("tagsAll")) or None,
        )
        return str(made["InstanceProfile"]["InstanceProfileName"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        if news.get("role"):
            client.call("iam.add_role_to_instance_profile", InstanceProfileName=identifier, RoleName=news["role"])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.find("iam.get_instance_profile", InstanceProfileName=identifier)
        if found is None:
            return None
        profile = found["InstanceProfile"]
        roles = as_list(profile.get("Roles"))
        return {
            "arn": profile["Arn"],
            "name": profile["InstanceProfileName"],
            "path": profile["Path"],
            "uniqueId": profile["InstanceProfileId"],
            "createDate": profile["CreateDate"].isoformat(),
            "role": roles[0]["RoleName"] if roles else None,
            "tagsAll": tag_map(profile.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "role" in changed:
            if olds.get("role"):
                client.call("iam.remove_role_from_instance_profile", InstanceProfileName=identifier, RoleName=olds["role"])
            if news.get("role"):
                client.call("iam.add_role_to_instance_profile", InstanceProfileName=identifier, RoleName=news["role"])
        _retag(client, "instance_profile", "InstanceProfileName", identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        live = self.read(client, identifier, state)
        if live is None:
            return
        if live["role"]:
            client.call("iam.remove_role_from_instance_profile", InstanceProfileName=identifier, RoleName=live["role"])
        ignore_missing(lambda: client.call("iam.delete_instance_profile", InstanceProfileName=identifier))
