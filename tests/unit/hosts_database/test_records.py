"""The database's records in the bucket: who is primary, and what its writes are worth."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from database_role import records
from database_role.boot import PrimaryRecord
from database_role.observed_state import ReplicationMode
from webstack_host import aws, config

from .support import DB_1


class Bucket:
    """As much of S3's client as records use."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, **call: Any) -> None:
        assert call["Bucket"] == "artifacts"
        if call.get("IfNoneMatch") == "*" and call["Key"] in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[call["Key"]] = call["Body"]

    def get_object(self, **call: Any) -> dict[str, io.BytesIO]:
        assert call["Bucket"] == "artifacts"
        if call["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[call["Key"]])}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    fake = Bucket()
    monkeypatch.setattr(aws, "s3", lambda: fake)
    monkeypatch.setattr(config, "load_common", lambda: DB_1)
    return fake


def test_the_first_claim_stands(bucket: Bucket) -> None:
    assert records.read_primary() is None
    assert records.create_primary(PrimaryRecord(primary="db-1", data_id="one"))
    assert not records.create_primary(PrimaryRecord(primary="db-2", data_id="two"))
    assert records.read_primary() == PrimaryRecord(primary="db-1", data_id="one")
    assert json.loads(bucket.objects["database/primary.json"])["version"] == 1


def test_a_forbidden_claim_is_not_an_absent_one(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    monkeypatch.setattr(bucket, "get_object", refused)
    with pytest.raises(ClientError, match="AccessDenied"):
        records.read_primary()


def test_a_broken_claim_is_an_error_rather_than_none(bucket: Bucket) -> None:
    bucket.objects["database/primary.json"] = b"{}"
    with pytest.raises(ValueError, match=r"database/primary.json has no field 'primary'"):
        records.read_primary()


def test_what_writes_are_worth_is_recorded_with_its_reason(bucket: Bucket) -> None:
    assert records.read_mode() is None
    records.write_mode(ReplicationMode.DEGRADED, primary="db-1", reason="no replica")
    assert records.read_mode() is ReplicationMode.DEGRADED
    assert json.loads(bucket.objects["database/replication.json"])["reason"] == "no replica"
    bucket.objects["database/replication.json"] = b'{"mode": "fine"}'
    assert records.read_mode() is None
