"""The limits of volumes, and their modification.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html: a volume can be modified again only when the previous
modification is `completed`, and at most four times in 24 hours. (Older pages say one modification in six hours.)
Its new size can be used from `optimizing` on (https://docs.aws.amazon.com/ebs/latest/userguide/monitoring-volume-modifications.html).
"""

import time
from typing import Any, NamedTuple

from moto.ec2.models.elastic_block_store import EBSBackend, VolumeModification

from lab.cloud.emulator.patching import ec2_error, original, replace
from lab.cloud.emulator.quotas import quotas

_DAY = 86400.0

_create = original(EBSBackend, "create_volume")
_modify = original(EBSBackend, "modify_volume")
_describe = original(EBSBackend, "describe_volumes_modifications")
_init = original(VolumeModification, "__init__")


class _Limits(NamedTuple):
    """The limits of one volume type. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html"""

    gib: tuple[int, int]
    iops: tuple[int, int] | None = None
    iops_per_gib: int = 0
    throughput: tuple[int, int] | None = None


_LIMITS = {
    "gp2": _Limits((1, 16384)),
    "gp3": _Limits((1, 65536), (3000, 80000), 500, (125, 2000)),
    "io1": _Limits((4, 16384), (100, 64000), 50),
    "io2": _Limits((4, 65536), (100, 256000), 1000),
    "st1": _Limits((125, 16384)),
    "sc1": _Limits((125, 16384)),
    "standard": _Limits((1, 1024)),
}
_MIBPS_PER_IOPS = 0.25
_GP3_IOPS, _GP3_THROUGHPUT = 3000, 125
"""The defaults of a gp3 volume."""


def install() -> None:
    """Patches the creation and modification of volumes."""
    replace(EBSBackend, "create_volume", _create_volume)
    replace(EBSBackend, "modify_volume", _modify_volume)
    replace(EBSBackend, "describe_volumes_modifications", _describe_modifications)
    replace(VolumeModification, "__init__", _init_modification)
    replace(VolumeModification, "modification_state", property(_state))
    replace(VolumeModification, "progress", property(_progress))


def now() -> float:
    """Returns the time in seconds. Tests replace it."""
    return time.time()


def validate_volume(kind: str, size: int, iops: int | None, throughput: int | None) -> None:
    """Raises AWS's error for a volume that is outside its type's limits."""
    limits = _LIMITS.get(kind)
    if limits is None:
        raise ec2_error("InvalidParameterValue", f"Value ({kind}) for parameter volumeType is invalid.")
    if not limits.gib[0] <= size <= limits.gib[1]:
        raise ec2_error(
            "InvalidParameterValue", f"Volume of {size}GiB is invalid for volume type {kind}; must be {_format_range(limits.gib)} GiB."
        )
    if limits.iops is not None and iops is not None:
        if not limits.iops[0] <= iops <= limits.iops[1]:
            raise ec2_error("InvalidParameterValue", f"Volume iops of {iops} is invalid for {kind}; must be {_format_range(limits.iops)}.")
        if iops > max(limits.iops_per_gib * size, limits.iops[0]):
            message = f"Iops to volume size ratio of {iops / size:.1f} is too high; maximum is {limits.iops_per_gib}"
            raise ec2_error("InvalidParameterCombination", message)
    if limits.throughput is not None and throughput is not None:
        if not limits.throughput[0] <= throughput <= limits.throughput[1]:
            message = f"Volume throughput of {throughput} MiB/s is invalid for {kind}; must be {_format_range(limits.throughput)}."
            raise ec2_error("InvalidParameterValue", message)
        if throughput > _MIBPS_PER_IOPS * (iops or _GP3_IOPS):
            message = f"Throughput to iops ratio of {throughput / (iops or _GP3_IOPS):.6f} is too high; maximum is {_MIBPS_PER_IOPS}"
            raise ec2_error("InvalidParameterCombination", message)


def _format_range(limits: tuple[int, int]) -> str:
    return f"{limits[0]} to {limits[1]}"


def _create_volume(backend: Any, size: Any, zone_name: str, *args: Any, **kwargs: Any) -> Any:
    kind = str(kwargs.get("volume_type") or "gp2")
    if size is not None:  # otherwise it is the snapshot's
        validate_volume(kind, int(size), _int_or_none(kwargs.get("iops")), _int_or_none(kwargs.get("throughput")))
    return _create(backend, size, zone_name, *args, **kwargs)


def _modify_volume(
    backend: Any, volume_id: str, target_size: Any = None, target_volume_type: str | None = None, target_iops: Any = None,
    target_throughput: Any = None, target_multi_attach_enabled: bool | None = None,
) -> Any:  # fmt: skip
    volume = backend.get_volume(volume_id)
    size, kind = int(target_size or volume.size), target_volume_type or volume.volume_type or "gp2"
    if size < volume.size:
        raise ec2_error("InvalidParameterValue", f"New size cannot be smaller than existing size: {size} < {volume.size}")
    kept = kind == volume.volume_type
    iops, throughput = (
        _int_or_none(target_iops) or (volume.iops if kept else None),
        _int_or_none(target_throughput) or (volume.throughput if kept else None),
    )
    validate_volume(kind, size, iops, throughput)
    _require_cooldown(volume)
    changed = _modify(backend, volume_id, target_size, target_volume_type, target_iops, target_throughput, target_multi_attach_enabled)
    if kind == "gp3":  # "The default is 3,000", and the least throughput (API_ModifyVolume)
        volume.iops, volume.throughput = iops or _GP3_IOPS, throughput or _GP3_THROUGHPUT
    return changed


def _require_cooldown(volume: Any) -> None:
    if volume.modifications and (state := volume.modifications[-1].modification_state) != "completed":
        message = f"Volume {volume.id} cannot be modified in modification state {state.upper()}"
        raise ec2_error("IncorrectModificationState", message)
    recent = sorted(one._began for one in volume.modifications if one._began > now() - _DAY)
    if len(recent) >= quotas.volume_modifications_per_day:
        again = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(recent[0] + _DAY))
        message = f"You've reached the maximum modification rate per volume limit. Volume {volume.id} can be modified again at {again}."
        raise ec2_error("VolumeModificationRateExceeded", message)


def _init_modification(modification: Any, volume: Any, *args: Any, **kwargs: Any) -> None:
    modification._began = now()
    _init(modification, volume, *args, **kwargs)


def _optimizing_seconds(modification: Any) -> float:
    """Returns how long it is `optimizing`, in seconds, from the volume's size."""
    return float(quotas.optimizing_seconds_per_gib * modification.volume.size)


def _state(modification: Any) -> str:
    """Returns the modification's state. `modifying` is skipped: on AWS it takes seconds, and the new size cannot be used yet."""
    return "completed" if now() >= modification._began + _optimizing_seconds(modification) else "optimizing"


def _progress(modification: Any) -> int:
    if _state(modification) == "completed":
        return 100
    return int(100 * (now() - modification._began) / _optimizing_seconds(modification))


def _describe_modifications(backend: Any, volume_ids: list[str] | None = None, filters: Any = None) -> Any:
    """Lists only the last modification of each volume, as AWS does; moto lists all."""
    last = {modification.volume_id: modification for modification in _describe(backend, volume_ids, filters)}
    if volume_ids and (unknown := [volume_id for volume_id in volume_ids if volume_id not in last]):
        raise ec2_error("InvalidVolumeModification.NotFound", f"The volume modification '{unknown[0]}' does not exist.")
    return list(last.values())


def _int_or_none(value: Any) -> int | None:
    return int(value) if value else None
