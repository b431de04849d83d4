"""The image catalogue: the lab's two Debian images instead of moto's thousand, and a check that an image exists, which moto lacks."""

import os
from typing import Any

from moto import settings
from moto.ec2.models import amis

from lab.cloud.emulator.patching import replace
from lab.cloud.images import BAKED_IMAGE, PLAIN_IMAGE, ROOT_DEVICE, ROOT_GIGABYTES

DEBIAN_ACCOUNT = "136693071363"
"""The account that Debian publishes its images from (https://wiki.debian.org/Cloud/AmazonEC2Image)."""


def install() -> None:
    """Offers only the lab's images, and rejects unknown ones as AWS does."""
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    replace(settings, "ENABLE_AMI_VALIDATION", new=True)
    replace(amis.AmiBackend, "_load_amis", _load)
    replace(amis.Ami, "block_device_mappings", property(_mappings))


def _load(backend: Any) -> None:
    for image_id, suffix, description in ((BAKED_IMAGE, "", "with the roles' packages"), (PLAIN_IMAGE, "-plain", "as published")):
        backend.amis[image_id] = amis.Ami(
            backend,
            image_id,
            name=f"debian-13-amd64-lab{suffix}",
            description=f"Debian 13 (lab; {description})",
            owner_id=DEBIAN_ACCOUNT,
            owner_alias="amazon",
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            image_location=f"amazon/debian-13-amd64-lab{suffix}",
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name=ROOT_DEVICE,
        )


def _mappings(image: amis.Ami) -> list[dict[str, Any]]:
    """moto says 15 GB `standard`, kept on termination; Debian's images say 8 GB gp3 (https://wiki.debian.org/Cloud/AmazonEC2Image)."""
    volume = {"SnapshotId": image.ebs_snapshot.id, "VolumeSize": ROOT_GIGABYTES, "DeleteOnTermination": True, "VolumeType": "gp3"}
    return [{"DeviceName": image.root_device_name, "Ebs": {**volume, "Encrypted": False}}]
