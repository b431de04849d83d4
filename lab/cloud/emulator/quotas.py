"""The quotas of an AWS account, which moto does not have.

The lab's account has AWS's defaults where AWS documents them; `webstack lab quota` shows and changes them.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.vpcs import VPCBackend

from lab.cloud.emulator.patching import ec2_error, original, replace

_STANDARD_FAMILIES = frozenset("acdhimrtz")
"""The first letters of the instance families that share one quota (Running On-Demand Standard instances)."""
_COUNTED_STATES = frozenset({"pending", "running"})

_start = original(InstanceBackend, "start_instances")
_allocate = original(ElasticAddressBackend, "allocate_address")
_create_vpc = original(VPCBackend, "create_vpc")


@dataclass
class Quotas:
    """One account's quotas in each region.

    vcpus                        the total of all running On-Demand instances of the standard families
                                 (https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html). A new account starts with
                                 5, which AWS raises with use; a rolling update of a stack of production's size needs 32.
    addresses                    Elastic IP addresses (https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html)
    vpcs                         including the default one (the same page)
    volume_modifications_per_day per volume, in any 24 hours
                                 (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html)
    optimizing_seconds_per_gib   how long a modified volume is `optimizing` and cannot be modified again. AWS documents minutes to hours,
                                 and six hours for a full TiB
                                 (https://docs.aws.amazon.com/ebs/latest/userguide/monitoring-volume-modifications.html)
    """

    vcpus: int = 32
    addresses: int = 5
    vpcs: int = 5
    volume_modifications_per_day: int = 4
    optimizing_seconds_per_gib: int = 21


quotas = Quotas()
"""The quotas of this process, which emulates one account."""


def as_dict() -> dict[str, int]:
    """Returns the quotas by name."""
    return asdict(quotas)


def update(changes: dict[str, object]) -> dict[str, int]:
    """Changes some quotas and returns all by name. Raises ValueError, and changes nothing, if a name or a value is invalid."""
    known = [field.name for field in fields(Quotas)]
    checked: dict[str, int] = {}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"{name}: no such quota; give one of {', '.join(known)}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{name}={value}: a quota is a whole number, 0 or more")
        checked[name] = value
    for name, value in checked.items():
        setattr(quotas, name, value)
    return as_dict()


def install() -> None:
    """Patches the calls that count against a quota. Must come after `launch`, whose checks come before the count."""
    run = original(InstanceBackend, "run_instances")

    def run_within(backend: Any, image_id: str, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any) -> Any:
        _require_vcpus(backend, _vcpus(str(kwargs.get("instance_type") or "m1.small")) * int(count))
        return run(backend, image_id, count, user_data, security_group_names, **kwargs)

    replace(InstanceBackend, "run_instances", run_within)
    replace(InstanceBackend, "start_instances", _start_within)
    replace(ElasticAddressBackend, "allocate_address", _allocate_within)
    replace(VPCBackend, "create_vpc", _create_vpc_within)


def _start_within(backend: Any, instance_ids: list[str]) -> Any:
    starting = [instance for instance in backend.get_multi_instances_by_id(instance_ids) if instance.state == "stopped"]
    _require_vcpus(backend, sum(_vcpus(instance.instance_type) for instance in starting))
    return _start(backend, instance_ids)


def _require_vcpus(backend: Any, more: int) -> None:
    used = sum(_vcpus(instance.instance_type) for instance in backend.all_instances() if instance.state in _COUNTED_STATES)
    if more and used + more > quotas.vcpus:
        raise ec2_error(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {quotas.vcpus} allows for the instance bucket that the "
            "specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to "
            "this limit.",
        )


def _vcpus(instance_type: str) -> int:
    """Returns the vCPUs that count against this quota: 0 for another family or an unknown type."""
    if instance_type[:1] not in _STANDARD_FAMILIES or instance_type not in INSTANCE_TYPES:
        return 0
    return int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])


def _allocate_within(backend: Any, *args: Any, **kwargs: Any) -> Any:
    if len(backend.addresses) >= quotas.addresses:
        raise ec2_error("AddressLimitExceeded", "The maximum number of addresses has been reached.")
    return _allocate(backend, *args, **kwargs)


def _create_vpc_within(backend: Any, *args: Any, **kwargs: Any) -> Any:
    if len(backend.vpcs) >= quotas.vpcs and not kwargs.get("is_default"):
        raise ec2_error("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
    return _create_vpc(backend, *args, **kwargs)
