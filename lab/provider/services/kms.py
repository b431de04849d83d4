"""KMS keys and aliases."""

from __future__ import annotations

from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.codec import Props
from lab.provider.naming import unique
from lab.provider.rules.model import listed
from lab.provider.services.base import Handler, quiet, tags_of
from lab.provider.services.iam import text


class Key(Handler):
    """`aws.kms.Key`."""

    kind = "aws:kms/key:Key"
    label = "KMS Key"

    def create(self, cloud: Cloud, news: Props) -> str:
        made = cloud.call(
            "kms.create_key",
            Description=news.get("description"),
            KeyUsage=news.get("keyUsage"),
            KeySpec=news.get("customerMasterKeySpec"),
            MultiRegion=news.get("multiRegion"),
            Policy=text(news["policy"]) if news.get("policy") else None,
            Tags=_tags(tags_of(news)) or None,
        )
        return str(made["KeyMetadata"]["KeyId"])

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        if news.get("enableKeyRotation"):
            _rotate(cloud, identifier, news)
        if news.get("isEnabled") is False:
            cloud.call("kms.disable_key", KeyId=identifier)

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        found = cloud.find("kms.describe_key", KeyId=identifier)
        if found is None or found["KeyMetadata"]["KeyState"] == "PendingDeletion":
            return None
        key = found["KeyMetadata"]
        rotation = cloud.find("kms.get_key_rotation_status", KeyId=identifier) or {}
        policy = cloud.call("kms.get_key_policy", KeyId=identifier, PolicyName="default").get("Policy")
        tags = listed(cloud.call("kms.list_resource_tags", KeyId=identifier).get("Tags"))
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

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "isEnabled" in changed:
            cloud.call("kms.disable_key" if news.get("isEnabled") is False else "kms.enable_key", KeyId=identifier)
        if "description" in changed:
            cloud.call("kms.update_key_description", KeyId=identifier, Description=news.get("description") or "")
        if "policy" in changed and news.get("policy"):
            cloud.call("kms.put_key_policy", KeyId=identifier, PolicyName="default", Policy=text(news["policy"]))
        if changed & {"enableKeyRotation", "rotationPeriodInDays"}:
            if news.get("enableKeyRotation"):
                _rotate(cloud, identifier, news)
            else:
                cloud.call("kms.disable_key_rotation", KeyId=identifier)
        before, after = tags_of(olds), tags_of(news)
        if gone := sorted(before.keys() - after.keys()):
            cloud.call("kms.untag_resource", KeyId=identifier, TagKeys=gone)
        if fresh := {key: value for key, value in after.items() if before.get(key) != value}:
            cloud.call("kms.tag_resource", KeyId=identifier, Tags=_tags(fresh))

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        days = state.get("deletionWindowInDays") or 30
        quiet(lambda: cloud.call("kms.schedule_key_deletion", KeyId=identifier, PendingWindowInDays=days), "KMSInvalidStateException")


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in sorted(tags.items())]


def _rotate(cloud: Cloud, key: str, news: Props) -> None:
    cloud.call("kms.enable_key_rotation", KeyId=key, RotationPeriodInDays=news.get("rotationPeriodInDays"))


class Alias(Handler):
    """`aws.kms.Alias`; its id is its name."""

    kind = "aws:kms/alias:Alias"
    label = "KMS Alias"

    def create(self, cloud: Cloud, news: Props) -> str:
        name = str(news.get("name") or unique(str(news.get("namePrefix") or "alias/pulumi-")))
        cloud.call("kms.create_alias", AliasName=name, TargetKeyId=news["targetKeyId"])
        return name

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        alias = _alias(cloud, identifier)
        if alias is None:
            return None
        target, given = alias["TargetKeyId"], str(state.get("targetKeyId") or "")
        return {
            "arn": alias["AliasArn"],
            "name": identifier,
            "targetKeyId": given if given.rpartition("/")[2] == target else target,
            "targetKeyArn": cloud.arn("kms", f"key/{target}"),
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        cloud.call("kms.update_alias", AliasName=identifier, TargetKeyId=news["targetKeyId"])

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        quiet(lambda: cloud.call("kms.delete_alias", AliasName=identifier))


def _alias(cloud: Cloud, name: str) -> dict[str, Any] | None:
    return next((item for item in listed(cloud.call("kms.list_aliases").get("Aliases")) if item["AliasName"] == name), None)
