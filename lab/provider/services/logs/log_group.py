"""CloudWatch Logs groups."""

from __future__ import annotations

from typing import Final

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, tags_of
from lab.provider.naming import prefixed_unique_id
from lab.provider.rules.model import TypeRules, as_list, name_set
from lab.provider.rules.validators import all_of, arn, length, matches, one_of

RETENTION_DAYS: Final = (0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


class LogGroup(Handler):
    """`aws.cloudwatch.LogGroup`."""

    label = "CloudWatch Logs Log Group"
    rules = TypeRules(
        unsupported=name_set("deletionProtectionEnabled"),
        checks={
            "name": all_of(length(1, 512), matches(r"[.\-_/#A-Za-z0-9]+", "letters, digits and .-_/#")),
            "retentionInDays": one_of(*RETENTION_DAYS),
            "kmsKeyId": arn,
            "logGroupClass": one_of("STANDARD", "INFREQUENT_ACCESS", "DELIVERY"),
        },
    )

    def create(self, client: ApiClient, news: Props) -> str:
        name = str(news.get("name") or prefixed_unique_id(str(news.get("namePrefix") or "pulumi-")))
        client.call(
            "logs.create_log_group",
            logGroupName=name,
            kmsKeyId=news.get("kmsKeyId"),
            tags=tags_of(news) or None,
            logGroupClass=news.get("logGroupClass"),
        )
        return name

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        _set_retention(client, identifier, news.get("retentionInDays"))

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        found = client.call("logs.describe_log_groups", logGroupNamePrefix=identifier)
        group = next((item for item in as_list(found.get("logGroups")) if item["logGroupName"] == identifier), None)
        if group is None:
            return None
        arn = str(group["arn"]).removesuffix(":*")
        return {
            "arn": arn,
            "name": identifier,
            "retentionInDays": group.get("retentionInDays") or 0,
            "kmsKeyId": group.get("kmsKeyId") or "",
            "logGroupClass": group.get("logGroupClass") or state.get("logGroupClass") or "STANDARD",
            "deletionProtectionEnabled": False,
            "tagsAll": client.call("logs.list_tags_for_resource", resourceArn=arn).get("tags") or {},
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "retentionInDays" in changed:
            _set_retention(client, identifier, news.get("retentionInDays"))
        if "kmsKeyId" in changed:
            if news.get("kmsKeyId"):
                client.call("logs.associate_kms_key", logGroupName=identifier, kmsKeyId=news["kmsKeyId"])
            else:
                client.call("logs.disassociate_kms_key", logGroupName=identifier)
        before, after = tags_of(olds), tags_of(news)
        if gone := sorted(before.keys() - after.keys()):
            client.call("logs.untag_resource", resourceArn=olds["arn"], tagKeys=gone)
        if fresh := {key: value for key, value in after.items() if before.get(key) != value}:
            client.call("logs.tag_resource", resourceArn=olds["arn"], tags=fresh)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        if not state.get("skipDestroy"):
            ignore_missing(lambda: client.call("logs.delete_log_group", logGroupName=identifier), "ResourceNotFoundException")


def _set_retention(client: ApiClient, group: str, days: int | None) -> None:
    """0 keeps for ever."""
    if days:
        client.call("logs.put_retention_policy", logGroupName=group, retentionInDays=days)
    else:
        client.call("logs.delete_retention_policy", logGroupName=group)
