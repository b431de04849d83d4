"""What a change takes: nothing, an update in place, a replacement, or a replacement that deletes first."""

import json
from typing import Any

import pytest

from lab.provider.codec import UNKNOWN, Asset, Secret
from lab.provider.diff import canonical, compute_diff, values_equal
from tests.unit.provider.fake_engine import compare_inputs
from tests.unit.provider.test_schema import (
    ASSOCIATION,
    BUCKET,
    EIP,
    ENDPOINT,
    FLOW_LOG,
    GROUP,
    HOST,
    INSTANCE,
    LOG_GROUP,
    NAT,
    OBJECT,
    PASSWORD,
    PROFILE,
    RECORD,
    ROLE,
    ROLE_POLICY,
    ROUTE,
    RULE,
    SECRET,
    SECRET_VERSION,
    SUBNET,
    VOLUME,
    VPC,
    ZONE,
)

LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
VOLUME_ATTACHMENT = "aws:ec2/volumeAttachment:VolumeAttachment"
AUTOMATIC = {"name": "g-1234567", "__defaults": ["name"]}
NOTHING, UPDATE, REPLACE, DELETE_FIRST = "nothing", "update", "replace", "delete first"

TABLE: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.1.0.0/16"}, REPLACE),
    (VPC, {"enableDnsHostnames": False}, {"enableDnsHostnames": True}, UPDATE),
    (VPC, {"region": "eu-central-1"}, {"region": "eu-west-1"}, REPLACE),
    (VPC, {"tagsAll": {"a": "1"}}, {"tagsAll": {"a": "2"}}, UPDATE),
    (SUBNET, {"availabilityZone": "a"}, {"availabilityZone": "b"}, REPLACE),
    (SUBNET, {"vpcId": "vpc-1"}, {"vpcId": UNKNOWN}, REPLACE),
    (SUBNET, {"mapPublicIpOnLaunch": True}, {}, UPDATE),
    (SUBNET, {"mapPublicIpOnLaunch": False}, {}, NOTHING),
    (EIP, {"instance": "i-1"}, {}, NOTHING),
    (ZONE, {"name": "dev.internal"}, {"name": "Dev.Internal."}, NOTHING),
    (ZONE, {"name": "dev.internal"}, {"name": "dev2.internal"}, DELETE_FIRST),
    (RECORD, {"name": "web.dev.internal"}, {"name": "WEB.dev.internal."}, NOTHING),
    (RECORD, {"name": "web.dev.internal"}, {"name": "db.dev.internal"}, REPLACE),
    (EIP, {"instance": "i-1"}, {"instance": "i-2"}, UPDATE),
    (NAT, {"allocationId": "eipalloc-1"}, {"allocationId": "eipalloc-2"}, REPLACE),
    (ROUTE, {"gatewayId": "igw-1"}, {"natGatewayId": "nat-1"}, UPDATE),
    (ROUTE, {"destinationCidrBlock": "0.0.0.0/0"}, {"destinationCidrBlock": "10.0.0.0/8"}, REPLACE),
    (ASSOCIATION, {"routeTableId": "rtb-1"}, {"routeTableId": "rtb-2"}, UPDATE),
    (ENDPOINT, {"routeTableIds": ["a", "b"]}, {"routeTableIds": ["b", "a"]}, NOTHING),
    (ENDPOINT, {"routeTableIds": ["a"]}, {"routeTableIds": ["a", "b"]}, UPDATE),
    (FLOW_LOG, {"maxAggregationInterval": 600}, {"maxAggregationInterval": 60}, REPLACE),
    (GROUP, {"description": "a", **AUTOMATIC}, {"description": "b", **AUTOMATIC}, REPLACE),
    (GROUP, {"description": "a", "name": "g"}, {"description": "b", "name": "g"}, DELETE_FIRST),
    (RULE, {"cidrIpv4": "10.0.0.0/8"}, {"cidrIpv4": "11.0.0.0/8"}, UPDATE),
    (RULE, {"cidrIpv4": "10.0.0.0/8"}, {"referencedSecurityGroupId": "sg-1"}, REPLACE),
    (RULE, {"description": "a"}, {"description": "b"}, UPDATE),
    (INSTANCE, HOST, {**HOST, "ami": "ami-11111111"}, REPLACE),
    (INSTANCE, HOST, {**HOST, "instanceType": "t3.small"}, UPDATE),
    (INSTANCE, {**HOST, "userData": "a"}, {**HOST, "userData": "b"}, UPDATE),
    (INSTANCE, {**HOST, "userData": "a"}, {**HOST, "userData": "b", "userDataReplaceOnChange": True}, REPLACE),
    (INSTANCE, {**HOST, "privateIp": "10.0.0.4"}, HOST, NOTHING),
    (INSTANCE, {"vpcSecurityGroupIds": ["a", "b"]}, {"vpcSecurityGroupIds": ["b", "a"]}, NOTHING),
    (INSTANCE, {"rootBlockDevice": {"volumeSize": 8, "iops": 3000}}, {"rootBlockDevice": {"volumeSize": 8}}, NOTHING),
    (INSTANCE, {"rootBlockDevice": {"volumeSize": 8}}, {"rootBlockDevice": {"volumeSize": 9}}, UPDATE),
    (INSTANCE, {"rootBlockDevice": {"encrypted": False}}, {"rootBlockDevice": {"encrypted": True}}, REPLACE),
    (INSTANCE, {}, {"forceDestroy": False}, NOTHING),
    (VOLUME, {"size": 8}, {"size": 9}, UPDATE),
    (VOLUME, {"encrypted": False}, {"encrypted": True}, REPLACE),
    # Where the data lie and who is who: said here too, because a slip in the facts would plan to lose them or to keep what must go.
    (VOLUME, {"availabilityZone": "a"}, {"availabilityZone": "b"}, REPLACE),
    (VOLUME_ATTACHMENT, {"volumeId": "vol-1"}, {"volumeId": "vol-2"}, REPLACE),
    (VOLUME_ATTACHMENT, {"instanceId": "i-1"}, {"instanceId": "i-2"}, REPLACE),
    (INSTANCE, {**HOST, "privateIp": "10.0.0.4"}, {**HOST, "privateIp": "10.0.0.5"}, REPLACE),
    (INSTANCE, {**HOST, "subnetId": "subnet-1"}, {**HOST, "subnetId": "subnet-2"}, REPLACE),
    (SUBNET, {"cidrBlock": "10.0.0.0/24"}, {"cidrBlock": "10.0.1.0/24"}, REPLACE),
    (RULE, {"securityGroupId": "sg-1"}, {"securityGroupId": "sg-2"}, REPLACE),
    (SECRET, {"name": "a"}, {"name": "b"}, DELETE_FIRST),
    (ROLE, {"description": "a"}, {"description": "b"}, UPDATE),
    (ROLE, {"name": "a"}, {"name": "b"}, DELETE_FIRST),
    (ROLE_POLICY, {"policy": '{"Action":"a","Resource":["x","y"]}'}, {"policy": '{"Resource": ["y", "x"], "Action": ["a"]}'}, NOTHING),
    (ROLE_POLICY, {"policy": '{"Action":"a"}'}, {"policy": '{"Action":"b"}'}, UPDATE),
    (PROFILE, {"role": "a"}, {"role": "b"}, UPDATE),
    (BUCKET, {"forceDestroy": False}, {"forceDestroy": True}, UPDATE),
    (BLOCK, {"bucket": "b", "blockPublicAcls": True}, {"bucket": "b"}, UPDATE),
    (OBJECT, {"source": Asset(hash="a")}, {"source": Asset(hash="a", path="/x")}, NOTHING),
    (OBJECT, {"source": Asset(hash="a")}, {"source": Asset(hash="b", path="/x")}, UPDATE),
    (OBJECT, {"bucket": "a", "key": "k"}, {"bucket": "b", "key": "k"}, DELETE_FIRST),
    (SECRET, {"recoveryWindowInDays": 7}, {"recoveryWindowInDays": 0}, UPDATE),
    (SECRET_VERSION, {"secretString": Secret("a")}, {"secretString": Secret("b")}, REPLACE),
    (ZONE, {"comment": "a"}, {}, UPDATE),
    (ZONE, {"vpcs": [{"vpcId": "vpc-1", "vpcRegion": "x"}]}, {"vpcs": [{"vpcId": "vpc-1"}]}, NOTHING),
    (RECORD, {"records": ["a"], "type": "A"}, {"records": ["b"], "type": "A"}, UPDATE),
    (RECORD, {"name": "a"}, {"name": "b"}, REPLACE),
    (LOG_GROUP, {"retentionInDays": 7}, {}, UPDATE),
    (PASSWORD, {"length": 8}, {"length": 9}, REPLACE),
]  # fmt: skip


