"""What Check refuses: the SDK's types, and the rules that the real provider and AWS have beside them."""

import json

import pytest

from lab.provider.codec import UNKNOWN, Asset, Secret
from lab.provider.registry import REGISTRY, UnknownTypeError
from lab.provider.schema import check_properties, force_new_paths, output_names, resource_fields, rules_of

VPC, SUBNET, NAT = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/natGateway:NatGateway"
ROUTE, TABLE, ASSOCIATION = "aws:ec2/route:Route", "aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation"
ENDPOINT, FLOW_LOG, EIP = "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/flowLog:FlowLog", "aws:ec2/eip:Eip"
GROUP, RULE = "aws:ec2/securityGroup:SecurityGroup", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
INSTANCE, VOLUME, ATTACHMENT = "aws:ec2/instance:Instance", "aws:ebs/volume:Volume", "aws:ec2/volumeAttachment:VolumeAttachment"
ROLE, ROLE_POLICY, PROFILE = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "aws:iam/instanceProfile:InstanceProfile"
BUCKET, OBJECT, VERSIONING = "aws:s3/bucket:Bucket", "aws:s3/bucketObjectv2:BucketObjectv2", "aws:s3/bucketVersioning:BucketVersioning"
SECRET, SECRET_VERSION = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"
ZONE, RECORD, LOG_GROUP = "aws:route53/zone:Zone", "aws:route53/record:Record", "aws:cloudwatch/logGroup:LogGroup"
PASSWORD = "random:index/randomPassword:RandomPassword"

TWO_ZONES = {"availabilityZone": "a", "availabilityZoneId": "b"}
AMI = "ami-0deb1a0000000013f"
HOST = {"ami": AMI, "instanceType": "t3.micro"}
HTTPS = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)
READ = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]})
A_RECORD: dict[str, object] = {"zoneId": "Z1", "name": "web", "type": "A", "ttl": 5, "records": ["10.0.0.1"]}

