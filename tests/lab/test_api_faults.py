"""An AWS API that throttles, is slow or is down: hosts and programs notice, the lab itself does not, and `up` gets along or says why."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.lab.harness import REGION, CommandFailedError, LabUnderTest, wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

pytestmark = pytest.mark.alone

_WHO_AM_I = (
    "import boto3, botocore.config as c; "
    f"print(boto3.client('sts', region_name='{REGION}', config=c.Config(retries={{'total_max_attempts': 1}})).get_caller_identity()['Arn'])"
)


@pytest.fixture(autouse=True)
def _no_fault_stays(lab: LabUnderTest) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    lab.command("fault", "clear", "--all")


def give(lab: LabUnderTest, *words: str) -> str:
    """Gives a fault of the API; its id."""
    return lab.command("fault", "api", *words).stdout.partition(":")[0]


def ec2(lab: LabUnderTest, *, attempts: int) -> "EC2Client":
    """A client that tries so often."""
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts})
    return lab.administrator().client("ec2", REGION, config)


def test_throttling_is_seen_in_aws_words_survived_by_retries_and_gone(lab: LabUnderTest) -> None:
    given = give(lab, "throttle", "--rate", "1", "--service", "ec2")
    hasty = ec2(lab, attempts=1)
    hasty.describe_vpcs()
    with pytest.raises(ClientError) as caught:
        [hasty.describe_vpcs() for _ in range(10)]
    assert caught.value.response.get("Error", {}).get("Code") == "RequestLimitExceeded"
    patient = ec2(lab, attempts=10)
    repeated = [patient.describe_vpcs()["ResponseMetadata"].get("RetryAttempts", 0) for _ in range(3)]
    assert sum(repeated) > 0
    lab.s3().list_buckets()
    lab.command("fault", "clear", given)
    for _ in range(5):
        hasty.describe_vpcs()


def test_an_api_that_is_down_or_slow_is_so_for_hosts_too_but_not_for_their_metadata(lab: LabUnderTest) -> None:
    def ask() -> str:
        return lab.run_on("web-1", "python3", "-c", _WHO_AM_I)

    given = give(lab, "down", "--service", "sts")
    with pytest.raises(CommandFailedError, match="Connection was closed before we received a valid response"):
        ask()
    lab.command("fault", "clear", given)
    give(lab, "slow", "2000", "--service", "sts")
    started = time.monotonic()
    assert "assumed-role" in ask(), "its role's credentials come from the metadata service, which no fault of the API concerns"
    assert time.monotonic() - started >= 2


def test_the_lab_obeys_an_api_that_throttles_everybody_else(lab: LabUnderTest) -> None:
    """The lab reads groups, rules and prefix lists by three calls or more; the fault lets two more through in the time that it has."""
    patient = ec2(lab, attempts=10)
    group_id = lab.instance("lb-1").get("NetworkInterfaces", [])[0].get("Groups", [])[0].get("GroupId", "")
    given = give(lab, "throttle", "--rate", "0.1", "--service", "ec2")

    def passes() -> bool:
        return "passes" in lab.command("reach", "internet", "lb-1", "81").stdout.splitlines()[0]

    rule = patient.authorize_security_group_ingress(
        GroupId=group_id, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 81, "ToPort": 81, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )["SecurityGroupRules"][0].get("SecurityGroupRuleId", "")
    try:
        wait_until(passes, seconds=20, what="the new rule holds")
    finally:
        lab.command("fault", "clear", given)
        patient.revoke_security_group_ingress(GroupId=group_id, SecurityGroupRuleIds=[rule])