@pytest.mark.parametrize(("token", "old", "new", "expected"), TABLE)
def test_a_change_takes_what_it_takes_on_aws(token: str, old: dict[str, Any], new: dict[str, Any], expected: str) -> None:
    found = compare_inputs(token, old, new)
    replaced = DELETE_FIRST if found.delete_before_replace else REPLACE
    assert (replaced if found.replaces else UPDATE if found.changes else NOTHING) == expected


def test_drift_in_the_state_is_a_change_although_the_inputs_agree() -> None:
    wanted = {"tagsAll": {"a": "1"}}
    found = compute_diff(VPC, state={"tagsAll": {"a": "1", "evil": "2"}}, old_inputs=wanted, news=wanted)
    assert [(change.path, change.kind) for change in found.changes] == [("tagsAll.evil", "delete")]


def test_a_default_that_drifted_is_a_change_although_nobody_ever_gave_it() -> None:
    found = compute_diff(INSTANCE, state={**HOST, "sourceDestCheck": False}, old_inputs=HOST, news=HOST)
    assert [change.path for change in found.changes] == ["sourceDestCheck"]


def test_an_ignored_path_is_no_change() -> None:
    news = {**HOST, "ami": "ami-22222222", "instanceType": "t3.large"}
    found = compute_diff(INSTANCE, state=HOST, old_inputs=HOST, news=news, ignored=["ami"])
    assert [change.path for change in found.changes] == ["instanceType"]


