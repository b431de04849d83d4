"""What docs/deploying.md says that a stack needs of an account's quotas is what its stack file, as shipped, needs."""

import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from stack.quotas import QuotaUsage, quota_usage, vcpus
from stack.settings import parse, parse_with_problems
from tests.program_files import stack_config
from tests.unit.stack.conftest import REPOSITORY


def needed(stack: str) -> QuotaUsage:
    config = stack_config(stack)
    return quota_usage(parse({key.removeprefix("webstack:"): value for key, value in config.items() if key.startswith("webstack:")}))


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_document_says_what_each_stack_file_needs(stack: str) -> None:
    need = needed(stack)
    row = f"| {stack} | {need.vcpus} | {need.vcpus_during_release} | {need.vcpus_after_failed_release} | {need.elastic_ips} |"
    assert row in (REPOSITORY / "docs/deploying.md").read_text(), f"docs/deploying.md lacks the row {row}"


def test_every_host_gateway_and_release_counts() -> None:
    one = parse({"web": {"count": 1, "instanceType": "m7i.2xlarge"}, "database": {"replica": False}, "network": {"zones": 3}})
    assert quota_usage(one) == QuotaUsage(vcpus=12, vcpus_during_release=20, elastic_ips=2)
    per_zone = parse({"network": {"zones": 3, "nat": "per-az"}})
    assert quota_usage(per_zone) == QuotaUsage(vcpus=10, vcpus_during_release=14, elastic_ips=4)


@pytest.mark.parametrize(("name", "count"), [("t3.nano", 2), ("m7i.large", 2), ("m7i.xlarge", 4), ("m7i.12xlarge", 48)])
def test_a_size_has_its_vcpus(name: str, count: int) -> None:
    assert vcpus(name) == count


@pytest.mark.parametrize("name", ["m7i.metal-24xl", "hpc7a.12xlarge"])
def test_what_the_name_does_not_tell_is_not_guessed(name: str) -> None:
    with pytest.raises(ValueError, match="not known by the name"):
        vcpus(name)


def test_every_type_that_a_stack_may_have_has_the_vcpus_that_ec2_says() -> None:
    """moto's `instance_types.json` is what DescribeInstanceTypes answered, gathered by its scripts/ec2_get_instance_types.py."""
    wrong: dict[str, tuple[int, int]] = {}
    for name, one in INSTANCE_TYPES.items():
        told = one["VCpuInfo"]["DefaultVCpus"]
        guessable = not parse_with_problems({"web": {"instanceType": name}})[1] and ".metal" not in name and not name.startswith("hpc")
        if guessable and vcpus(name) != told:
            wrong[name] = (vcpus(name), told)
    assert wrong == {}
