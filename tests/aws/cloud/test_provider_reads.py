"""What AWS's own provider reads of the program's resources, and the lab's provider does not: each answer has AWS's form.

boto3 reads every answer by botocore's description of the service, so a page of HTML, another service's XML or a 500 fails here. Which calls
these are: the functions that read a type in hashicorp/terraform-provider-aws (the files that lab/provider's facts name), in which a bucket
that lacks a setting answers with one of the codes of internal/service/s3/errors.go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud.images import DEBIAN_PARAMETER
from tests.aws.cloud.support import REGION, Network, client, proxy_client, reset_moto

ACCOUNT = "123456789012"
TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
RIGHTS = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}'
TAGS = [{"Key": "Stack", "Value": "dev"}]


@dataclass(frozen=True, kw_only=True)
class Made:
    """One resource of each kind, by the names that the table gives them."""

    api: str
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def made(api_server: str) -> Made:
    reset_moto(api_server)
    network = Network(api_server)
    ec2, s3, iam = network.ec2, client("s3", api_server), client("iam", api_server)
    iam.create_role(RoleName="role", AssumeRolePolicyDocument=TRUST, Tags=TAGS)
    iam.put_role_policy(RoleName="role", PolicyName="inline", PolicyDocument=RIGHTS)
    iam.create_instance_profile(InstanceProfileName="profile", Tags=[{"Key": "z", "Value": "1"}, *TAGS])
    iam.add_role_to_instance_profile(InstanceProfileName="profile", RoleName="role")
    place: dict[str, Any] = {"LocationConstraint": REGION, "Tags": TAGS}
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration=place)
    s3.put_object(Bucket="bucket", Key="key", Body=b"x")
    logs = client("logs", api_server)
    logs.create_log_group(logGroupName="group")
    zone = client("route53", api_server).create_hosted_zone(
        Name="x.internal", CallerReference="1", VPC={"VPCRegion": REGION, "VPCId": network.vpc}
    )
    volume = ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")["VolumeId"]
    instance = network.launch()
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    ec2.modify_volume(VolumeId=volume, Size=2)
    address = ec2.allocate_address(Domain="vpc")
    ids = {
        "address": address["AllocationId"],
        "bucket": "bucket",
        "change": zone["ChangeInfo"]["Id"],
        "group": network.group,
        "instance": instance,
        "secret": client("secretsmanager", api_server).create_secret(Name="secret", SecretString="x")["ARN"],
        "volume": volume,
        "vpc": network.vpc,
        "zone": zone["HostedZone"]["Id"].removeprefix("/hostedzone/"),
    }
    return Made(api=api_server, ids=ids)


Check = Callable[[Any], bool]


def _reads(service: str, operation: str, arguments: Mapping[str, object], *checks: tuple[str, Check]) -> Any:
    name = "-".join([service, operation, *(str(value) for key, value in arguments.items() if key == "Attribute")])
    return pytest.param(service, operation, arguments, checks, id=name)


def _lacks(service: str, operation: str, arguments: Mapping[str, object], code: str) -> Any:
    return pytest.param(service, operation, arguments, code, id=f"{service}-{operation}")


def _is(wanted: object) -> Check:
    return lambda value: value == wanted


def _some(value: Any) -> bool:
    return bool(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _list(value: Any) -> bool:
    return isinstance(value, list)


def _value(wanted: object) -> Check:
    return lambda value: value == {"Value": wanted}


_INSTANCE = {"InstanceIds": ["{instance}"]}
_BUCKET = {"Bucket": "{bucket}"}
_OBJECT = {"Bucket": "{bucket}", "Key": "key"}
_BLOCKED = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
_ATTRIBUTES: dict[str, tuple[str, Check]] = {
    "blockDeviceMapping": ("BlockDeviceMappings", _some),
    "disableApiStop": ("DisableApiStop", _value(False)),
    "disableApiTermination": ("DisableApiTermination", _value(False)),
    "ebsOptimized": ("EbsOptimized", lambda value: isinstance(value["Value"], bool)),
    "enclaveOptions": ("EnclaveOptions", _is({"Enabled": False})),
    "groupSet": ("Groups", _some),
    "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", _value("stop")),
    "instanceType": ("InstanceType", _value("t3.small")),
    "productCodes": ("InstanceId", _text),
    "rootDeviceName": ("RootDeviceName", _some),
    "sourceDestCheck": ("SourceDestCheck", _value(True)),
    "sriovNetSupport": ("InstanceId", _text),
    "userData": ("UserData", lambda value: isinstance(value, dict)),
}

READS = [
    _reads("ec2", "describe_account_attributes", {"AttributeNames": ["supported-platforms"]}, ("AccountAttributes", _some)),
    _reads("ec2", "describe_addresses", {"AllocationIds": ["{address}"]}, ("Addresses", _some)),
    _reads("ec2", "describe_addresses_attribute", {"AllocationIds": ["{address}"], "Attribute": "domain-name"}, ("Addresses", _list)),
    _reads("ec2", "describe_availability_zones", {}, ("AvailabilityZones", _some)),
    _reads("ec2", "describe_flow_logs", {}, ("FlowLogs", _list)),
    _reads("ec2", "describe_iam_instance_profile_associations", {}, ("IamInstanceProfileAssociations", _list)),
    _reads("ec2", "describe_images", {"ImageIds": ["ami-0deb1a0000000013f"]}, ("Images", _some)),
    *(
        _reads("ec2", "describe_instance_attribute", {"InstanceId": "{instance}", "Attribute": attribute}, check)
        for attribute, check in _ATTRIBUTES.items()
    ),
    _reads("ec2", "describe_instance_credit_specifications", _INSTANCE, ("InstanceCreditSpecifications", _some)),
    _reads("ec2", "describe_instance_status", _INSTANCE, ("InstanceStatuses", _some)),
    _reads("ec2", "describe_instance_types", {"InstanceTypes": ["t3.micro"]}, ("InstanceTypes", _some)),
    _reads("ec2", "describe_instances", _INSTANCE, ("Reservations", _some)),
    _reads("ec2", "describe_internet_gateways", {}, ("InternetGateways", _some)),
    _reads("ec2", "describe_launch_templates", {}, ("LaunchTemplates", _list)),
    _reads("ec2", "describe_managed_prefix_lists", {}, ("PrefixLists", _some)),
    _reads("ec2", "describe_nat_gateways", {}, ("NatGateways", _list)),
    _reads("ec2", "describe_network_acls", {"Filters": [{"Name": "vpc-id", "Values": ["{vpc}"]}]}, ("NetworkAcls", _some)),
    _reads("ec2", "describe_network_interfaces", {}, ("NetworkInterfaces", _some)),
    _reads("ec2", "describe_prefix_lists", {}, ("PrefixLists", _some)),
    _reads("ec2", "describe_regions", {}, ("Regions", _some)),
    _reads("ec2", "describe_route_tables", {"Filters": [{"Name": "vpc-id", "Values": ["{vpc}"]}]}, ("RouteTables", _some)),
    _reads("ec2", "describe_security_group_rules", {}, ("SecurityGroupRules", _some)),
    _reads("ec2", "describe_security_groups", {"GroupIds": ["{group}"]}, ("SecurityGroups", _some)),
    _reads("ec2", "describe_tags", {}, ("Tags", _list)),
    _reads("ec2", "describe_volumes", {"VolumeIds": ["{volume}"]}, ("Volumes", _some)),
    _reads("ec2", "describe_volumes_modifications", {"VolumeIds": ["{volume}"]}, ("VolumesModifications", _some)),
    _reads("ec2", "describe_vpc_attribute", {"VpcId": "{vpc}", "Attribute": "enableDnsHostnames"}, ("EnableDnsHostnames", _value(False))),
    _reads("ec2", "describe_vpc_attribute", {"VpcId": "{vpc}", "Attribute": "enableDnsSupport"}, ("EnableDnsSupport", _value(True))),
    _reads(
        "ec2",
        "describe_vpc_attribute",
        {"VpcId": "{vpc}", "Attribute": "enableNetworkAddressUsageMetrics"},
        ("EnableNetworkAddressUsageMetrics", _value(False)),
    ),
    _reads("ec2", "describe_vpc_endpoint_services", {}, ("ServiceDetails", _some)),
    _reads("ec2", "describe_vpc_endpoints", {}, ("VpcEndpoints", _list)),
    _reads("ec2", "describe_vpcs", {"VpcIds": ["{vpc}"]}, ("Vpcs", _some)),
    _reads("ec2", "get_ebs_encryption_by_default", {}, ("EbsEncryptionByDefault", lambda value: isinstance(value, bool))),
    _reads("ec2", "get_password_data", {"InstanceId": "{instance}"}, ("PasswordData", _text)),
    _reads("iam", "get_instance_profile", {"InstanceProfileName": "profile"}, ("InstanceProfile", _some)),
    _reads("iam", "get_role", {"RoleName": "role"}, ("Role", _some)),
    _reads("iam", "get_role_policy", {"RoleName": "role", "PolicyName": "inline"}, ("PolicyDocument", _some)),
    _reads("iam", "list_attached_role_policies", {"RoleName": "role"}, ("AttachedPolicies", _is([]))),
    _reads(
        "iam",
        "list_instance_profile_tags",
        {"InstanceProfileName": "profile"},
        ("Tags", _is([*TAGS, {"Key": "z", "Value": "1"}])),
        ("IsTruncated", _is(False)),
    ),
    _reads("iam", "list_instance_profiles_for_role", {"RoleName": "role"}, ("InstanceProfiles", _some)),
    _reads("iam", "list_role_policies", {"RoleName": "role"}, ("PolicyNames", _is(["inline"]))),
    _reads("iam", "list_role_tags", {"RoleName": "role"}, ("Tags", _is(TAGS))),
    _reads("logs", "describe_log_groups", {"logGroupNamePrefix": "group"}, ("logGroups", _some)),
    _reads("logs", "list_tags_for_resource", {"resourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:group"}, ("tags", _is({}))),
    _reads("route53", "get_change", {"Id": "{change}"}, ("ChangeInfo", lambda value: value["Status"] == "INSYNC")),
    _reads("route53", "get_hosted_zone", {"Id": "{zone}"}, ("HostedZone", _some), ("VPCs", _some)),
    _reads("route53", "list_hosted_zones_by_vpc", {"VPCId": "{vpc}", "VPCRegion": REGION}, ("HostedZoneSummaries", _some)),
    _reads("route53", "list_resource_record_sets", {"HostedZoneId": "{zone}"}, ("ResourceRecordSets", _some)),
    _reads("route53", "list_tags_for_resource", {"ResourceType": "hostedzone", "ResourceId": "{zone}"}, ("ResourceTagSet", _some)),
    _reads("s3", "get_bucket_accelerate_configuration", _BUCKET),
    _reads("s3", "get_bucket_acl", _BUCKET, ("Grants", _some), ("Owner", _some)),
    _reads(
        "s3",
        "get_bucket_encryption",
        _BUCKET,
        (
            "ServerSideEncryptionConfiguration",
            lambda value: value["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"},
        ),
    ),
    _reads("s3", "get_bucket_location", _BUCKET, ("LocationConstraint", _is(REGION))),
    _reads("s3", "get_bucket_logging", _BUCKET),
    _reads("s3", "get_bucket_notification_configuration", _BUCKET),
    _reads(
        "s3", "get_bucket_ownership_controls", _BUCKET, ("OwnershipControls", _is({"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}))
    ),
    _reads("s3", "get_bucket_request_payment", _BUCKET, ("Payer", _is("BucketOwner"))),
    _reads("s3", "get_bucket_tagging", _BUCKET, ("TagSet", _is(TAGS))),
    _reads("s3", "get_bucket_versioning", _BUCKET),
    _reads("s3", "get_object_acl", _OBJECT, ("Grants", _some)),
    _reads("s3", "get_object_attributes", {**_OBJECT, "ObjectAttributes": ["ETag"]}, ("ETag", _some)),
    _reads("s3", "get_object_tagging", _OBJECT, ("TagSet", _is([]))),
    _reads("s3", "get_public_access_block", _BUCKET, ("PublicAccessBlockConfiguration", _is(_BLOCKED))),
    _reads("s3", "head_bucket", _BUCKET),
    _reads("s3", "head_object", _OBJECT, ("ServerSideEncryption", _is("AES256"))),
    _reads("s3", "list_multipart_uploads", _BUCKET, ("Bucket", _is("bucket"))),
    _reads("s3", "list_object_versions", _BUCKET, ("Versions", _some)),
    _reads("s3control", "list_tags_for_resource", {"AccountId": ACCOUNT, "ResourceArn": "arn:aws:s3:::bucket"}, ("Tags", _is(TAGS))),
    _reads("secretsmanager", "describe_secret", {"SecretId": "{secret}"}, ("Name", _is("secret"))),
    _reads("secretsmanager", "get_resource_policy", {"SecretId": "{secret}"}, ("Name", _is("secret"))),
    _reads("secretsmanager", "get_secret_value", {"SecretId": "{secret}"}, ("SecretString", _is("x"))),
    _reads("secretsmanager", "list_secret_version_ids", {"SecretId": "{secret}"}, ("Versions", _some)),
    _reads("ssm", "get_parameter", {"Name": DEBIAN_PARAMETER}, ("Parameter", _some)),
    _reads("sts", "get_caller_identity", {}, ("Account", _is(ACCOUNT))),
]

ABSENT = [
    _lacks("s3", "get_bucket_cors", _BUCKET, "NoSuchCORSConfiguration"),
    _lacks("s3", "get_bucket_lifecycle_configuration", _BUCKET, "NoSuchLifecycleConfiguration"),
    _lacks("s3", "get_bucket_policy", _BUCKET, "NoSuchBucketPolicy"),
    _lacks("s3", "get_bucket_replication", _BUCKET, "ReplicationConfigurationNotFoundError"),
    _lacks("s3", "get_bucket_website", _BUCKET, "NoSuchWebsiteConfiguration"),
    _lacks("s3", "get_object_lock_configuration", _BUCKET, "ObjectLockConfigurationNotFoundError"),
    _lacks("iam", "list_instance_profile_tags", {"InstanceProfileName": "nobody"}, "NoSuchEntity"),
]


def _filled(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**ids)
    if isinstance(value, list):
        return [_filled(one, ids) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return {key: _filled(one, ids) for key, one in value.items()} if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType]


def _client(service: str, url: str) -> Any:
    """S3 Control's by a proxy, as the real provider's: before the host of its endpoint AWS's SDKs put the account's number."""
    return proxy_client(service, url) if service == "s3control" else client(service, url)


@pytest.mark.parametrize(("service", "operation", "arguments", "checks"), READS)
def test_an_answer_has_the_form_of_aws(
    made: Made, service: str, operation: str, arguments: dict[str, object], checks: tuple[tuple[str, Check], ...]
) -> None:
    answer = getattr(_client(service, made.api), operation)(**_filled(arguments, made.ids))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    for name, check in checks:
        assert check(answer.get(name)), f"{name}: {answer.get(name)!r}"


@pytest.mark.parametrize(("service", "operation", "arguments", "code"), ABSENT)
def test_what_is_not_there_is_refused_with_the_code_that_the_provider_knows(
    made: Made, service: str, operation: str, arguments: dict[str, object], code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(_client(service, made.api), operation)(**_filled(arguments, made.ids))
    assert caught.value.response.get("Error", {}).get("Code") == code