RULE_OF_AGE = {"id": "old", "status": "Enabled", "noncurrentVersionExpiration": {"noncurrentDays": 30}}
AND_OF_PARTS = {**RULE_OF_AGE, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}}
OTHER_RULE = {"id": "other", "status": "Enabled", "expiration": {"days": 1}}


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ([AND_OF_PARTS], [RULE_OF_AGE], "rules[0].abortIncompleteMultipartUpload"),
        ([OTHER_RULE, AND_OF_PARTS], [OTHER_RULE, RULE_OF_AGE], "rules[1].abortIncompleteMultipartUpload"),
        ([AND_OF_PARTS, OTHER_RULE], [OTHER_RULE, RULE_OF_AGE], "rules[1].abortIncompleteMultipartUpload"),
    ],
)
def test_what_an_item_of_a_list_loses_is_a_change(old: list[dict[str, Any]], new: list[dict[str, Any]], path: str) -> None:
    live = [{**rule, "filter": {"prefix": ""}} for rule in reversed(old)]  # in AWS's order, with what AWS fills in
    found = compute_diff(
        LIFECYCLE, state={"bucket": "b", "rules": live}, old_inputs={"bucket": "b", "rules": old}, news={"bucket": "b", "rules": new}
    )
    assert [(change.path, change.kind) for change in found.changes] == [(path, "delete")]
    assert not compute_diff(
        LIFECYCLE, state={"bucket": "b", "rules": live}, old_inputs={"rules": old}, news={"bucket": "b", "rules": old}
    ).changes


def test_one_of_several_in_a_list_is_shown_by_its_place() -> None:
    found = compare_inputs(RECORD, {"records": ["a", "b", "c"]}, {"records": ["c", "a", "d"]})
    assert [(change.path, change.kind) for change in found.changes] == [("records[2]", "update")]


def test_a_value_under_a_nested_path_is_shown_by_that_path() -> None:
    old, new = {"metadataOptions": {"httpTokens": "optional"}}, {"metadataOptions": {"httpTokens": "required"}}
    assert [change.path for change in compare_inputs(INSTANCE, old, new).changes] == ["metadataOptions.httpTokens"]


def test_a_policy_is_the_same_in_another_order_and_spacing() -> None:
    one = {"Version": "v", "Statement": [{"Effect": "Allow", "Action": ["b", "a"], "Principal": {"AWS": "*"}, "Resource": "r"}]}
    other = {"Statement": {"Resource": ["r"], "Action": ["a", "b"], "Principal": {"AWS": ["*"]}, "Effect": "Allow"}, "Version": "v"}
    assert canonical(json.dumps(one)) == canonical(other)
    assert canonical("no json") == "no json"
    assert values_equal(ROLE_POLICY, "policy", json.dumps(one), json.dumps(other))
