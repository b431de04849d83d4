"""Log groups."""

from tests.aws.cloud.support import client


def test_a_log_groups_class_is_shown(api: str) -> None:
    logs = client("logs", api)
    logs.create_log_group(logGroupName="a")
    logs.create_log_group(logGroupName="b", logGroupClass="INFREQUENT_ACCESS")
    assert [group["logGroupClass"] for group in logs.describe_log_groups()["logGroups"]] == ["STANDARD", "INFREQUENT_ACCESS"]
