"""Rules of instances, volumes and their attachments."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.provider.codec import UNKNOWN
from lab.provider.rules.model import TypeRules, Violation, as_dict, name_set
from lab.provider.rules.validators import arn, base64_text, between, ip4, matches, one_of

USER_DATA_BYTES: Final = 16384
VOLUME_TYPES: Final = ("gp2", "gp3", "io1", "io2", "st1", "sc1", "standard")


def _instance(props: dict[str, Any]) -> Iterator[Violation]:
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
    yield from _volume_type(root, "rootBlockDevice.", "volumeType")


def _volume_type(volume: Mapping[str, Any], at: str, key: str) -> Iterator[Violation]:
    kind = volume.get(key, "gp2")
    if kind is UNKNOWN:
        return
    if kind in ("io1", "io2") and volume.get("iops") is None:
        yield Violation(f"{at}iops", f"volumes of type {kind} need iops")
    if kind not in ("io1", "io2", "gp3") and volume.get("iops"):
        yield Violation(f"{at}iops", f"volumes of type {kind} take no iops; only gp3, io1 and io2 do")
    if kind != "gp3" and volume.get("throughput"):
        yield Violation(f"{at}throughput", f"volumes of type {kind} take no throughput; only gp3 does")


def _volume(props: dict[str, Any]) -> Iterator[Violation]:
    yield from _volume_type(props, "", "type")
    if props.get("multiAttachEnabled") is True and props.get("type") not in ("io1", "io2", UNKNOWN):
        yield Violation("multiAttachEnabled", "only io1 and io2 volumes attach to several instances")


_ROOT: Final = "rootBlockDevice"

RULES: Final[dict[str, TypeRules]] = {
    "aws:ec2/instance:Instance": TypeRules(
        unsupported=name_set(
            "capacityReservationSpecification cpuOptions ebsBlockDevices enablePrimaryIpv6 "
            "enclaveOptions ephemeralBlockDevices getPasswordData hibernation hostId hostResourceGroupArn "
            "instanceMarketOptions ipv6AddressCount ipv6Addresses maintenanceOptions placementGroupId "
            "placementPartitionNumber privateDnsNameOptions secondaryNetworkInterfaces secondaryPrivateIps "
            "securityGroups"
        ),
        checks={
            "ami": matches(r"ami-[0-9a-f]{8,17}", "an image id such as ami-0123456789abcdef0"),
            "privateIp": ip4,
            "userDataBase64": base64_text,
            "tenancy": one_of("default", "dedicated", "host"),
            "instanceInitiatedShutdownBehavior": one_of("stop", "terminate"),
            "metadataOptions.httpEndpoint": one_of("enabled", "disabled"),
            "metadataOptions.httpTokens": one_of("optional", "required"),
            "metadataOptions.httpPutResponseHopLimit": between(1, 64),
            "metadataOptions.instanceMetadataTags": one_of("enabled", "disabled"),
            f"{_ROOT}.volumeType": one_of(*VOLUME_TYPES),
            f"{_ROOT}.volumeSize": between(1, 65536),
            f"{_ROOT}.throughput": between(125, 2000),
            f"{_ROOT}.iops": between(100, 256000),
            "ebsBlockDevices[].volumeType": one_of(*VOLUME_TYPES),
            "creditSpecification.cpuCredits": one_of("standard", "unlimited"),
        },
        cross_check=_instance,
    ),
    "aws:ebs/volume:Volume": TypeRules(
        unsupported=name_set("finalSnapshot outpostArn volumeInitializationRate"),
        checks={
            "size": between(1, 65536),
            "type": one_of(*VOLUME_TYPES),
            "throughput": between(125, 2000),
            "kmsKeyId": arn,
            "iops": between(100, 256000),
        },
        cross_check=_volume,
    ),
    "aws:ec2/volumeAttachment:VolumeAttachment": TypeRules(
        checks={"deviceName": matches(r"/dev/(sd[a-z](\d{1,2})?|xvd[a-z]{1,2}|hd[a-z])", "a device name such as /dev/sdf")},
    ),
}
