"""Log groups: what is made is what AWS then shows, and what drifted is seen."""

import pytest

from tests.unit.provider.fake_engine import REGION, AbortedError, FakeEngine, boto_client
from tests.unit.provider.test_network import drifted, settled
from tests.unit.provider.test_schema import (
    LOG_GROUP,
)


def test_a_log_group_reads_as_made_and_its_drift_is_seen(engine: FakeEngine) -> None:
    made = settled(engine, engine.create(LOG_GROUP, "g", name="/webstack/dev", retentionInDays=14, tags={"a": "b"}))
    assert made["arn"] == f"arn:aws:logs:{REGION}:123456789012:log-group:/webstack/dev"
    (listed,) = boto_client("logs").describe_log_groups(logGroupNamePrefix="/webstack/dev")["logGroups"]
    assert listed["logGroupClass"] == "STANDARD"
    boto_client("logs").put_retention_policy(logGroupName="/webstack/dev", retentionInDays=1)
    assert drifted(engine, made) == {"retentionInDays": "update"}
    assert settled(engine, engine.update(made, retentionInDays=None, tags={"c": "d"}))["retentionInDays"] == 0
    with pytest.raises(AbortedError, match=r"ResourceAlreadyExistsException"):
        engine.create(LOG_GROUP, "again", name="/webstack/dev")
    engine.delete(made)
    assert engine.refresh(made) is None
