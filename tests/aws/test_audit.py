"""What an auditor would ask of the applied stacks, asked of the API by boto3."""

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.aws.harness import Stack

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, SecurityGroupRuleTypeDef

EVERYWHERE = "0.0.0.0/0"


def instances(stack: Stack) -> "dict[str, InstanceTypeDef]":
    found = [one for group in stack.api.ec2.describe_instances()["Reservations"] for one in group.get("Instances", [])]
    running = [one for one in found if one.get("State", {}).get("Name") == "running"]
    return {tag.get("Value", ""): one for one in running for tag in one.get("Tags", []) if tag.get("Key") == "host"}


def rules(stack: Stack) -> "list[SecurityGroupRuleTypeDef]":
    ours = {vpc.get("VpcId") for vpc in stack.api.ec2.describe_vpcs(Filters=[{"Name": "tag:project", "Values": ["webstack"]}])["Vpcs"]}
    groups = {group.get("GroupId") for group in stack.api.ec2.describe_security_groups()["SecurityGroups"] if group.get("VpcId") in ours}
    return [rule for rule in stack.api.ec2.describe_security_group_rules()["SecurityGroupRules"] if rule.get("GroupId") in groups]


def test_the_hosts_are_those_of_the_configuration(dev: Stack, prod: Stack) -> None:
    assert sorted(instances(dev)) == ["db-1", "db-2", "lb-1", "web-1", "web-2"]
    assert sorted(instances(prod)) == ["db-1", "db-2", "lb-1", "web-1", "web-2", "web-3"]


def test_nothing_is_open_to_the_world_but_http_and_https_of_the_load_balancer(each: Stack) -> None:
    group = instances(each)["lb-1"].get("NetworkInterfaces", [{}])[0].get("Groups", [{}])[0].get("GroupId")
    world = [rule for rule in rules(each) if not rule.get("IsEgress") and rule.get("CidrIpv4")]
    assert sorted((rule.get("GroupId"), rule.get("FromPort"), rule.get("ToPort"), rule.get("CidrIpv4")) for rule in world) == [
        (group, 80, 80, EVERYWHERE),
        (group, 443, 443, EVERYWHERE),
    ]


def test_no_rule_allows_every_port_or_protocol(each: Stack) -> None:
    assert [rule for rule in rules(each) if rule.get("IpProtocol") != "tcp" or rule.get("FromPort") != rule.get("ToPort")] == []


def test_the_default_group_has_no_rules(each: Stack) -> None:
    vpcs = each.api.ec2.describe_vpcs(Filters=[{"Name": "tag:project", "Values": ["webstack"]}])["Vpcs"]
    wanted = [{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [vpc.get("VpcId", "") for vpc in vpcs]}]
    groups = each.api.ec2.describe_security_groups(Filters=wanted)["SecurityGroups"]  # pyright: ignore[reportArgumentType]  (a literal dict)
    assert [(group.get("IpPermissions"), group.get("IpPermissionsEgress")) for group in groups] == [([], [])]


def test_hosts_ask_for_metadata_tokens_and_have_no_key_pair(each: Stack) -> None:
    for name, one in instances(each).items():
        options = one.get("MetadataOptions", {})
        assert (options.get("HttpTokens"), options.get("HttpPutResponseHopLimit")) == ("required", 1), name
        assert not one.get("KeyName"), name


def test_only_the_load_balancer_has_a_public_address(each: Stack) -> None:
    assert [name for name, one in sorted(instances(each).items()) if one.get("PublicIpAddress")] == ["lb-1"]


def test_the_two_databases_and_the_web_hosts_are_spread_over_zones(each: Stack) -> None:
    zones = {name: one.get("Placement", {}).get("AvailabilityZone") for name, one in instances(each).items()}
    assert zones["db-1"] != zones["db-2"]
    assert zones["web-1"] != zones["web-2"]