FINE: list[tuple[str, dict[str, object]]] = [
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"Name": "n"}}),
    (VPC, {"cidrBlock": UNKNOWN, "tags": {"Name": UNKNOWN}}),
    (SUBNET, {"vpcId": "vpc-1", "cidrBlock": "10.0.1.0/28"}),
    (NAT, {"subnetId": UNKNOWN, "allocationId": UNKNOWN}),
    (ROUTE, {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": UNKNOWN}),
    (RULE, {**HTTPS, "cidrIpv4": "0.0.0.0/0", "description": "https from anywhere (port 443)"}),
    (RULE, {"securityGroupId": "sg-1", "ipProtocol": "112", "referencedSecurityGroupId": "sg-2"}),
    (RULE, {"securityGroupId": "sg-1", "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/8"}),
    (INSTANCE, {**HOST, "userData": "x" * 16384, "rootBlockDevice": {"volumeType": "gp3", "throughput": 125}}),
    (INSTANCE, {**HOST, "userData": Secret("#cloud-config")}),
    (VOLUME, {"availabilityZone": "eu-central-1a", "size": 10, "type": "gp3", "iops": 3000}),
    (ROLE, {"assumeRolePolicy": TRUST, "name": "web"}),
    (BUCKET, {"forceDestroy": True}),
    (OBJECT, {"bucket": "b", "key": "app/x", "source": Asset(hash="h", path="/x")}),
    (SECRET, {"name": "webstack/dev/app-writer", "recoveryWindowInDays": 0}),
    (RECORD, A_RECORD),
    (RECORD, {**A_RECORD, "records": UNKNOWN}),
    (PASSWORD, {"length": 32, "special": False}),
]

REFUSED: list[tuple[str, dict[str, object], str, str]] = [
    # what the SDK's types say
    (VPC, {"cidrBlock": "10.0.0.0/16", "cidr": "x"}, "cidr", "unknown property"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "ipv6NetmaskLength": 56}, "ipv6NetmaskLength", "does not serve this property"),
    (VPC, {"cidrBlock": 10}, "cidrBlock", "expected str, got int"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": "true"}, "enableDnsSupport", "expected bool, got str"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": ["a"]}, "tags", "expected an object, got a list"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": 1}}, "tags.a", "expected str, got int"),
    (SUBNET, {"cidrBlock": "10.0.1.0/24"}, "vpcId", "missing required property"),
    (INSTANCE, {**HOST, "rootBlockDevice": {"size": 8}}, "rootBlockDevice.size", "unknown property"),
    (INSTANCE, {**HOST, "rootBlockDevice": {"volumeSize": 8.5}}, "rootBlockDevice.volumeSize", "expected int, got float"),
    (INSTANCE, {**HOST, "vpcSecurityGroupIds": "sg-1"}, "vpcSecurityGroupIds", "expected a list, got str"),
    (TABLE, {"vpcId": "v", "routes": [{"cidrBlock": True}]}, "routes[0].cidrBlock", "expected str, got bool"),
    (OBJECT, {"bucket": "b", "source": "/a/path"}, "source", "expected asset, got str"),
    # networks
    (VPC, {}, "cidrBlock", "one of cidrBlock, ipv4IpamPoolId must be given"),
    (VPC, {"cidrBlock": "10.0.0.5/16"}, "cidrBlock", 'did you mean "10.0.0.0/16"?'),
    (VPC, {"cidrBlock": "10.0.0.0/15"}, "cidrBlock", "from /16 to /28"),
    (VPC, {"cidrBlock": "ten"}, "cidrBlock", "expected an IPv4 network"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "host"}, "instanceTenancy", "expected one of default, dedicated"),
    (SUBNET, {"vpcId": "v", "cidrBlock": "10.0.0.0/29"}, "cidrBlock", "got /29"),
    (SUBNET, {"vpcId": "v", "cidrBlock": "10.0.0.0/24", **TWO_ZONES}, "availabilityZone", "conflicts"),
    (EIP, {"domain": "classic"}, "domain", "expected one of vpc, standard"),
    (NAT, {"subnetId": "s"}, "allocationId", "needs an Elastic IP"),
    (NAT, {"subnetId": "s", "connectivityType": "private", "allocationId": "a"}, "allocationId", "conflicts with connectivityType"),
    (ROUTE, {"routeTableId": "r", "destinationCidrBlock": "0.0.0.0/0"}, "carrierGatewayId", "none is given"),
    (ROUTE, {"routeTableId": "r", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "i", "natGatewayId": "n"}, "gatewayId", "exactly one"),
    (ROUTE, {"routeTableId": "r", "gatewayId": "i"}, "destinationCidrBlock", "exactly one"),
    (ROUTE, {"routeTableId": "r", "destinationCidrBlock": "10.1.0.0/16", "gatewayId": "local"}, "gatewayId", "has it already"),
    (TABLE, {"vpcId": "v", "routes": [{"cidrBlock": "0.0.0.0/0"}]}, "routes[0]", "exactly one target"),
    (ASSOCIATION, {"routeTableId": "r"}, "subnetId", "exactly one of subnetId, gatewayId"),
    (ENDPOINT, {"vpcId": "v", "serviceName": "s", "policy": "{"}, "policy", "invalid JSON"),
    (ENDPOINT, {"vpcId": "v", "serviceName": "s", "subnetIds": ["s"]}, "subnetIds", "a Gateway endpoint has none"),
    (FLOW_LOG, {"vpcId": "v", "logDestination": "arn:aws:s3:::b"}, "iamRoleArn", "needs the ARN of a role"),
    (FLOW_LOG, {"logDestination": "arn:aws:s3:::b", "logDestinationType": "s3"}, "eniId", "exactly one of"),
    # firewalls
    (GROUP, {"name": "sg-mine"}, "name", 'does not start with "sg-"'),
    (GROUP, {"description": "é"}, "description", "letters, digits"),
    (GROUP, {"name": "x" * 256}, "name", "1 to 255 characters"),
    (GROUP, {"ingress": [{"protocol": "tcp", "fromPort": 1, "toPort": 1}]}, "ingress[0]", "one of cidrBlocks"),
    (RULE, HTTPS, "cidrIpv4", "exactly one of"),
    (RULE, {**HTTPS, "cidrIpv4": "10.0.0.0/8", "prefixListId": "pl"}, "cidrIpv4", "exactly one of"),
    (RULE, {**HTTPS, "cidrIpv4": "10.0.0.1/8"}, "cidrIpv4", "did you mean"),
    (RULE, {**HTTPS, "cidrIpv4": "10.0.0.0/8", "toPort": 70000}, "toPort", "from -1 to 65535"),
    (RULE, {**HTTPS, "cidrIpv4": "10.0.0.0/8", "toPort": 80}, "fromPort", "fromPort <= toPort"),
    (RULE, {**HTTPS, "cidrIpv4": "10.0.0.0/8", "ipProtocol": "foo"}, "ipProtocol", "expected a protocol"),
    (RULE, {**HTTPS, "cidrIpv4": "10.0.0.0/8", "ipProtocol": "-1"}, "fromPort", "takes no ports"),
    (RULE, {"securityGroupId": "s", "ipProtocol": "tcp", "cidrIpv4": "10.0.0.0/8"}, "fromPort", "needs fromPort and toPort"),
    # hosts
    (INSTANCE, {"instanceType": "t3.micro"}, "ami", "one of ami, launchTemplate must be given"),
    (INSTANCE, {"ami": AMI}, "instanceType", "one of instanceType, launchTemplate must be given"),
    (INSTANCE, {**HOST, "ami": "debian"}, "ami", "an image id"),
    (INSTANCE, {**HOST, "userData": "x" * 16385}, "userData", "at most 16384 bytes"),
    (INSTANCE, {**HOST, "userData": "x", "userDataBase64": "eA=="}, "userData", "conflicts with userDataBase64"),
    (INSTANCE, {**HOST, "userDataBase64": "?"}, "userDataBase64", "expected base64"),
    (INSTANCE, {**HOST, "metadataOptions": {"httpPutResponseHopLimit": 65}}, "metadataOptions.httpPutResponseHopLimit", "from 1 to 64"),
    (INSTANCE, {**HOST, "metadataOptions": {"httpTokens": "yes"}}, "metadataOptions.httpTokens", "optional, required"),
    (INSTANCE, {**HOST, "privateIp": "10.0.0.256"}, "privateIp", "expected an IPv4 address"),
    (INSTANCE, {**HOST, "volumeTags": {"a": ""}, "rootBlockDevice": {"tags": {"c": ""}}}, "volumeTags", "rootBlockDevice.tags"),
    (INSTANCE, {**HOST, "rootBlockDevice": {"volumeType": "gp2", "throughput": 200}}, "rootBlockDevice.throughput", "only gp3"),
    (INSTANCE, {**HOST, "rootBlockDevice": {"volumeType": "ssd"}}, "rootBlockDevice.volumeType", "expected one of gp2"),
    (VOLUME, {"availabilityZone": "a"}, "size", "one of size, snapshotId must be given"),
    (VOLUME, {"availabilityZone": "a", "size": 0}, "size", "from 1 to 65536"),
    (VOLUME, {"availabilityZone": "a", "size": 1, "type": "io1"}, "iops", "need iops"),
    (VOLUME, {"availabilityZone": "a", "size": 1, "type": "gp2", "iops": 100}, "iops", "take no iops"),
    (VOLUME, {"availabilityZone": "a", "size": 1, "kmsKeyId": "key"}, "kmsKeyId", "expected an ARN"),
    (VOLUME, {"availabilityZone": "a", "size": 1, "type": "gp3", "multiAttachEnabled": True}, "multiAttachEnabled", "only io1 and io2"),
    (ATTACHMENT, {"deviceName": "sdf", "instanceId": "i", "volumeId": "v"}, "deviceName", "a device name"),
    # identity
    (ROLE, {"assumeRolePolicy": "{"}, "assumeRolePolicy", "invalid JSON"),
    (ROLE, {"assumeRolePolicy": READ}, "assumeRolePolicy", "needs a Principal"),
    (ROLE, {"assumeRolePolicy": TRUST, "name": "x" * 65}, "name", "1 to 64 characters"),
    (ROLE, {"assumeRolePolicy": TRUST, "path": "nopath"}, "path", 'begins and ends with "/"'),
    (ROLE, {"assumeRolePolicy": TRUST, "maxSessionDuration": 60}, "maxSessionDuration", "from 3600 to 43200"),
    (ROLE, {"assumeRolePolicy": TRUST, "name": "a", "namePrefix": "b"}, "name", "conflicts with namePrefix"),
    (ROLE_POLICY, {"role": "r", "policy": TRUST}, "policy", "must not name a Principal"),
    (ROLE_POLICY, {"role": "r", "policy": "{}"}, "policy", "has no Statement"),
    (ROLE_POLICY, {"role": "r", "policy": READ.replace("GetObject", "x" * 10240)}, "policy", "at most 10240 characters"),
    (PROFILE, {"name": "a b"}, "name", "letters, digits"),
    # storage
    (BUCKET, {"bucket": "Bad_Name"}, "bucket", "lower-case letters"),
    (BUCKET, {"bucket": "192.168.5.4"}, "bucket", "look like an IP address"),
    (BUCKET, {"bucket": "xn--bucket"}, "bucket", "S3 keeps for itself"),
    (BUCKET, {"versioning": {"enabled": True}}, "versioning", "use the resource of its own"),
    (VERSIONING, {"bucket": "b", "versioningConfiguration": {"status": "On"}}, "versioningConfiguration.status", "Enabled, Suspended"),
    (OBJECT, {"bucket": "b", "content": "x", "contentBase64": "eA=="}, "content", "conflicts with contentBase64"),
    (OBJECT, {"bucket": "b", "metadata": {"Version": "1"}}, "metadata.Version", "lower-case"),
    (OBJECT, {"bucket": "b", "key": "k" * 1025}, "key", "1 to 1024"),
    (SECRET, {"name": "a b"}, "name", "letters, digits"),
    (SECRET, {"recoveryWindowInDays": 3}, "recoveryWindowInDays", "from 7 to 30 or 0"),
    (SECRET_VERSION, {"secretId": "s", "secretString": "a", "secretBinary": "eA=="}, "secretString", "conflicts with secretBinary"),
    (SECRET_VERSION, {"secretId": "s", "secretString": "x" * 65537}, "secretString", "1 to 65536"),
    # names, logs, randomness
    (ZONE, {"name": "x", "vpcs": []}, "vpcs", "at least one VPC"),
    (RECORD, {"zoneId": "z", "name": "n", "type": "A"}, "aliases", "exactly one of aliases, records"),
    (RECORD, {**A_RECORD, "type": "B"}, "type", "expected one of A"),
    (RECORD, {**A_RECORD, "records": ["hello"]}, "records[0]", "is not an address"),
    (RECORD, {**A_RECORD, "records": ["10.0.0.1", "10.0.0.1"]}, "records", "given twice"),
    (RECORD, {**A_RECORD, "type": "CNAME", "records": ["a", "b"]}, "records", "exactly one value"),
    (RECORD, {"zoneId": "z", "name": "n", "type": "A", "records": ["10.0.0.1"]}, "ttl", "need a ttl"),
    (LOG_GROUP, {"name": "a b*"}, "name", "letters, digits"),
    (LOG_GROUP, {"retentionInDays": 6}, "retentionInDays", "expected one of 0, 1, 3"),
    (PASSWORD, {"length": 4, "minLower": 5}, "length", "must be at least"),
    (PASSWORD, {"length": 4, "lower": False, "upper": False, "numeric": False, "special": False}, "length", "no kind of character"),
    # tags
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"aws:x": "y"}}, "tags", "reserved"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"k" * 129: "y"}}, "tags", "1 to 128 characters"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"k": "v" * 257}}, "tags", "at most 256 characters"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "tags": {str(number): "" for number in range(51)}}, "tags", "at most 50 tags"),
]  # fmt: skip


