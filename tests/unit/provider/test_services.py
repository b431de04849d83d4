"""IAM, S3, Secrets Manager, Route 53 and logs: read as made, repaired after drift, refused as AWS refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.provider.api_client import ApiClient
from lab.provider.codec import Asset, Secret
from lab.provider.services.s3.object import PART_BYTES
from tests.unit.provider.fake_engine import REGION, AbortedError, FakeEngine, NetworkFixture, Resource, boto_client, diff_kinds
from tests.unit.provider.test_network import drifted, settled
from tests.unit.provider.test_schema import (
    A_RECORD,
    BUCKET,
    LOG_GROUP,
    OBJECT,
    READ,
    RECORD,
    ROLE,
    ROLE_POLICY,
    SECRET,
    SECRET_VERSION,
    TRUST,
    VERSIONING,
    ZONE,
)

BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
BLOCKED = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True}


def role(engine: FakeEngine, name: str = "web", **props: Any) -> Resource:
    """A role that EC2 may take."""
    return engine.create(ROLE, name, **{"name": name, "assumeRolePolicy": TRUST, **props})


def bucket(engine: FakeEngine, **props: Any) -> Resource:
    """A bucket."""
    return engine.create(BUCKET, "artifacts", bucket="artifacts-1", **props)


def test_a_role_reads_as_made_and_changes_in_place(engine: FakeEngine) -> None:
    made = settled(engine, role(engine, description="a", maxSessionDuration=7200, tags={"a": "b"}))
    changed = engine.update(
        made, description="b", assumeRolePolicy=TRUST.replace("ec2", "vpc-flow-logs"), maxSessionDuration=None, tags=None
    )
    assert (changed["description"], changed["maxSessionDuration"], changed["tags"]) == ("b", 3600, {})
    settled(engine, changed)


def test_a_boundary_must_exist(engine: FakeEngine) -> None:
    with pytest.raises(AbortedError, match="does not exist or is not attachable"):
        role(engine, permissionsBoundary="arn:aws:iam::123456789012:policy/none")
    made = role(engine, "later")
    with pytest.raises(AbortedError, match="does not exist or is not attachable"):
        engine.update(made, permissionsBoundary="arn:aws:iam::123456789012:policy/none")


def test_an_inline_policy_that_somebody_widened_is_put_back(engine: FakeEngine) -> None:
    role(engine)
    policy = settled(engine, engine.create(ROLE_POLICY, "p", name="read", role="web", policy=READ))
    wide = READ.replace("s3:GetObject", "*")
    boto_client("iam").put_role_policy(RoleName="web", PolicyName="read", PolicyDocument=wide)
    assert drifted(engine, policy) == {"policy": "update"}
    settled(engine, engine.update(policy))


def test_a_role_with_policies_is_not_deleted(engine: FakeEngine) -> None:
    made = role(engine)
    policy = engine.create(ROLE_POLICY, "p", name="read", role="web", policy=READ)
    with pytest.raises(AbortedError, match="DeleteConflict"):
        engine.delete(made)
    engine.delete(policy)
    engine.delete(made)
    assert engine.refresh(made) is None


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


def test_a_secret_that_waits_for_its_end_blocks_its_name(engine: FakeEngine) -> None:
    made = settled(engine, engine.create(SECRET, "s", name="webstack/dev/x", description="d", tags={"a": "b"}))
    with pytest.raises(AbortedError, match=r"ResourceExistsException"):
        engine.create(SECRET, "second", name="webstack/dev/x")
    engine.delete(made)
    assert engine.refresh(made) is None
    with pytest.raises(AbortedError, match=r"InvalidRequestException.*scheduled for deletion"):
        engine.create(SECRET, "again", name="webstack/dev/x")
    with pytest.raises(AbortedError, match=r"InvalidRequestException.*marked for deletion"):
        engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("x"))


def test_a_secret_whose_name_is_being_freed_is_tried_for_until_it_is_free(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x")
    engine.delete(made)
    call, tries = ApiClient.call, 0

    def third_time(self: ApiClient, operation: str, /, **parameters: Any) -> dict[str, Any]:
        nonlocal tries
        if operation == "secretsmanager.create_secret":
            tries += 1
            if tries == 3:
                boto_client("secretsmanager").delete_secret(SecretId=made.id, ForceDeleteWithoutRecovery=True)
        return call(self, operation, **parameters)

    monkeypatch.setattr(ApiClient, "call", third_time)
    engine.create(SECRET, "again", name="webstack/dev/x")
    assert tries == 3


def test_a_role_shows_the_policies_that_were_put_into_it_later(engine: FakeEngine) -> None:
    role = engine.create(ROLE, "r", name="web", assumeRolePolicy=TRUST)
    assert role["inlinePolicies"] == []
    engine.create(ROLE_POLICY, "p", name="reads", role="web", policy=READ)
    seen = settled(engine, role)
    (inline,) = seen["inlinePolicies"]
    assert inline["name"] == "reads"
    assert json.loads(inline["policy"]) == json.loads(READ)


def test_a_secret_without_a_recovery_window_frees_its_name_at_once(engine: FakeEngine) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x", recoveryWindowInDays=0)
    engine.delete(made)
    engine.create(SECRET, "again", name="webstack/dev/x")


def test_a_secrets_value_reads_as_made(engine: FakeEngine) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x", tags={"a": "b"})
    version = settled(engine, engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("hunter2")))
    assert re.fullmatch(re.escape(made.id) + r"\|terraform-\d{18}[0-9a-f]{8}", version.id), "id.UniqueId of the Terraform plugin SDK"
    engine.delete(version)
    changed = settled(engine, engine.update(made, description="new", tags={"c": "d"}))
    assert (changed["description"], changed["tags"]) == ("new", {"c": "d"})


def labels(secret: str) -> dict[str, str]:
    """Label → version."""
    held = boto_client("secretsmanager").describe_secret(SecretId=secret)["VersionIdsToStages"]
    return {label: version for version, found in held.items() for label in found}


def rotated(secret: str) -> tuple[str, str]:
    """A secret whose current value is another one; the version before and the current one."""
    secrets, first = boto_client("secretsmanager"), labels(secret)["AWSCURRENT"]
    second = secrets.put_secret_value(SecretId=secret, SecretString="two", VersionStages=["AWSPENDING"])["VersionId"]
    secrets.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first)
    return first, second


def test_a_version_reads_as_made_whatever_its_labels_have_become(engine: FakeEngine) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x")
    version = engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("one"))
    first, _ = rotated(made.id)
    read = settled(engine, version)
    assert (read["versionId"], read["versionStages"]) == (first, ["AWSPREVIOUS"])
    boto_client("secretsmanager").update_secret_version_stage(SecretId=made.id, VersionStage="AWSPREVIOUS", RemoveFromVersionId=first)
    assert settled(engine, version)["versionStages"] == [], "deprecated, and still there"


def test_a_version_that_is_given_labels_takes_the_current_one_back(engine: FakeEngine) -> None:
    """Why the program gives none: an `up` would bring yesterday's password back."""
    made = engine.create(SECRET, "s", name="webstack/dev/x")
    version = engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("one"), versionStages=["AWSCURRENT"])
    first, second = rotated(made.id)
    read = engine.refresh(version)
    assert read is not None
    assert read["versionStages"] == ["AWSPREVIOUS"]
    engine.update(read, secretId=made.id, secretString=Secret("one"), versionStages=["AWSCURRENT"])
    assert labels(made.id)["AWSCURRENT"] == first
    assert labels(made.id)["AWSPREVIOUS"] == second