def test_every_volume_is_encrypted_gp3(each: Stack) -> None:
    volumes = each.api.ec2.describe_volumes()["Volumes"]
    assert len(volumes) >= 2
    assert {(volume.get("Encrypted"), volume.get("VolumeType")) for volume in volumes} == {(True, "gp3")}


def test_the_bucket_is_private_versioned_encrypted_and_answers_by_tls_only(each: Stack) -> None:
    s3 = each.api.s3
    (bucket,) = [bucket.get("Name", "") for bucket in s3.list_buckets()["Buckets"]]
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert len(block) == 4
    assert s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Condition"]) == (
        "Deny",
        "*",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_there_is_one_nat_gateway_in_dev_and_one_per_zone_in_prod(dev: Stack, prod: Stack) -> None:
    assert len(dev.api.ec2.describe_nat_gateways()["NatGateways"]) == 1
    assert len(prod.api.ec2.describe_nat_gateways()["NatGateways"]) == 3


def test_traffic_is_logged(each: Stack) -> None:
    (log,) = each.api.ec2.describe_flow_logs()["FlowLogs"]
    assert (log.get("TrafficType"), log.get("FlowLogStatus")) == ("ALL", "ACTIVE")


def test_there_is_one_role_a_tier_that_only_ec2_may_take(each: Stack) -> None:
    iam = each.api.iam
    profiles = iam.list_instance_profiles()["InstanceProfiles"]
    assert len(profiles) == 3
    for profile in profiles:
        (role,) = profile["Roles"]
        (statement,) = _document(iam.get_role(RoleName=role["RoleName"])["Role"].get("AssumeRolePolicyDocument"))["Statement"]
        assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_no_policy_allows_every_action_or_reads_a_secret_by_wildcard(each: Stack) -> None:
    iam = each.api.iam
    seen = 0
    for role in iam.list_roles()["Roles"]:
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            for statement in _document(iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"])["Statement"]:
                actions, resources = _list(statement["Action"]), _list(statement["Resource"])
                assert not any(action == "*" or action.endswith(":*") for action in actions), (role["RoleName"], statement)
                if any(action.startswith(("secretsmanager:", "s3:")) for action in actions):
                    assert "*" not in resources, (role["RoleName"], statement)
                seen += 1
    assert seen > 10


def test_secrets_are_there_and_in_no_user_data(each: Stack) -> None:
    secrets = each.api.secrets
    values = [secrets.get_secret_value(SecretId=one.get("Name", ""))["SecretString"] for one in secrets.list_secrets()["SecretList"]]
    assert len(values) == 6
    for name, one in instances(each).items():
        answer = each.api.ec2.describe_instance_attribute(InstanceId=one.get("InstanceId", ""), Attribute="userData")
        text = base64.b64decode(answer.get("UserData", {}).get("Value", "")).decode()
        assert text.startswith("#cloud-config\n"), name
        assert len(text.encode()) <= 16384, name
        assert [value for value in values if value in text] == [], name


def test_the_private_zone_names_the_hosts(dev: Stack) -> None:
    (zone,) = dev.api.route53.list_hosted_zones()["HostedZones"]
    assert (zone["Name"], zone.get("Config", {}).get("PrivateZone")) == ("dev.webstack.internal.", True)
    records = dev.api.route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    found = {record["Name"].split(".")[0]: sorted(value["Value"] for value in record.get("ResourceRecords", [])) for record in records}
    hosts = {name: one.get("PrivateIpAddress", "") for name, one in instances(dev).items()}
    assert found["web"] == sorted([hosts["web-1"], hosts["web-2"]])
    assert {name: found[name] for name in ("lb-1", "db-1", "db-2")} == {name: [hosts[name]] for name in ("lb-1", "db-1", "db-2")}


def _document(found: Any) -> dict[str, Any]:
    return json.loads(unquote(found)) if isinstance(found, str) else dict(found)


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