@pytest.mark.parametrize(("token", "props"), FINE)
def test_what_aws_takes_is_taken(token: str, props: dict[str, object]) -> None:
    assert check_properties(token, props) == []


@pytest.mark.parametrize(("token", "props", "path", "rule"), REFUSED)
def test_what_aws_refuses_is_refused_with_its_path_and_rule(token: str, props: dict[str, object], path: str, rule: str) -> None:
    found = {problem.path: problem.message for problem in check_properties(token, props)}
    assert path in found
    assert rule in found[path]


def test_all_problems_are_told_at_once_in_the_order_of_their_paths() -> None:
    problems = check_properties(SUBNET, {"cidr": "x", "mapPublicIpOnLaunch": "yes"})
    assert [problem.path for problem in problems] == ["cidr", "mapPublicIpOnLaunch", "vpcId"]


@pytest.mark.parametrize("token", ["aws:sns/topic:Topic", "aws:ec2/vpc:Nope", "gcp:x/y:Z", "nonsense"])
def test_a_type_that_is_not_implemented_is_named(token: str) -> None:
    with pytest.raises(UnknownTypeError, match=token):
        check_properties(token, {})


@pytest.mark.parametrize("token", sorted(REGISTRY.resources))
def test_no_rule_speaks_of_a_property_that_the_sdk_does_not_have(token: str) -> None:
    rules, known = rules_of(token), set(resource_fields(token)) | set(output_names(token))
    sets = [*rules.exactly_one, *rules.at_least_one, *rules.conflicts]
    spoken = [
        *force_new_paths(token),
        *rules.defaults,
        *rules.computed,
        *rules.json_documents,
        *rules.local_only,
        *rules.secret,
        *rules.checks,
        *rules.unsupported,
    ]
    spoken += [name for group in sets for name in group] + [*rules.requires, *rules.requires.values()]
    assert {name.split(".")[0].removesuffix("[]") for name in spoken} - known == set()
