"""EC2 instances."""

from __future__ import annotations

import base64
from typing import Any, Final

from lab.provider.cloud import Cloud, filters
from lab.provider.codec import Props
from lab.provider.rules.model import listed, nested
from lab.provider.services.base import Handler, chosen, retag, tag_list, tag_map
from lab.provider.services.launching import refuse_foreign_groups, refuse_impossible_launch, root_device

_METADATA: Final = {
    "httpEndpoint": "HttpEndpoint",
    "httpTokens": "HttpTokens",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "instanceMetadataTags": "InstanceMetadataTags",
    "httpProtocolIpv6": "HttpProtocolIpv6",
}
_EBS: Final = {
    "volumeSize": "VolumeSize",
    "volumeType": "VolumeType",
    "iops": "Iops",
    "throughput": "Throughput",
    "encrypted": "Encrypted",
    "kmsKeyId": "KmsKeyId",
    "deleteOnTermination": "DeleteOnTermination",
}
_STOPS: Final = frozenset({"instanceType", "userData", "userDataBase64", "ebsOptimized"})


class Instance(Handler):
    """`aws.ec2.Instance`."""

    kind = "aws:ec2/instance:Instance"
    label = "EC2 Instance"

    def create(self, cloud: Cloud, news: Props) -> str:
        subnet = refuse_impossible_launch(cloud, news)
        interface: dict[str, Any] = {"DeviceIndex": 0, "DeleteOnTermination": True, "SubnetId": subnet["SubnetId"]}
        interface |= chosen(
            news,
            {"vpcSecurityGroupIds": "Groups", "privateIp": "PrivateIpAddress", "associatePublicIpAddress": "AssociatePublicIpAddress"},
        )
        tags = tag_list(news.get("tagsAll"))
        root = nested(news.get("rootBlockDevice"))
        volume_tags = tag_list(root.get("tags") or news.get("volumeTags"))
        kinds = (("instance", tags), ("volume", volume_tags))
        placement = chosen(news, {"availabilityZone": "AvailabilityZone", "tenancy": "Tenancy", "placementGroup": "GroupName"})
        ebs = chosen(root, _EBS)
        made = cloud.call(
            "ec2.run_instances",
            ImageId=news["ami"],
            InstanceType=news["instanceType"],
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[interface],
            UserData=_user_data(news),
            KeyName=news.get("keyName"),
            IamInstanceProfile={"Name": news["iamInstanceProfile"]} if news.get("iamInstanceProfile") else None,
            MetadataOptions=chosen(nested(news.get("metadataOptions")), _METADATA) or None,
            BlockDeviceMappings=[{"DeviceName": root_device(cloud, news["ami"]), "Ebs": ebs}] if ebs else None,
            EbsOptimized=news.get("ebsOptimized"),
            Monitoring={"Enabled": True} if news.get("monitoring") else None,
            InstanceInitiatedShutdownBehavior=news.get("instanceInitiatedShutdownBehavior"),
            Placement=placement or None,
            TagSpecifications=[{"ResourceType": kind, "Tags": given} for kind, given in kinds if given] or None,
        )
        return str(made["Instances"][0]["InstanceId"])

    def settle(self, cloud: Cloud, identifier: str, news: Props) -> None:
        wait_for(cloud, identifier, "running", bad=("stopped", "terminated"))
        if news.get("sourceDestCheck") is False:
            _modify(cloud, identifier, SourceDestCheck={"Value": False})
        for name, parameter in (("disableApiTermination", "DisableApiTermination"), ("disableApiStop", "DisableApiStop")):
            if news.get(name):
                _modify(cloud, identifier, **{parameter: {"Value": True}})

    def read(self, cloud: Cloud, identifier: str, state: Props) -> Props | None:
        instance = describe(cloud, identifier)
        if instance is None or instance["State"]["Name"] == "terminated":
            return None
        primary: dict[str, Any] = (listed(instance.get("NetworkInterfaces")) or [{}])[0]
        groups = listed(primary.get("Groups")) or listed(instance.get("SecurityGroups"))
        public = instance.get("PublicIpAddress") or primary.get("Association", {}).get("PublicIp") or ""
        options = nested(instance.get("MetadataOptions"))
        return {
            "ami": instance["ImageId"],
            "arn": cloud.arn("ec2", f"instance/{identifier}"),
            "associatePublicIpAddress": bool(public),
            "availabilityZone": instance["Placement"]["AvailabilityZone"],
            "tenancy": instance["Placement"].get("Tenancy") or "default",
            "ebsOptimized": bool(instance.get("EbsOptimized")),
            "disableApiStop": bool(_attribute(cloud, identifier, "disableApiStop", "DisableApiStop")),
            "disableApiTermination": bool(_attribute(cloud, identifier, "disableApiTermination", "DisableApiTermination")),
            "ebsBlockDevices": [],
            "ephemeralBlockDevices": [],
            "iamInstanceProfile": _profile(cloud, identifier) or "",
            "instanceInitiatedShutdownBehavior": state.get("instanceInitiatedShutdownBehavior") or "stop",
            "instanceState": instance["State"]["Name"],
            "instanceType": instance["InstanceType"],
            "keyName": instance.get("KeyName") or "",
            "metadataOptions": {name: options[key] for name, key in _METADATA.items() if key in options}
            or {"httpEndpoint": "enabled", "httpTokens": "optional", "httpPutResponseHopLimit": 1, "instanceMetadataTags": "disabled"},
            "monitoring": (instance.get("Monitoring") or {}).get("State") == "enabled",
            "primaryNetworkInterfaceId": primary.get("NetworkInterfaceId"),
            "privateDns": instance.get("PrivateDnsName") or "",
            "privateIp": instance.get("PrivateIpAddress") or primary.get("PrivateIpAddress"),
            "publicDns": instance.get("PublicDnsName") or "" if public else "",
            "publicIp": public,
            "rootBlockDevice": _root_volume(cloud, instance),
            "secondaryPrivateIps": [],
            "securityGroups": [],
            "sourceDestCheck": _attribute(cloud, identifier, "sourceDestCheck", "SourceDestCheck") is not False,
            "subnetId": instance.get("SubnetId") or primary.get("SubnetId"),
            "tagsAll": tag_map(instance.get("Tags")),
            "vpcSecurityGroupIds": sorted(group["GroupId"] for group in groups),
            **_live_user_data(cloud, identifier, state),
        }

    def update(self, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        if "vpcSecurityGroupIds" in changed:
            _regroup(cloud, identifier, news)
        if "iamInstanceProfile" in changed:
            _reprofile(cloud, identifier, news.get("iamInstanceProfile"))
        if "metadataOptions" in changed:
            options = chosen(nested(news.get("metadataOptions")), _METADATA)
            cloud.call("ec2.modify_instance_metadata_options", InstanceId=identifier, **options)
        for name, parameter in (("disableApiTermination", "DisableApiTermination"), ("disableApiStop", "DisableApiStop")):
            if name in changed:
                _modify(cloud, identifier, **{parameter: {"Value": bool(news.get(name))}})
        if "sourceDestCheck" in changed:
            _modify(cloud, identifier, SourceDestCheck={"Value": news.get("sourceDestCheck") is not False})
        if "monitoring" in changed:
            verb = "monitor" if news.get("monitoring") else "unmonitor"
            cloud.call(f"ec2.{verb}_instances", InstanceIds=[identifier])
        if "instanceInitiatedShutdownBehavior" in changed:
            _modify(cloud, identifier, InstanceInitiatedShutdownBehavior={"Value": news["instanceInitiatedShutdownBehavior"]})
        if "rootBlockDevice" in changed:
            _modify_root(cloud, olds, news)
        if changed & _STOPS:
            _modify_stopped(cloud, identifier, news, changed)
        retag(cloud, identifier, olds, news)
        if "volumeTags" in changed and (root := nested(olds.get("rootBlockDevice")).get("volumeId")):
            retag(cloud, root, {"tagsAll": olds.get("volumeTags")}, {"tagsAll": news.get("volumeTags")})

    def delete(self, cloud: Cloud, identifier: str, state: Props) -> None:
        instance = describe(cloud, identifier)
        if instance is None or instance["State"]["Name"] == "terminated":
            return
        if state.get("forceDestroy"):
            _modify(cloud, identifier, DisableApiTermination={"Value": False})
        cloud.call("ec2.terminate_instances", InstanceIds=[identifier])
        wait_for(cloud, identifier, "terminated")


def describe(cloud: Cloud, identifier: str) -> dict[str, Any] | None:
    """The instance as EC2 describes it, None where it does not know it (any more)."""
    reservation = cloud.first("ec2.describe_instances", "Reservations", InstanceIds=[identifier])
    return reservation["Instances"][0] if reservation else None


def wait_for(cloud: Cloud, identifier: str, wanted: str, *, bad: tuple[str, ...] = ()) -> None:
    """Until the machine itself is in the state; an instance that EC2 has forgotten is terminated."""

    def state() -> str:
        instance = describe(cloud, identifier)
        return str(instance["State"]["Name"]) if instance else "terminated"

    cloud.wait(f"instance {identifier}", state, wanted, bad=bad)


def stop(cloud: Cloud, identifier: str) -> None:
    """Stop it, and wait until it is; nothing where it has no machine."""
    instance = describe(cloud, identifier)
    if instance is None or instance["State"]["Name"] in ("stopped", "terminated", "shutting-down"):
        return
    if _attribute(cloud, identifier, "disableApiStop", "DisableApiStop"):
        message = f"The instance '{identifier}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again."
        raise cloud.refusal("ec2.stop_instances", "OperationNotPermitted", message)
    cloud.call("ec2.stop_instances", InstanceIds=[identifier])
    wait_for(cloud, identifier, "stopped", bad=("terminated",))


def _modify_stopped(cloud: Cloud, identifier: str, news: Props, changed: frozenset[str]) -> None:
    """Type and user data change on a stopped instance only; it boots with them."""
    stop(cloud, identifier)
    if "instanceType" in changed:
        _modify(cloud, identifier, InstanceType={"Value": news["instanceType"]})
    if "ebsOptimized" in changed:
        _modify(cloud, identifier, EbsOptimized={"Value": bool(news.get("ebsOptimized"))})
    if changed & {"userData", "userDataBase64"}:
        _modify(cloud, identifier, UserData={"Value": _user_data(news) or b""})
    cloud.call("ec2.start_instances", InstanceIds=[identifier])
    wait_for(cloud, identifier, "running", bad=("terminated",))


def _modify(cloud: Cloud, identifier: str, **attribute: Any) -> None:
    """EC2 takes one attribute a call."""
    cloud.call("ec2.modify_instance_attribute", InstanceId=identifier, **attribute)


def _attribute(cloud: Cloud, identifier: str, name: str, key: str) -> Any:
    answer = cloud.call("ec2.describe_instance_attribute", InstanceId=identifier, Attribute=name)
    return nested(answer.get(key)).get("Value")


def _user_data(news: Props) -> bytes | None:
    """The raw user data; botocore encodes it."""
    if news.get("userDataBase64") is not None:
        return base64.b64decode(news["userDataBase64"])
    return news["userData"].encode() if news.get("userData") is not None else None


def _live_user_data(cloud: Cloud, identifier: str, state: Props) -> Props:
    encoded = _attribute(cloud, identifier, "userData", "UserData") or ""
    if state.get("userDataBase64") is not None:
        return {"userDataBase64": encoded or None}
    try:
        return {"userData": base64.b64decode(encoded).decode() or None}
    except UnicodeDecodeError:
        return {"userDataBase64": encoded}


def _profile(cloud: Cloud, identifier: str) -> str | None:
    """Asked of the associations: after a replacement moto's DescribeInstances still shows the old profile."""
    association = _profile_association(cloud, identifier)
    return association["IamInstanceProfile"]["Arn"].rpartition("/")[2] if association else None


def _profile_association(cloud: Cloud, identifier: str) -> dict[str, Any] | None:
    for association in cloud.every(
        "ec2.describe_iam_instance_profile_associations", "IamInstanceProfileAssociations", Filters=filters(instance_id=identifier)
    ):
        if association.get("State") in ("associating", "associated"):
            return association
    return None


def _reprofile(cloud: Cloud, identifier: str, profile: str | None) -> None:
    association = _profile_association(cloud, identifier)
    if profile and association:
        cloud.call(
            "ec2.replace_iam_instance_profile_association",
            AssociationId=association["AssociationId"],
            IamInstanceProfile={"Name": profile},
        )
    elif profile:
        cloud.call("ec2.associate_iam_instance_profile", InstanceId=identifier, IamInstanceProfile={"Name": profile})
    elif association:
        cloud.call("ec2.disassociate_iam_instance_profile", AssociationId=association["AssociationId"])


def _regroup(cloud: Cloud, identifier: str, news: Props) -> None:
    instance = describe(cloud, identifier) or {}
    groups = listed(news.get("vpcSecurityGroupIds"))
    refuse_foreign_groups(cloud, "ec2.modify_network_interface_attribute", groups, instance["VpcId"])
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    cloud.call("ec2.modify_network_interface_attribute", NetworkInterfaceId=interface, Groups=groups)


def _root_volume(cloud: Cloud, instance: dict[str, Any]) -> Props | None:
    for mapping in listed(instance.get("BlockDeviceMappings")):
        if mapping["DeviceName"] == instance.get("RootDeviceName"):
            volume = cloud.first("ec2.describe_volumes", "Volumes", VolumeIds=[mapping["Ebs"]["VolumeId"]])
            if volume is None:
                return None
            return {
                "deviceName": mapping["DeviceName"],
                "volumeId": volume["VolumeId"],
                "volumeSize": volume["Size"],
                "volumeType": volume.get("VolumeType") or "gp2",
                "iops": volume.get("Iops"),
                "throughput": volume.get("Throughput"),
                "encrypted": bool(volume.get("Encrypted")),
                "kmsKeyId": volume.get("KmsKeyId") or "",
                "deleteOnTermination": mapping["Ebs"].get("DeleteOnTermination", True),
                "tags": tag_map(volume.get("Tags")),
            }
    return None


def _modify_root(cloud: Cloud, olds: Props, news: Props) -> None:
    before, after = nested(olds.get("rootBlockDevice")), nested(news.get("rootBlockDevice"))
    changes = {
        parameter: after[name]
        for name, parameter in (("volumeSize", "Size"), ("volumeType", "VolumeType"), ("iops", "Iops"), ("throughput", "Throughput"))
        if after.get(name) is not None and after[name] != before.get(name)
    }
    if changes:
        if changes.get("Size", before["volumeSize"]) < before["volumeSize"]:
            raise cloud.refusal("ec2.modify_volume", "InvalidParameterValue", "New size cannot be smaller than existing size")
        cloud.call("ec2.modify_volume", VolumeId=before["volumeId"], **changes)
    if after.get("tags") is not None and after["tags"] != before.get("tags"):
        retag(cloud, before["volumeId"], {"tagsAll": before.get("tags")}, {"tagsAll": after["tags"]})
