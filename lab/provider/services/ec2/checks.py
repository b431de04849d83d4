"""What Check refuses of instances and volumes that no single property tells."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.provider.codec import UNKNOWN
from lab.provider.rules.model import Violation, as_dict

USER_DATA_BYTES: Final = 16384
VOLUME_TYPES: Final = ("gp2", "gp3", "io1", "io2", "st1", "sc1", "standard")


def instance_violations(props: dict[str, Any]) -> Iterator[Violation]:
    if "launchTemplate" not in props:
        for name in ("ami", "instanceType"):
            if name not in props:
                yield Violation(name, f"one of {name}, launchTemplate must be given")
    else:
        yield Violation("launchTemplate", "the lab's provider implements no launch templates")
    encoded, text = props.get("userDataBase64"), props.get("userData")
    size = len(text.encode()) if isinstance(text, str) else len(base64.b64decode(encoded)) if isinstance(encoded, str) else 0
    if size > USER_DATA_BYTES:
        yield Violation("userData" if text else "userDataBase64", f"expected at most {USER_DATA_BYTES} bytes of user data, got {size}")
    for name in ("networkInterfaces", "primaryNetworkInterface"):
        if name in props:
            for other in (
                "subnetId",
                "privateIp",
                "vpcSecurityGroupIds",
                "securityGroups",
                "associatePublicIpAddress",
                "secondaryPrivateIps",
            ):
                if other in props:
                    yield Violation(other, f"conflicts with {name}")
            yield Violation(name, "the lab's provider attaches no network interfaces of their own; give subnetId")
    root = as_dict(props.get("rootBlockDevice"))
    if root.get("tags") and "volumeTags" in props:
        yield Violation("volumeTags", "conflicts with rootBlockDevice.tags")
    yield from _volume_type_violations(root, "rootBlockDevice.", "volumeType")


def _volume_type_violations(volume: Mapping[str, Any], at: str, key: str) -> Iterator[Violation]:
    kind = volume.get(key, "gp2")
    if kind is UNKNOWN:
        return
    if kind in ("io1", "io2") and volume.get("iops") is None:
        yield Violation(f"{at}iops", f"volumes of type {kind} need iops")
    if kind not in ("io1", "io2", "gp3") and volume.get("iops"):
        yield Violation(f"{at}iops", f"volumes of type {kind} take no iops; only gp3, io1 and io2 do")
    if kind != "gp3" and volume.get("throughput"):
        yield Violation(f"{at}throughput", f"volumes of type {kind} take no throughput; only gp3 does")


def volume_violations(props: dict[str, Any]) -> Iterator[Violation]:
    yield from _volume_type_violations(props, "", "type")
    if props.get("multiAttachEnabled") is True and props.get("type") not in ("io1", "io2", UNKNOWN):
        yield Violation("multiAttachEnabled", "only io1 and io2 volumes attach to several instances")
