"""Which policies count for a call: the role's, the resource's own, the S3 gateway's, and since when."""

import pytest

from lab.cloud.api_gateway import AuthDecision
from lab.cloud.calls import parse_call
from tests.aws.cloud.iam.gateway_harness import BUCKET, CALLER, TRUST, GatewayHarness, code, sent, trust
from tests.aws.cloud.support import REGION, client


def test_a_bucket_that_asks_for_tls_refuses_without_it(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:*", "Resource": "*"})
    s3 = door.host("s3", door.session())
    assert code(s3.get_object, Bucket="artifacts", Key="app/x") == "allowed"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [BUCKET, f"{BUCKET}/*"]}
    tls_only = {**statement, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    door.s3.put_bucket_policy(Bucket="artifacts", Policy=trust(tls_only))
    door.forget()
    assert code(s3.get_object, Bucket="artifacts", Key="app/x") == "AccessDenied"


def test_managed_policies_boundaries_and_tags_of_the_role_count(door: GatewayHarness) -> None:
    document = trust({"Effect": "Allow", "Action": "s3:*", "Resource": f"{BUCKET}/${{aws:PrincipalTag/part}}/*"})
    arn = door.iam.create_policy(PolicyName="reads", PolicyDocument=document)["Policy"]["Arn"]
    boundary = trust({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    limit = door.iam.create_policy(PolicyName="limit", PolicyDocument=boundary)["Policy"]["Arn"]
    tags = [{"Key": "part", "Value": "app"}]
    door.iam.create_role(RoleName="limited", AssumeRolePolicyDocument=trust(TRUST), PermissionsBoundary=limit, Tags=tags)
    door.iam.attach_role_policy(RoleName="limited", PolicyArn=arn)
    s3 = door.host("s3", door.session("limited"))
    assert code(s3.get_object, Bucket="artifacts", Key="app/x") == "allowed"
    assert code(s3.put_object, Bucket="artifacts", Key="app/x", Body=b"") == "AccessDenied", "the boundary allows reading alone"
    assert code(s3.get_object, Bucket="artifacts", Key="other/x") == "AccessDenied"


def test_a_change_of_iam_counts_from_the_next_call(door: GatewayHarness) -> None:
    ec2 = door.host("ec2", door.session())
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"
    administrator = client("iam", f"http://127.0.0.1:{door.port}")
    document = trust({"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"})
    administrator.put_role_policy(RoleName="web", PolicyName="p", PolicyDocument=document)
    assert code(ec2.describe_vpcs) == "allowed"
    administrator.delete_role_policy(RoleName="web", PolicyName="p")
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"


def test_a_secrets_own_policy_counts(door: GatewayHarness) -> None:
    secrets = door.host("secretsmanager", door.session())
    role = "arn:aws:iam::123456789012:role/web"
    statement = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    door.secrets.put_resource_policy(SecretId="app-writer", ResourcePolicy=trust(statement))
    door.forget()
    assert code(secrets.get_secret_value, SecretId="app-writer") == "allowed"
    door.secrets.delete_resource_policy(SecretId="app-writer")
    door.forget()
    assert code(secrets.get_secret_value, SecretId="app-writer") == "AccessDeniedException"


def test_an_s3_gateway_limits_what_passes_it(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:*", "Resource": "*"})
    network = door.network
    table = network.ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    network.ec2.associate_route_table(RouteTableId=table, SubnetId=network.subnet)
    reads = trust({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"})
    wanted = {"VpcId": network.vpc, "ServiceName": f"com.amazonaws.{REGION}.s3", "RouteTableIds": [table]}
    made = network.ec2.create_vpc_endpoint(**wanted, PolicyDocument=reads)["VpcEndpoint"]
    instance = network.launch("10.20.1.77")
    door.inventory.lookup = lambda address: instance if address == "127.0.0.1" else None
    door.inventory.invalidate(REGION, "ec2")
    door.forget()
    try:
        s3 = door.host("s3", door.session())
        assert code(s3.get_object, Bucket="artifacts", Key="app/x") == "allowed"
        assert code(s3.put_object, Bucket="artifacts", Key="app/x", Body=b"x") == "AccessDenied"
        for known, expected in ((made["VpcEndpointId"], "allowed"), ("vpce-0123456789abcdef0", "AccessDenied")):
            statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}
            elsewhere = {**statement, "Condition": {"StringNotEquals": {"aws:SourceVpce": known}}}
            door.s3.put_bucket_policy(Bucket="artifacts", Policy=trust(elsewhere))
            door.forget()
            assert code(s3.get_object, Bucket="artifacts", Key="app/x") == expected
    finally:
        door.inventory.lookup = None
        door.inventory.invalidate(REGION, "ec2")


def test_a_gateway_s_new_policy_counts_from_the_next_call(door: GatewayHarness) -> None:
    door.allow({"Action": "s3:*", "Resource": "*"})
    network, administrator = door.network, client("ec2", f"http://127.0.0.1:{door.port}")
    table = network.ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    subnet = network.ec2.create_subnet(VpcId=network.vpc, CidrBlock="10.20.77.0/24")["Subnet"]["SubnetId"]
    network.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)

    def policy(action: str) -> str:
        return trust({"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"})

    wanted = {"VpcId": network.vpc, "ServiceName": f"com.amazonaws.{REGION}.s3", "RouteTableIds": [table]}
    gateway = administrator.create_vpc_endpoint(**wanted, PolicyDocument=policy("s3:GetObject"))["VpcEndpoint"]["VpcEndpointId"]
    before = door.loop.run(door.policies.gateway_endpoint(REGION, subnet))
    assert before is not None
    administrator.modify_vpc_endpoint(VpcEndpointId=gateway, PolicyDocument=policy("s3:PutObject"))
    after = door.loop.run(door.policies.gateway_endpoint(REGION, subnet))
    assert after is not None
    assert (before.statements[0].actions, after.statements[0].actions) == (("s3:GetObject",), ("s3:PutObject",))


def test_policies_are_read_once_however_often_they_are_judged_by(door: GatewayHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    door.allow({"Action": "ec2:DescribeVpcs", "Resource": "*"})
    call = parse_call(sent(door.host("ec2", door.session()), "describe_vpcs"), CALLER)
    assert door.verdict(call) == AuthDecision()

    def read_again(*_: object) -> None:
        raise AssertionError("the policies are known")

    monkeypatch.setattr(door.policies, "_role", read_again)
    for _ in range(20):
        assert door.verdict(call) == AuthDecision()
