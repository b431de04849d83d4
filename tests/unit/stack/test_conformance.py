"""Nothing that the program sets is without a fact of AWS's provider (`lab/provider/services/*/spec.yaml`) and the source of it."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from lab.provider.registry import resource_type
from lab.provider.schema import Field, nested_fields, resource_fields
from lab.provider.spec import common_spec
from tests.unit.stack.conftest import ProgramRunner

REPLACES = {
    "aws:ebs/volume:Volume": "availabilityZone encrypted",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "vpcId",
    "aws:ec2/eip:Eip": "domain",
    "aws:ec2/flowLog:FlowLog": "iamRoleArn logDestination logDestinationType maxAggregationInterval trafficType vpcId",
    "aws:ec2/instance:Instance": "ami privateIp rootBlockDevice.encrypted subnetId",
    "aws:ec2/natGateway:NatGateway": "allocationId privateIp subnetId",
    "aws:ec2/route:Route": "destinationCidrBlock routeTableId",
    "aws:ec2/routeTable:RouteTable": "vpcId",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "subnetId",
    "aws:ec2/securityGroup:SecurityGroup": "description vpcId",
    "aws:ec2/subnet:Subnet": "availabilityZone cidrBlock vpcId",
    "aws:ec2/volumeAttachment:VolumeAttachment": "deviceName instanceId volumeId",
    "aws:ec2/vpc:Vpc": "cidrBlock",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "serviceName vpcEndpointType vpcId",
    "aws:iam/rolePolicy:RolePolicy": "role",
    "aws:route53/record:Record": "name zoneId",
    "aws:route53/zone:Zone": "name",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "bucket",
    "aws:s3/bucketObjectv2:BucketObjectv2": "bucket key",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "bucket",
    "aws:s3/bucketPolicy:BucketPolicy": "bucket",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "bucket",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "bucket",
    "aws:s3/bucketVersioning:BucketVersioning": "bucket",
    "aws:secretsmanager/secret:Secret": "name",
    "aws:secretsmanager/secretVersion:SecretVersion": "secretId secretString",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "securityGroupId",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "securityGroupId",
}
"""What the program sets and what a change of is a replacement, whatever the values. Said a second time, beside the facts: a slip in one
of their lines would have the lab keep what AWS's provider deletes. The sources stand there, a line each."""


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_type_and_property_of_the_program_has_its_line(program: ProgramRunner, stack: str) -> None:
    missing: set[tuple[str, str]] = set()
    for item in program(stack).resources:
        if item.token.startswith("aws:"):
            lines = common_spec().common.keys() | resource_type(item.token).spec.inputs.keys()
            missing |= {(item.token, path) for path in _paths(resource_fields(item.token), item.inputs, "") if path not in lines}
    assert missing == set()


def test_what_is_replaced_when_the_program_changes_it_is_said_twice(program: ProgramRunner) -> None:
    found: dict[str, set[str]] = {}
    for item in (item for stack in ("dev", "prod") for item in program(stack).resources if item.token.startswith("aws:")):
        lines = {**common_spec().common, **resource_type(item.token).spec.inputs}
        replacing = {path for path in _paths(resource_fields(item.token), item.inputs, "") if lines[path].change == "replace"}
        found.setdefault(item.token, set()).update(replacing)
    assert {token: " ".join(sorted(paths)) for token, paths in found.items() if paths} == REPLACES


def _paths(fields: Mapping[str, Field], given: Mapping[str, Any], at: str) -> Iterator[str]:
    """Every path that inputs set, as the facts write it; the keys of a map are none."""
    for name, value in given.items():
        path, shape = f"{at}{name}", fields[name].shape
        yield path
        if shape.cls is not None and isinstance(value, dict):
            yield from _paths(nested_fields(shape), cast("dict[str, Any]", value), f"{path}.")
        elif shape.kind == "list" and shape.inner[0].cls is not None and isinstance(value, list):
            for item in cast("list[dict[str, Any]]", value):
                yield from _paths(nested_fields(shape.inner[0]), item, f"{path}[].")