def test_a_label_that_has_moved_on_since_the_last_refresh_is_in_the_way_of_a_version_s_deletion(engine: FakeEngine) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x")
    version = engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("one"))
    rotated(made.id)
    read = engine.refresh(version)
    assert read is not None
    rotated(made.id)
    with pytest.raises(AbortedError, match="AWSPREVIOUS not found"):
        engine.delete(read)


def zone(small_network: NetworkFixture, **props: Any) -> Resource:
    """A private zone."""
    return small_network.engine.create(ZONE, "z", name="dev.webstack.internal", vpcs=[{"vpcId": small_network.vpc.id}], **props)


def test_a_private_zone_is_of_a_vpc_that_exists_and_its_only_one_of_the_name(small_network: NetworkFixture) -> None:
    made = settled(small_network.engine, zone(small_network, tags={"a": "b"}))
    assert made["vpcs"] == [{"vpcId": small_network.vpc.id, "vpcRegion": REGION}]
    with pytest.raises(AbortedError, match="ConflictingDomainExists"):
        zone(small_network)
    with pytest.raises(AbortedError, match="InvalidVPCId"):
        small_network.engine.create(ZONE, name="x.internal", vpcs=[{"vpcId": "vpc-0123456789abcdef0"}])
    other = small_network.engine.create("aws:ec2/vpc:Vpc", "other", cidrBlock="10.1.0.0/16")
    changed = small_network.engine.update(made, vpcs=[{"vpcId": other.id}], comment="c", tags={"a": "c"})
    assert ([vpc["vpcId"] for vpc in settled(small_network.engine, changed)["vpcs"]], changed["comment"]) == ([other.id], "c")


