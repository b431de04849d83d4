"""Buckets, their settings and objects: what is made is what AWS then shows, and what drifted is seen."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.provider.codec import Asset
from lab.provider.services.s3.object import PART_BYTES
from tests.unit.provider.fake_engine import AbortedError, FakeEngine, Resource, boto_client, diff_kinds
from tests.unit.provider.test_network import drifted, settled
from tests.unit.provider.test_schema import (
    BUCKET,
    OBJECT,
    VERSIONING,
)

BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
BLOCKED = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True}


def bucket(engine: FakeEngine, **props: Any) -> Resource:
    """A bucket."""
    return engine.create(BUCKET, "artifacts", bucket="artifacts-1", **props)


def test_a_new_bucket_is_private_and_encrypted_as_on_aws(engine: FakeEngine) -> None:
    settled(engine, bucket(engine, tags={"a": "b"}))
    s3 = boto_client("s3")
    assert all(s3.get_public_access_block(Bucket="artifacts-1")["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_encryption(Bucket="artifacts-1")["ServerSideEncryptionConfiguration"]["Rules"]
    rules = s3.get_bucket_ownership_controls(Bucket="artifacts-1")["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_a_bucket_with_objects_is_deleted_only_by_force(engine: FakeEngine) -> None:
    made = bucket(engine)
    engine.create(VERSIONING, bucket="artifacts-1", versioningConfiguration={"status": "Enabled"})
    boto_client("s3").put_object(Bucket="artifacts-1", Key="hosts/x.json", Body=b"{}")
    boto_client("s3").delete_object(Bucket="artifacts-1", Key="hosts/x.json")
    with pytest.raises(AbortedError, match="BucketNotEmpty"):
        engine.delete(made)
    engine.delete(engine.update(made, forceDestroy=True))
    assert engine.refresh(made) is None


@pytest.mark.parametrize(
    ("token", "props"),
    [
        (VERSIONING, {"versioningConfiguration": {"status": "Enabled"}}),
        (ENCRYPTION, {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": True}]}),
    ],
)
def test_what_a_bucket_always_has_is_let_go_and_taken_again(engine: FakeEngine, token: str, props: dict[str, Any]) -> None:
    bucket(engine)
    made = settled(engine, engine.create(token, bucket="artifacts-1", **props))
    engine.delete(made)
    engine.delete(made)
    settled(engine, engine.create(token, "again", bucket="artifacts-1", **props))


def test_a_buckets_settings_that_drifted_are_seen(engine: FakeEngine) -> None:
    bucket(engine)
    block = engine.create(BLOCK, bucket="artifacts-1", **BLOCKED)
    versioning = engine.create(VERSIONING, bucket="artifacts-1", versioningConfiguration={"status": "Enabled"})
    s3 = boto_client("s3")
    s3.put_public_access_block(Bucket="artifacts-1", PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    s3.put_bucket_versioning(Bucket="artifacts-1", VersioningConfiguration={"Status": "Suspended"})
    assert set(drifted(engine, block)) == {"blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"}
    assert drifted(engine, versioning) == {"versioningConfiguration.status": "update"}
    with pytest.raises(AbortedError, match="cannot be updated from 'Enabled' to 'Disabled'"):
        engine.diff(versioning, versioningConfiguration={"status": "Disabled"})
    assert diff_kinds(engine.diff(versioning, versioningConfiguration={"status": "Suspended"})) == {
        "versioningConfiguration.status": "update"
    }
    s3.delete_public_access_block(Bucket="artifacts-1")
    assert engine.refresh(block) is None


def _bucket_policy(resource: str, **statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Principal": "*", "Action": "s3:*", "Resource": resource, **statement}]})


def test_a_bucket_policy_is_about_its_bucket_and_not_public(engine: FakeEngine) -> None:
    bucket(engine)
    own, tls = "arn:aws:s3:::artifacts-1/*", {"Bool": {"aws:SecureTransport": "false"}}
    made = settled(engine, engine.create(BUCKET_POLICY, bucket="artifacts-1", policy=_bucket_policy(own, Effect="Deny", Condition=tls)))
    engine.delete(made)
    assert engine.refresh(made) is None
    with pytest.raises(AbortedError, match="Policy has invalid resource"):
        engine.create(BUCKET_POLICY, bucket="artifacts-1", policy=_bucket_policy("arn:aws:s3:::artifacts-12/*", Effect="Deny"))
    with pytest.raises(AbortedError, match="blocked by the BlockPublicPolicy"):
        engine.create(BUCKET_POLICY, bucket="artifacts-1", policy=_bucket_policy(own, Effect="Allow"))


def test_an_object_is_uploaded_again_when_its_file_changed(engine: FakeEngine, tmp_path: Path) -> None:
    bucket(engine)
    engine.create(VERSIONING, bucket="artifacts-1", versioningConfiguration={"status": "Enabled"})
    file = tmp_path / "app.tar.gz"
    file.write_bytes(b"one")
    made = engine.create(OBJECT, bucket="artifacts-1", key="app/1", source=Asset(hash="1", path=str(file)), tags={"a": "b"})
    made.outputs["source"] = Asset(hash="1")  # what the engine's state keeps
    settled(engine, made)
    file.write_bytes(b"two")
    assert diff_kinds(engine.diff(made, source=Asset(hash="2", path=str(file)))) == {"source": "update"}
    changed = engine.update(made, source=Asset(hash="2", path=str(file)))
    assert changed["versionId"] != made["versionId"]
    assert boto_client("s3").get_object(Bucket="artifacts-1", Key="app/1")["Body"].read() == b"two"
    assert settled(engine, engine.update(changed, tags={"a": "c"}))["versionId"] == changed["versionId"]
    engine.delete(changed)
    assert "Versions" not in boto_client("s3").list_object_versions(Bucket="artifacts-1"), "all versions go"


@pytest.mark.parametrize(("size", "parts"), [(PART_BYTES, 1), (PART_BYTES + 1, 2), (2 * PART_BYTES + 1, 3)])
def test_a_large_object_is_uploaded_in_parts(engine: FakeEngine, tmp_path: Path, size: int, parts: int) -> None:
    bucket(engine)
    file = tmp_path / "large"
    file.write_bytes(b"x" * (size - 1) + b"y")
    made = settled(
        engine,
        engine.create(OBJECT, bucket="artifacts-1", key="k", source=Asset(hash="1", path=str(file)), contentType="a/b", tags={"a": "b"}),
    )
    assert made["etag"].partition("-")[2] == ("" if parts == 1 else str(parts))
    assert (made["contentType"], made["tags"]) == ("a/b", {"a": "b"})
    assert boto_client("s3").get_object(Bucket="artifacts-1", Key="k")["Body"].read() == file.read_bytes()


def test_an_object_has_no_acl_of_its_own(engine: FakeEngine) -> None:
    bucket(engine)
    with pytest.raises(AbortedError, match="AccessControlListNotSupported"):
        engine.create(OBJECT, bucket="artifacts-1", key="k", content="x", acl="public-read")


def test_a_file_that_is_gone_is_an_error_of_the_plan(engine: FakeEngine) -> None:
    with pytest.raises(AbortedError, match="No such file or directory: '/none/here'"):
        engine.check(OBJECT, "o", {"bucket": "artifacts-1", "key": "k", "source": Asset(hash="1", path="/none/here")})
