"""What a stack takes of an account's quotas. Pure; no Pulumi in it.

Quotas: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html (vCPUs of running on-demand instances) and
https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html (five Elastic IPs a region).
"""

import re
from dataclasses import dataclass

from stack.roles import SPECS
from stack.settings import Settings


@dataclass(frozen=True, kw_only=True)
class QuotaUsage:
    """vCPUs in use and while every host without a fixed address is replaced, old ones beside new ones; and Elastic IPs."""

    vcpus: int
    vcpus_during_release: int
    elastic_ips: int

    @property
    def vcpus_after_failed_release(self) -> int:
        """While new hosts replace those of a release that failed, which run beside the old ones."""
        return 2 * self.vcpus_during_release - self.vcpus


def quota_usage(settings: Settings) -> QuotaUsage:
    """What a stack of these settings needs."""
    of_role = {spec: spec.count(settings) * vcpus(spec.settings(settings).instance_type) for spec in SPECS}
    replaced = sum(number for spec, number in of_role.items() if not spec.is_fixed)
    gateways = settings.network.zones if settings.network.nat == "per-az" else 1
    return QuotaUsage(vcpus=sum(of_role.values()), vcpus_during_release=sum(of_role.values()) + replaced, elastic_ips=1 + gateways)


def vcpus(instance_type: str) -> int:
    """The vCPUs of a size of the current families: 4 for each `xlarge`, one of a `medium` that is not burstable, else 2.

    As DescribeInstanceTypes says of each type (`DefaultVCpus`), which moto carries: a test holds the rule against all of them. Raises
    ValueError for bare metal and high performance computing, whose number differs by family.
    """
    family, _, size = instance_type.partition(".")
    large = re.fullmatch(r"(\d*)xlarge", size)
    if size.startswith("metal") or family.startswith("hpc"):
        raise ValueError(f"{instance_type}: the vCPUs of bare metal and of the hpc families are not known by the name")
    if large:
        return 4 * int(large[1] or 1)
    return 1 if size == "medium" and not family.startswith("t") else 2