def test_a_private_zones_name_servers_end_with_a_dot_and_a_public_ones_do_not(small_network: NetworkFixture) -> None:
    private = settled(small_network.engine, zone(small_network))
    assert private["nameServers"] == ["ns-0.awsdns-00.com.", "ns-1024.awsdns-00.org.", "ns-1536.awsdns-00.co.uk.", "ns-512.awsdns-00.net."]
    assert private["primaryNameServer"] == "ns-0.awsdns-00.com."
    public = settled(small_network.engine, small_network.engine.create(ZONE, "public", name="example.org"))
    assert len(public["nameServers"]) == 4
    assert not any(name.endswith(".") for name in [*public["nameServers"], public["primaryNameServer"]])


def test_a_name_has_one_spelling_in_the_state_and_any_in_the_program(small_network: NetworkFixture) -> None:
    made = small_network.engine.create(ZONE, "z", name="Dev.Webstack.Internal.", vpcs=[{"vpcId": small_network.vpc.id}])
    assert made["name"] == "dev.webstack.internal"
    record = settled(
        small_network.engine, small_network.engine.create(RECORD, **{**A_RECORD, "name": "Web.Dev.webstack.internal.", "zoneId": made.id})
    )
    assert (record["name"], record["fqdn"]) == ("web.dev.webstack.internal", "web.dev.webstack.internal")
    assert record.id == f"{made.id}_web.dev.webstack.internal_A"


def test_a_zones_own_record_stays_when_the_program_lets_it_go(small_network: NetworkFixture) -> None:
    made = zone(small_network)
    value = "ns-0.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 5"
    soa = {"zoneId": made.id, "name": "dev.webstack.internal", "type": "SOA", "ttl": 5, "allowOverwrite": True}
    record = settled(small_network.engine, small_network.engine.create(RECORD, **soa, records=[value]))
    with pytest.raises(AbortedError, match=r"DomainLabelEmpty \(Domain label is empty\)"):
        small_network.engine.update(record, records=[value.replace(".com. ", ".com.. ", 1)])
    small_network.engine.delete(record)
    found = small_network.engine.refresh(record)
    assert found is not None
    assert found["records"] == [value]


def test_a_zone_with_records_is_deleted_only_by_force(small_network: NetworkFixture) -> None:
    made = zone(small_network)
    small_network.engine.create(RECORD, **{**A_RECORD, "zoneId": made.id})
    with pytest.raises(AbortedError, match="HostedZoneNotEmpty"):
        small_network.engine.delete(made)
    small_network.engine.delete(small_network.engine.update(made, forceDestroy=True))
    assert small_network.engine.refresh(made) is None


def test_a_record_is_within_its_zone_made_once_and_repaired(small_network: NetworkFixture) -> None:
    engine, made = small_network.engine, zone(small_network)
    record = engine.create(RECORD, **{**A_RECORD, "name": "WEB", "zoneId": made.id})
    record = settled(engine, record)
    assert record["fqdn"] == "web.dev.webstack.internal"
    with pytest.raises(AbortedError, match="but it already exists"):
        engine.create(RECORD, "again", **{**A_RECORD, "name": "web.dev.webstack.internal", "zoneId": made.id})
    changed = settled(engine, engine.update(record, records=["10.0.0.2", "10.0.0.1"], ttl=6))
    name, values = "web.dev.webstack.internal", [{"Value": "10.9.9.9"}]
    wrong = {"Name": name, "Type": "A", "TTL": 6, "ResourceRecords": values}
    boto_client("route53").change_resource_record_sets(
        HostedZoneId=made.id, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": wrong}]}
    )
    assert set(drifted(engine, changed)) == {"records[0]", "records[1]"}
    engine.delete(changed)
    assert engine.refresh(changed) is None
    engine.delete(changed)


def test_a_record_may_take_another_type_in_place(small_network: NetworkFixture) -> None:
    record = small_network.engine.create(RECORD, **{**A_RECORD, "zoneId": zone(small_network).id})
    changed = settled(small_network.engine, small_network.engine.update(record, type="TXT", records=["v=1 a"]))
    assert changed["records"] == ["v=1 a"]


def test_a_cname_stands_alone_and_not_at_the_apex(small_network: NetworkFixture) -> None:
    made = zone(small_network)
    alias = {"zoneId": made.id, "type": "CNAME", "ttl": 5, "records": ["x.example.org"]}
    with pytest.raises(AbortedError, match="not permitted at apex"):
        small_network.engine.create(RECORD, "apex", **alias, name="dev.webstack.internal")
    small_network.engine.create(RECORD, **{**A_RECORD, "zoneId": made.id})
    with pytest.raises(AbortedError, match="a conflicting RRSet of type A is there"):
        small_network.engine.create(RECORD, "beside", **alias, name="web")


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
