"""Secrets Manager: secrets, their versions and policies."""

from __future__ import annotations

import base64
from typing import Final

from lab.provider.api_client import ApiClient, ApiError
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, policy_json, tag_list, tag_map, tags_of
from lab.provider.naming import prefixed_unique_id, request_token
from lab.provider.rules.model import TypeRules, as_list, name_set
from lab.provider.rules.validators import all_of, base64_text, between, length, matches, policy

_DEFAULT_RECOVERY_DAYS: Final = 30
_PROPAGATION_SECONDS: Final = 120.0
"""`PropagationTimeout` in terraform-provider-aws, internal/service/secretsmanager/consts.go."""
_CURRENT: Final = "AWSCURRENT"
_PREVIOUS: Final = "AWSPREVIOUS"
_DELETED_MESSAGES: Final = ("because it was deleted", "because it was marked for deletion")
"""Labels and refusals that `resourceSecretVersionUpdate` and `…Delete` know by name (secret_version.go in the same folder)."""


_NAME_CHECK: Final = matches(r"[0-9A-Za-z/_+=.@-]+", "letters, digits and /_+=.@-")


def _is_being_deleted(refusal: ApiError) -> bool:
    """`resourceSecretCreate` (internal/service/secretsmanager/secret.go) tries again while the name's former holder is being deleted."""
    return refusal.code == "InvalidRequestException" and any(word in refusal.message for word in ("scheduled for deletion", "was deleted"))


