"""The readiness record."""

import hashlib
import json
from datetime import datetime

import pytest
from webstack_host import aws, config, imds, readiness

from stack.readiness_record import parse_record

from .conftest import HOST, returning


def test_a_record_counts_by_the_hash_of_this_boots_user_data(monkeypatch: pytest.MonkeyPatch) -> None:
    put: dict[str, bytes] = {}
    monkeypatch.setattr(config, "load_common", returning(HOST))
    monkeypatch.setattr(imds, "instance_id", returning("i-0123456789abcdef0"))
    monkeypatch.setattr(imds, "user_data", returning(b"#cloud-config\n"))
    monkeypatch.setattr(aws, "user_id", returning("AROAEXAMPLE:i-0123456789abcdef0"))
    monkeypatch.setattr(aws, "put_object", put.__setitem__)
    readiness.publish("failed", "first\nsecond", [f"line {n}" for n in range(40)], {"a": "b"})
    record = json.loads(put["hosts/AROAEXAMPLE:i-0123456789abcdef0.json"])
    assert record["user_data_sha256"] == hashlib.sha256(b"#cloud-config\n").hexdigest()
    assert (record["version"], record["host"], record["state"], record["reason"]) == (1, "web-1", "failed", "first")
    assert record["detail"] == [f"line {n}" for n in range(15, 40)]
    assert record["facts"] == {"a": "b"}
    assert datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%f%z").utcoffset() is not None
    readiness.publish("failed", "\U0001f600" * 10**6, ["\U0001f600" * 10**6] * 40)
    told = parse_record(put["hosts/AROAEXAMPLE:i-0123456789abcdef0.json"])
    assert (len(told.reason), [len(line) for line in told.detail]) == (500, [500] * 25), "however long, it is read"
