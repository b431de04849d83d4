"""KMS keys and aliases."""

from __future__ import annotations

from typing import Any

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.naming import prefixed_unique_id
from lab.provider.rules.model import as_list
from lab.provider.services.base import Handler, ignore_missing, tags_of
from lab.provider.services.iam import policy_json


class Key(Handler):
    """`aws.kms.Key`."""

    resource_type = "aws:kms/key:Key"
    label = "KMS Key"

    def create(self, client: ApiClient, news: Props) -> str:
        made = client.call(
            "kms.create_key",
            Description=news.get("description"),
            KeyUsage=news.get("keyUsage"),
            KeySpec=news.get("customerMasterKeySpec"),
            MultiRegion=news.get("multiRegion"),
            Policy=policy_json(news["policy"]) if news.get("policy") else None,
            Tags=_tags(tags_of(news)) or None,
        )
        return str(made["KeyMetadata"]["KeyId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        if news.get("enableKeyRotation"):
            _enable_rotation(client, identifier, news)
        if news.get("isEnabled") is False:
            client.call("kms.disable_key", KeyId=identifier)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.find("kms.describe_key", KeyId=identifier)
        if found is None or found["KeyMetadata"]["KeyState"] == "PendingDeletion":
            return None
        key = found["KeyMetadata"]
        rotation = client.find("kms.get_key_rotation_status", KeyId=identifier) or {}
        policy = client.call("kms.get_key_policy", KeyId=identifier, PolicyName="default").get("Policy")
        tags = as_list(client.call("kms.list_resource_tags", KeyId=identifier).get("Tags"))
        return {
            "arn": key["Arn"],
            "keyId": key["KeyId"],
            "description": key.get("Description") or "",
            "keyUsage": key.get("KeyUsage") or "ENCRYPT_DECRYPT",
            "customerMasterKeySpec": key.get("KeySpec") or "SYMMETRIC_DEFAULT",
            "isEnabled": bool(key.get("Enabled")),
            "multiRegion": bool(key.get("MultiRegion")),
            "enableKeyRotation": bool(rotation.get("KeyRotationEnabled")),
            "rotationPeriodInDays": rotation.get("RotationPeriodInDays") or state.get("rotationPeriodInDays"),
            "policy": policy,
            "tagsAll": {item["TagKey"]: item["TagValue"] for item in tags},
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "isEnabled" in changed:
            client.call("kms.disable_key" if news.get("isEnabled") is False else "kms.enable_key", KeyId=identifier)
        if "description" in changed:
            client.call("kms.update_key_description", KeyId=identifier, Description=news.get("description") or "")
        if "policy" in changed and news.get("policy"):
            client.call("kms.put_key_policy", KeyId=identifier, PolicyName="default", Policy=policy_json(news["policy"]))
        if changed & {"enableKeyRotation", "rotationPeriodInDays"}:
            if news.get("enableKeyRotation"):
                _enable_rotation(client, identifier, news)
            else:
                client.call("kms.disable_key_rotation", KeyId=identifier)
        before, after = tags_of(olds), tags_of(news)
        if gone := sorted(before.keys() - after.keys()):
            client.call("kms.untag_resource", KeyId=identifier, TagKeys=gone)
        if fresh := {key: value for key, value in after.items() if before.get(key) != value}:
            client.call("kms.tag_resource", KeyId=identifier, Tags=_tags(fresh))

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        days = state.get("deletionWindowInDays") or 30
        ignore_missing(
            lambda: client.call("kms.schedule_key_deletion", KeyId=identifier, PendingWindowInDays=days), "KMSInvalidStateException"
        )


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in sorted(tags.items())]


def _enable_rotation(client: ApiClient, key: str, news: Props) -> None:
    client.call("kms.enable_key_rotation", KeyId=key, RotationPeriodInDays=news.get("rotationPeriodInDays"))


class Alias(Handler):
    """`aws.kms.Alias`; its id is its name."""

    resource_type = "aws:kms/alias:Alias"
    label = "KMS Alias"

    def create(self, client: ApiClient, news: Props) -> str:
        name = str(news.get("name") or prefixed_unique_id(str(news.get("namePrefix") or "alias/pulumi-")))
        client.call("kms.create_alias", AliasName=name, TargetKeyId=news["targetKeyId"])
        return name

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        alias = _alias(client, identifier)
        if alias is None:
            return None
        target, given = alias["TargetKeyId"], str(state.get("targetKeyId") or "")
        return {
            "arn": alias["AliasArn"],
            "name": identifier,
            "targetKeyId": given if given.rpartition("/")[2] == target else target,
            "targetKeyArn": client.arn("kms", f"key/{target}"),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        client.call("kms.update_alias", AliasName=identifier, TargetKeyId=news["targetKeyId"])

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        ignore_missing(lambda: client.call("kms.delete_alias", AliasName=identifier))


def _alias(client: ApiClient, name: str) -> dict[str, Any] | None:
    return next((item for item in as_list(client.call("kms.list_aliases").get("Aliases")) if item["AliasName"] == name), None)