class Secret(Handler):
    """`aws.secretsmanager.Secret`; its id is its ARN."""

    label = "Secrets Manager Secret"
    rules = TypeRules(
        unsupported=name_set("replicas forceOverwriteReplicaSecret type"),
        checks={
            "name": all_of(length(1, 512), _NAME_CHECK),
            "namePrefix": all_of(length(1, 486), _NAME_CHECK),
            "recoveryWindowInDays": between(7, 30, 0),
            "policy": policy(20480, principal=True),
            "description": length(0, 2048),
        },
    )

    def create(self, client: ApiClient, news: Props) -> str:
        name = news.get("name") or prefixed_unique_id(str(news.get("namePrefix") or "pulumi-"))
        made = client.retry(
            lambda: client.call(
                "secretsmanager.create_secret",
                ClientRequestToken=request_token(),
                Name=name,
                Description=news.get("description"),
                KmsKeyId=news.get("kmsKeyId"),
                Tags=tag_list(news.get("tagsAll")) or None,
            ),
            is_retryable=_is_being_deleted,
            seconds=_PROPAGATION_SECONDS,
        )
        return str(made["ARN"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        if news.get("policy"):
            client.call("secretsmanager.put_resource_policy", SecretId=identifier, ResourcePolicy=policy_json(news["policy"]))

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        secret = client.find("secretsmanager.describe_secret", SecretId=identifier)
        if secret is None or secret.get("DeletedDate"):
            return None
        policy = client.call("secretsmanager.get_resource_policy", SecretId=identifier).get("ResourcePolicy")
        return {
            "arn": secret["ARN"],
            "name": secret["Name"],
            "description": secret.get("Description") or "",
            "kmsKeyId": secret.get("KmsKeyId") or "",
            "policy": policy or "",
            "replicas": [],
            "recoveryWindowInDays": state.get("recoveryWindowInDays", _DEFAULT_RECOVERY_DAYS),
            "tagsAll": tag_map(secret.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if changed & {"description", "kmsKeyId"}:
            client.call(
                "secretsmanager.update_secret",
                SecretId=identifier,
                Description=news.get("description") or "",
                KmsKeyId=news.get("kmsKeyId"),
            )
        if "policy" in changed:
            if news.get("policy"):
                client.call("secretsmanager.put_resource_policy", SecretId=identifier, ResourcePolicy=policy_json(news["policy"]))
            else:
                client.call("secretsmanager.delete_resource_policy", SecretId=identifier)
        before, after = tags_of(olds), tags_of(news)
        if gone := sorted(before.keys() - after.keys()):
            client.call("secretsmanager.untag_resource", SecretId=identifier, TagKeys=gone)
        if fresh := {key: value for key, value in after.items() if before.get(key) != value}:
            client.call("secretsmanager.tag_resource", SecretId=identifier, Tags=tag_list(fresh))

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        days = state.get("recoveryWindowInDays")
        window = {"ForceDeleteWithoutRecovery": True} if days == 0 else {"RecoveryWindowInDays": days or _DEFAULT_RECOVERY_DAYS}
        ignore_missing(lambda: client.call("secretsmanager.delete_secret", SecretId=identifier, **window), "ResourceNotFoundException")


class SecretVersion(Handler):
    """`aws.secretsmanager.SecretVersion`; its id is `arn|version`."""

    label = "Secrets Manager Secret Version"
    rules = TypeRules(
        checks={"secretBinary": base64_text, "secretString": length(1, 65536)},
    )

    def create(self, client: ApiClient, news: Props) -> str:
        binary = news.get("secretBinary")
        made = client.call(
            "secretsmanager.put_secret_value",
            ClientRequestToken=request_token(),
            SecretId=news["secretId"],
            SecretString=news.get("secretString", news.get("secretStringWo")),
            SecretBinary=base64.b64decode(binary) if binary is not None else None,
            VersionStages=news.get("versionStages"),
        )
        return f"{made['ARN']}|{made['VersionId']}"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        secret, _, version = identifier.partition("|")
        described = client.find("secretsmanager.describe_secret", SecretId=secret)
        if described is None or described.get("DeletedDate"):
            return None
        found = client.find("secretsmanager.get_secret_value", SecretId=secret, VersionId=version)
        if found is None:
            return None
        binary = found.get("SecretBinary")
        write_only = state.get("secretStringWo") is not None
        return {
            "arn": found["ARN"],
            "secretArn": found["ARN"],
            "secretId": state.get("secretId") or secret,
            "versionId": version,
            "secretString": None if write_only else found.get("SecretString"),
            "secretStringWo": None,
            "secretBinary": base64.b64encode(binary).decode() if binary else None,
            "hasSecretStringWo": write_only,
            "versionStages": sorted(as_list(found.get("VersionStages"))),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        """Moves labels to this version, AWSCURRENT away from where it is; takes off those that go, but AWSCURRENT."""
        secret, _, version = identifier.partition("|")
        before, after = set(as_list(olds.get("versionStages"))), set(as_list(news.get("versionStages")))
        for stage in sorted(after - before):
            holder = {"RemoveFromVersionId": self._current(client, secret)} if stage == _CURRENT else {}
            client.call(
                "secretsmanager.update_secret_version_stage", SecretId=secret, VersionStage=stage, MoveToVersionId=version, **holder
            )
        moved = _CURRENT in after - before
        for stage in sorted(before - after - {_CURRENT} - ({_PREVIOUS} if moved else set())):
            client.call("secretsmanager.update_secret_version_stage", SecretId=secret, VersionStage=stage, RemoveFromVersionId=version)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """AWSCURRENT cannot be taken from a version; other labels of the state are, and one that has moved on is an error."""
        secret, _, version = identifier.partition("|")
        for stage in as_list(state.get("versionStages")):
            if stage == _CURRENT:
                continue
            try:
                client.call("secretsmanager.update_secret_version_stage", SecretId=secret, VersionStage=stage, RemoveFromVersionId=version)
            except ApiError as refusal:
                if refusal.code == "ResourceNotFoundException" or (
                    refusal.code == "InvalidRequestException" and any(word in refusal.message for word in _DELETED_MESSAGES)
                ):
                    return
                raise

    @staticmethod
    def _current(client: ApiClient, secret: str) -> str:
        versions = client.call("secretsmanager.list_secret_version_ids", SecretId=secret)["Versions"]
        return next((str(each["VersionId"]) for each in versions if _CURRENT in as_list(each.get("VersionStages"))), "")

    def parse_import_id(self, identifier: str) -> Props:
        return {"secretId": identifier.partition("|")[0]}
