"""Sessions of roles: when they end, and with what."""

import aiohttp
import pytest

from lab.cloud.iam.role_sessions import RoleSessions
from tests.aws.cloud.iam.gateway_harness import TRUST, GatewayHarness, code, trust


@pytest.mark.parametrize(
    ("service", "operation", "expected"),
    [
        ("s3", "list_buckets", "ExpiredToken"),
        ("ec2", "describe_vpcs", "RequestExpired"),
        ("sts", "get_caller_identity", "ExpiredToken"),
        ("secretsmanager", "list_secrets", "ExpiredTokenException"),
    ],
)
def test_credentials_end(door: GatewayHarness, service: str, operation: str, expected: str) -> None:
    door.allow({"Action": "*", "Resource": "*"})
    call = getattr(door.host(service, door.session()), operation)
    assert code(call) == "allowed"
    door.sessions.ended = True
    assert code(call) == expected


def test_the_rights_of_a_role_that_is_gone_are_gone(door: GatewayHarness) -> None:
    door.iam.create_role(RoleName="short", AssumeRolePolicyDocument=trust(TRUST))
    door.allow({"Action": "ec2:DescribeVpcs", "Resource": "*"}, role="short")
    ec2 = door.host("ec2", door.session("short"))
    assert code(ec2.describe_vpcs) == "allowed"
    door.iam.delete_role_policy(RoleName="short", PolicyName="p")
    door.iam.delete_role(RoleName="short")
    door.forget()
    assert code(ec2.describe_vpcs) == "AuthFailure"


def test_a_role_made_again_under_its_name_is_another_one(door: GatewayHarness) -> None:
    def make() -> None:
        door.iam.create_role(RoleName="again", AssumeRolePolicyDocument=trust(TRUST))
        door.allow({"Action": "ec2:DescribeVpcs", "Resource": "*"}, role="again")

    make()
    before = door.host("ec2", door.session("again"))
    assert code(before.describe_vpcs) == "allowed"
    door.iam.delete_role_policy(RoleName="again", PolicyName="p")
    door.iam.delete_role(RoleName="again")
    make()
    assert code(before.describe_vpcs) == "AuthFailure", "the sessions of the first one are no sessions of the second"
    assert code(door.host("ec2", door.session("again")).describe_vpcs) == "allowed"


def test_a_later_daemon_knows_the_sessions_of_an_earlier_one_and_nobody_elses_keys(door: GatewayHarness) -> None:
    key = door.session()["AccessKeyId"]

    async def later() -> list[str]:
        async with aiohttp.ClientSession(door.api) as http:
            sessions = RoleSessions(http)
            found = [await sessions.get(one) for one in (key, "ASIAUNKNOWN0000000AB", "ASIA/../regions", "lab")]
            return [session.instance_id if session else "" for session in found]

    assert door.loop.run(later()) == ["i-0123456789abcdef0", "", "", ""]
