"""What an auditor would ask of the bucket, secrets, names and tags, asked of the API."""

import hashlib
import json
from typing import Any

from tests.aws.api import Resource, tags
from tests.aws.harness import Stack

PURPOSES = ["app-migrator", "app-reader", "app-session-key", "app-writer", "database-clone", "database-replication", "web-tls"]


def test_the_bucket_is_private_by_all_four_blocks_and_owns_what_is_put_into_it(each: Stack) -> None:
    s3, bucket = each.api.s3, each.api.bucket()
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
    owned = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert [rule["ObjectOwnership"] for rule in owned] == ["BucketOwnerEnforced"]


def test_the_bucket_keeps_versions_for_a_while_and_is_encrypted(each: Stack) -> None:
    s3, bucket = each.api.s3, each.api.bucket()
    assert s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") == "AES256"
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    ends = {rule.get("Filter", {}).get("Prefix"): rule["Expiration"].get("Days") for rule in rules if "Expiration" in rule}
    assert ends == {"database/certificates/": 7}, "nothing else that is current goes by itself"
    days = {rule.get("Filter", {}).get("Prefix"): rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays") for rule in rules}
    assert days == {"": 30, "hosts/": 1, "database/certificates/": None}, "hosts write their records anew each minute"


def test_the_bucket_answers_by_tls_only(each: Stack) -> None:
    bucket = each.api.bucket()
    statements: list[dict[str, Any]] = json.loads(each.api.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    arn = f"arn:aws:s3:::{bucket}"
    assert [{key: one[key] for key in one if key != "Sid"} for one in statements] == [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_the_bucket_holds_the_app_each_role_s_bundle_each_pet_s_configuration_and_nothing_else(each: Stack) -> None:
    keys = [one.get("Key", "") for one in each.api.s3.list_objects_v2(Bucket=each.api.bucket()).get("Contents", [])]
    configured = sorted(key for key in keys if key.startswith("configuration/"))
    assert configured == ["configuration/db-1.yaml", "configuration/db-2.yaml", "configuration/lb-1.yaml"]
    others = sorted(key.rpartition("/")[0] for key in keys if key not in configured)
    assert others == ["app", "roles/database", "roles/load_balancer", "roles/web"]
    for key in (key for key in keys if key.startswith("roles/")):
        content = each.api.s3.get_object(Bucket=each.api.bucket(), Key=key)["Body"].read()
        assert hashlib.sha256(content).hexdigest() == key.rpartition("/")[2].removesuffix(".tar.gz"), key


def test_every_purpose_has_a_secret_with_a_value_of_its_own(each: Stack) -> None:
    listed = each.api.secrets.list_secrets()["SecretList"]
    prefix = f"webstack/{each.name}-{each.stack_id()}"
    assert sorted(one.get("Name", "") for one in listed) == sorted(f"{prefix}/{purpose}" for purpose in PURPOSES)
    values = [each.api.secrets.get_secret_value(SecretId=one.get("ARN", ""))["SecretString"] for one in listed]
    assert len(set(values)) == len(PURPOSES)
    assert min(len(value) for value in values) >= 32


def test_the_two_environments_share_no_secret(dev: Stack, prod: Stack) -> None:
    def values(stack: Stack) -> set[str]:
        names = [f"webstack/{stack.name}-{stack.stack_id()}/{purpose}" for purpose in PURPOSES]
        return {stack.api.secrets.get_secret_value(SecretId=name)["SecretString"] for name in names}

    assert values(dev) & values(prod) == set()


def test_outputs_hold_no_secret_s_value(each: Stack) -> None:
    outputs = each.engine.stack.outputs()
    ours = {"allowed_networks", "network", "stack_id", "zones"}
    assert set(outputs) == ours | {"bucket_name", "database_addresses", "instance_ids", "public_address", "url"}
    assert outputs["bucket_name"].value == each.api.bucket()
    assert outputs["instance_ids"].value == {tags(one)["host"]: one["InstanceId"] for one in each.api.instances()}


def test_the_private_zone_names_every_fixed_host_and_all_web_hosts(each: Stack) -> None:
    zone = each.api.zone()
    hosts = {tags(one)["host"]: one["PrivateIpAddress"] for one in each.api.instances()}
    domain = f"{each.name}.webstack.internal."
    assert (zone["Name"], zone["Config"]["PrivateZone"]) == (domain, True)
    assert each.api.records() == {
        **{f"{host}.{domain}": [hosts[host]] for host in ("lb-1", "db-1", "db-2")},
        f"web.{domain}": sorted(address for host, address in hosts.items() if host.startswith("web-")),
    }
    found = each.api.route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    assert {record.get("TTL") for record in found if record["Type"] == "A"} == {5}


def test_everything_that_can_bear_tags_names_project_environment_component_and_itself(each: Stack) -> None:
    vpc = each.api.vpc()["VpcId"]
    for what in ("vpcs", "subnets", "route_tables", "internet_gateways", "nat_gateways", "vpc_endpoints", "flow_logs", "security_groups",
                 "volumes", "addresses"):  # fmt: skip
        for one in each.api.describe(what):
            if one.get("VpcId", vpc) == vpc and not is_main(one):
                check(each, what, tags(one))
    ours = {one["GroupId"] for one in each.api.describe("security_groups") if one["VpcId"] == vpc}
    for one in each.api.describe("security_group_rules"):
        if one["GroupId"] in ours:
            check(each, "rule", tags(one))
    for one in each.api.instances():
        check(each, "instance", tags(one))
    bucket = each.api.bucket()
    check(each, "bucket", tags({"Tags": each.api.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}))
    for key in (one.get("Key", "") for one in each.api.s3.list_objects_v2(Bucket=bucket, Prefix="configuration/").get("Contents", [])):
        check(each, key, tags({"Tags": each.api.s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}))
    for one in each.api.secrets.list_secrets()["SecretList"]:
        check(each, "secret", tags(dict(one)))
    for one in each.api.iam.list_roles()["Roles"]:
        check(each, "role", tags({"Tags": each.api.iam.list_role_tags(RoleName=one["RoleName"])["Tags"]}))
    zone = each.api.zone()["Id"].rpartition("/")[2]
    zone_tags = each.api.route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)["ResourceTagSet"]
    check(each, "zone", tags(dict(zone_tags)))


def is_main(thing: Resource) -> bool:
    """A VPC's main route table is AWS's own: it comes with the VPC and no resource of ours manages it."""
    return any(association.get("Main") for association in thing.get("Associations", []))


def check(stack: Stack, what: str, found: dict[str, str]) -> None:
    assert (found.get("project"), found.get("environment")) == ("webstack", stack.name), (what, found)
    assert found.get("component"), (what, found)
    assert found.get("Name", "").startswith(f"{stack.name}-"), (what, found)
    assert found.get("team") == {"dev": None, "prod": "platform"}[stack.name], (what, "the stack file's own tags", found)
