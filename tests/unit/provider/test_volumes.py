"""Volumes and quotas: what AWS refuses an account, by its documentation; asked of the emulated API and seen through the provider."""

from collections.abc import Generator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud.emulator import quotas, volume_modifications
from tests.unit.provider.fake_engine import REGION, AbortedError, FakeEngine, NetworkFixture, boto_client
from tests.unit.provider.test_network import settled
from tests.unit.provider.test_schema import EIP, RULE, VOLUME, VPC

PLACE = {"availabilityZone": f"{REGION}a"}
HOUR = 3600.0


class Clock:
    """The emulator's time."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A time that stands still until it is moved."""
    made = Clock()
    monkeypatch.setattr(volume_modifications, "now", made)
    return made


@pytest.fixture(autouse=True)
def _as_they_were() -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    before = quotas.as_dict()
    yield
    quotas.update(dict(before))


def modification(volume: str) -> dict[str, Any]:
    """What DescribeVolumesModifications says of it."""
    return boto_client("ec2").describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"][0]


def test_a_volume_is_modified_again_only_after_the_modification_before_it_is_completed(engine: FakeEngine, clock: Clock) -> None:
    volume = settled(engine, engine.update(engine.create(VOLUME, size=10, type="gp3", **PLACE), size=12))
    assert (modification(volume.id)["ModificationState"], volume["size"]) == ("optimizing", 12), "the new size can be used already"
    with pytest.raises(AbortedError, match=r"IncorrectModificationState: .*cannot be modified in modification state OPTIMIZING"):
        engine.update(volume, size=14)
    clock.now += 12 * 21
    assert modification(volume.id)["ModificationState"] == "completed"
    assert engine.update(volume, size=14)["size"] == 14


def test_a_volume_is_modified_four_times_in_a_day(engine: FakeEngine, clock: Clock) -> None:
    volume = engine.create(VOLUME, size=10, type="gp3", **PLACE)
    for size in (11, 12, 13, 14):
        volume = engine.update(volume, size=size)
        clock.now += HOUR
    with pytest.raises(AbortedError, match=r"VolumeModificationRateExceeded: .*1970-01-13T13:46:40Z"):
        engine.update(volume, size=15)
    clock.now += 20 * HOUR + 1
    assert engine.update(volume, size=15)["size"] == 15


@pytest.mark.parametrize(
    ("props", "refusal"),
    [
        ({"type": "gp3", "size": 10, "iops": 20000}, r"InvalidParameterCombination: Iops to volume size ratio"),
        ({"type": "gp3", "size": 40, "iops": 20000}, None),
        ({"type": "gp3", "size": 1, "iops": 3000}, None),
        ({"type": "gp3", "size": 10, "iops": 200}, r"InvalidParameterValue: Volume iops of 200"),
        ({"type": "gp3", "size": 1000, "iops": 80001}, r"InvalidParameterValue: Volume iops"),
        ({"type": "gp3", "size": 10, "throughput": 751}, r"Throughput to iops ratio"),
        ({"type": "gp3", "size": 10, "throughput": 750}, None),
        ({"type": "gp3", "size": 100, "iops": 8000, "throughput": 2000}, None),
        ({"type": "io2", "size": 4, "iops": 4001}, r"Iops to volume size ratio"),
        ({"type": "st1", "size": 10}, r"InvalidParameterValue: Volume of 10GiB is invalid"),
        ({"type": "gp2", "size": 16385}, r"InvalidParameterValue"),
    ],
)
def test_a_volume_that_there_cannot_be_is_refused(engine: FakeEngine, props: dict[str, Any], refusal: str | None) -> None:
    if refusal is None:
        engine.create(VOLUME, **props, **PLACE)
    else:
        with pytest.raises(AbortedError, match=refusal):
            engine.create(VOLUME, **props, **PLACE)


def test_a_modification_keeps_the_bounds_and_never_shrinks(engine: FakeEngine) -> None:
    volume = engine.create(VOLUME, size=10, type="gp3", **PLACE)
    with pytest.raises(AbortedError, match="Iops to volume size ratio"):
        engine.update(volume, iops=6000)
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*cannot be smaller"):
        boto_client("ec2").modify_volume(VolumeId=volume.id, Size=9)
    assert boto_client("ec2").describe_volumes(VolumeIds=[volume.id])["Volumes"][0]["Size"] == 10


def test_vcpus_are_counted_over_what_runs(small_network: NetworkFixture) -> None:
    quotas.update({"vcpus": 4})
    first = small_network.instance("first", instanceType="t3.small")
    small_network.instance("second", instanceType="t3.small")
    with pytest.raises(AbortedError, match=r"VcpuLimitExceeded: .*vCPU limit of 4"):
        small_network.instance("third", instanceType="t3.small")
    boto_client("ec2").stop_instances(InstanceIds=[first.id])
    small_network.instance("third", instanceType="t3.small")
    with pytest.raises(ClientError, match="VcpuLimitExceeded"):
        boto_client("ec2").start_instances(InstanceIds=[first.id])
    quotas.update({"vcpus": 6})
    boto_client("ec2").start_instances(InstanceIds=[first.id])


def test_an_account_has_five_addresses_and_five_vpcs_and_a_group_sixty_rules(small_network: NetworkFixture) -> None:
    for number in range(5):
        small_network.engine.create(EIP, f"a{number}", domain="vpc")
    with pytest.raises(AbortedError, match="AddressLimitExceeded"):
        small_network.engine.create(EIP, "sixth", domain="vpc")
    for number in range(3):
        small_network.engine.create(VPC, f"v{number}", cidrBlock=f"10.{number + 1}.0.0/16")
    with pytest.raises(AbortedError, match="VpcLimitExceeded"):
        small_network.engine.create(VPC, "sixth", cidrBlock="10.9.0.0/16")
    rule = {"securityGroupId": small_network.group.id, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    for number in range(60):
        small_network.engine.create(RULE, f"r{number}", **rule, cidrIpv4=f"198.51.100.{number}/32")
    with pytest.raises(AbortedError, match="RulesPerSecurityGroupLimitExceeded"):
        small_network.engine.create(RULE, "more", **rule, cidrIpv4="192.0.2.1/32")


@pytest.mark.parametrize("wanted", [{"cpus": 4}, {"vcpus": -1}, {"vcpus": "many"}, {"vcpus": True}])
def test_a_quota_that_there_is_not_is_refused_and_changes_nothing(wanted: dict[str, object]) -> None:
    before = quotas.as_dict()
    with pytest.raises(ValueError, match=r"no such quota|whole number"):
        quotas.update({"addresses": 9, **wanted})
    assert quotas.as_dict() == before
