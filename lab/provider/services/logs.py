"""CloudWatch Logs groups."""

from __future__ import annotations

from lab.provider.cloud import Cloud
from lab.provider.codec import Props
from lab.provider.naming import unique
from lab.provider.rules.model import listed
from lab.provider.services.base import Handler, quiet, tags_of


class LogGroup(Handler):
    """`aws.cloudwatch.LogGroup`."""

    kind = "aws:cloudwatch/logGroup:LogGroup"
    label = "CloudWatch Logs Log Group"

    def create(self, cloud: Cloud, news: Props) -> str:
        name = str(news.get("name") or unique(str(news.get("namePrefix") or "pulumi-")))
        cloud.call(
            "logs.create_log_group",
            logGroupName=name,
            kmsKeyId=news.get("kmsKeyId"),
            tags=tags_of(news) or None,
            logGroupClass=news.get("logGroupClass"),
        )
        return name

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        _retain(cloud, identifier, news.get("retentionInDays"))

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        found = cloud.call("logs.describe_log_groups", logGroupNamePrefix=identifier)
        group = next((item for item in listed(found.get("logGroups")) if item["logGroupName"] == identifier), None)
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
            "tagsAll": cloud.call("logs.list_tags_for_resource", resourceArn=arn).get("tags") or {},
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "retentionInDays" in changed:
            _retain(cloud, identifier, news.get("retentionInDays"))
        if "kmsKeyId" in changed:
            if news.get("kmsKeyId"):
                cloud.call("logs.associate_kms_key", logGroupName=identifier, kmsKeyId=news["kmsKeyId"])
            else:
                cloud.call("logs.disassociate_kms_key", logGroupName=identifier)
        before, after = tags_of(olds), tags_of(news)
        if gone := sorted(before.keys() - after.keys()):
            cloud.call("logs.untag_resource", resourceArn=olds["arn"], tagKeys=gone)
        if fresh := {key: value for key, value in after.items() if before.get(key) != value}:
            cloud.call("logs.tag_resource", resourceArn=olds["arn"], tags=fresh)

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        if not state.get("skipDestroy"):
            quiet(lambda: cloud.call("logs.delete_log_group", logGroupName=identifier), "ResourceNotFoundException")


def _retain(cloud: Cloud, group: str, days: int | None) -> None:
    """0 keeps for ever."""
    if days:
        cloud.call("logs.put_retention_policy", logGroupName=group, retentionInDays=days)
    else:
        cloud.call("logs.delete_retention_policy", logGroupName=group)
