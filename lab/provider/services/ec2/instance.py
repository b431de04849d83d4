"""EC2 instances."""

from __future__ import annotations

import base64
import logging
from typing import Any, Final

from lab.provider.api_client import ApiClient, ApiError
from lab.provider.codec import Props
from lab.provider.handler import Handler, tag_list, tag_map, to_api_params
from lab.provider.rules.model import TypeRules, as_dict, as_list, name_set
from lab.provider.rules.validators import base64_text, between, ip4, matches, one_of
from lab.provider.services.ec2.checks import VOLUME_TYPES, instance_violations
from lab.provider.services.ec2.instance_disks import EBS_PARAMS, read_devices, root_volume_id
from lab.provider.services.ec2.instance_state import attribute, describe, modify, type_info, wait_for
from lab.provider.services.ec2.instance_update import METADATA_PARAMS, profile_association, update, user_data
from lab.provider.services.ec2.launch_checks import check_launch, root_device

_LOG: Final = logging.getLogger("lab.provider")


class Instance(Handler):
    """`aws.ec2.Instance`."""

    label = "EC2 Instance"
    rules = TypeRules(
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
            "rootBlockDevice.volumeType": one_of(*VOLUME_TYPES),
            "rootBlockDevice.volumeSize": between(1, 65536),
            "rootBlockDevice.throughput": between(125, 2000),
            "rootBlockDevice.iops": between(100, 256000),
            "ebsBlockDevices[].volumeType": one_of(*VOLUME_TYPES),
            "creditSpecification.cpuCredits": one_of("standard", "unlimited"),
        },
        cross_check=instance_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        subnet = check_launch(client, news)
        interface: dict[str, Any] = {"DeviceIndex": 0, "DeleteOnTermination": True, "SubnetId": subnet["SubnetId"]}
        interface |= to_api_params(
            news,
            {"vpcSecurityGroupIds": "Groups", "privateIp": "PrivateIpAddress", "associatePublicIpAddress": "AssociatePublicIpAddress"},
        )
        tags = tag_list(news.get("tagsAll"))
        root = as_dict(news.get("rootBlockDevice"))
        volume_tags = tag_list(news.get("volumeTags"))
        kinds = (("instance", tags), ("volume", volume_tags))
        placement = to_api_params(news, {"availabilityZone": "AvailabilityZone", "tenancy": "Tenancy", "placementGroup": "GroupName"})
        ebs = to_api_params(root, EBS_PARAMS)
        made = client.call(
            "ec2.run_instances",
            ImageId=news["ami"],
            InstanceType=news["instanceType"],
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[interface],
            UserData=user_data(news),
            KeyName=news.get("keyName"),
            CreditSpecification=_credits(client, news),
            DisableApiStop=news.get("disableApiStop"),
            DisableApiTermination=news.get("disableApiTermination"),
            IamInstanceProfile={"Name": news["iamInstanceProfile"]} if news.get("iamInstanceProfile") else None,
            MetadataOptions=to_api_params(as_dict(news.get("metadataOptions")), METADATA_PARAMS) or None,
            BlockDeviceMappings=[{"DeviceName": root_device(client, news["ami"]), "Ebs": ebs}] if ebs else None,
            EbsOptimized=news.get("ebsOptimized"),
            Monitoring={"Enabled": True} if news.get("monitoring") else None,
            InstanceInitiatedShutdownBehavior=news.get("instanceInitiatedShutdownBehavior"),
            Placement=placement or None,
            TagSpecifications=[{"ResourceType": kind, "Tags": given} for kind, given in kinds if given] or None,
        )
        return str(made["Instances"][0]["InstanceId"])

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        wait_for(client, identifier, "running", failure_states=("stopped", "terminated"))
        _tag_root(client, identifier, news)
        if news.get("sourceDestCheck") is False:
            modify(client, identifier, SourceDestCheck={"Value": False})

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        instance = describe(client, identifier)
        if instance is None or instance["State"]["Name"] == "terminated":
            return None
        primary: dict[str, Any] = (as_list(instance.get("NetworkInterfaces")) or [{}])[0]
        groups = as_list(primary.get("Groups")) or as_list(instance.get("SecurityGroups"))
        public = instance.get("PublicIpAddress") or primary.get("Association", {}).get("PublicIp") or ""
        options = as_dict(instance.get("MetadataOptions"))
        return {
            "ami": instance["ImageId"],
            "arn": client.arn("ec2", f"instance/{identifier}"),
            "associatePublicIpAddress": bool(public),
            "availabilityZone": instance["Placement"]["AvailabilityZone"],
            "tenancy": instance["Placement"].get("Tenancy") or "default",
            "ebsOptimized": bool(instance.get("EbsOptimized")),
            "disableApiStop": bool(attribute(client, identifier, "disableApiStop", "DisableApiStop")),
            "disableApiTermination": bool(attribute(client, identifier, "disableApiTermination", "DisableApiTermination")),
            "creditSpecification": _read_credits(client, instance),
            "ephemeralBlockDevices": [],
            "iamInstanceProfile": _profile(client, identifier) or "",
            "instanceInitiatedShutdownBehavior": state.get("instanceInitiatedShutdownBehavior") or "stop",
            "instanceState": instance["State"]["Name"],
            "instanceType": instance["InstanceType"],
            "keyName": instance.get("KeyName") or "",
            "metadataOptions": {name: options[key] for name, key in METADATA_PARAMS.items() if key in options}
            or {"httpEndpoint": "enabled", "httpTokens": "optional", "httpPutResponseHopLimit": 1, "instanceMetadataTags": "disabled"},
            "monitoring": (instance.get("Monitoring") or {}).get("State") == "enabled",
            "primaryNetworkInterfaceId": primary.get("NetworkInterfaceId"),
            "privateDns": instance.get("PrivateDnsName") or "",
            "privateIp": instance.get("PrivateIpAddress") or primary.get("PrivateIpAddress"),
            "publicDns": instance.get("PublicDnsName") or "" if public else "",
            "publicIp": public,
            "secondaryPrivateIps": [],
            "securityGroups": [],
            "sourceDestCheck": attribute(client, identifier, "sourceDestCheck", "SourceDestCheck") is not False,
            "subnetId": instance.get("SubnetId") or primary.get("SubnetId"),
            "tagsAll": tag_map(instance.get("Tags")),
            "vpcSecurityGroupIds": sorted(group["GroupId"] for group in groups),
            **read_devices(client, instance),
            **_live_user_data(client, identifier, state),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        update(client, identifier, olds, news, changed)

    def requires_replace(self, client: ApiClient, olds: Props, news: Props, changed: frozenset[str]) -> frozenset[str]:
        """A type that shares no architecture with the one before (`CustomizeDiff` of the instance, ec2_instance.go)."""
        if "instanceType" not in changed:
            return frozenset()
        before, after = (_architectures(client, props.get("instanceType")) for props in (olds, news))
        return frozenset({"instanceType"}) if before and after and not before & after else frozenset()

    def computed_on_update(self, changed: frozenset[str], olds: Props) -> frozenset[str]:
        """An automatic public address is given back at the stop that a changed type or changed user data takes.

        The `CustomizeDiff` of version 6's instance (ec2_instance.go) marks both outputs as unknown for an instance that has one.
        """
        stops = changed & {"instanceType", "userData", "userDataBase64"}
        return frozenset({"publicIp", "publicDns"}) if stops and olds.get("publicIp") else frozenset()

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        instance = describe(client, identifier)
        if instance is None or instance["State"]["Name"] == "terminated":
            return
        if state.get("forceDestroy"):
            modify(client, identifier, DisableApiTermination={"Value": False})
        client.call("ec2.terminate_instances", InstanceIds=[identifier])
        wait_for(client, identifier, "terminated")


def _architectures(client: ApiClient, instance_type: object) -> frozenset[str]:
    if not isinstance(instance_type, str):
        return frozenset()
    try:
        found = type_info(client, instance_type)
    except ApiError:
        return frozenset()
    return frozenset(as_dict(found.get("ProcessorInfo")).get("SupportedArchitectures") or [])


def _credits(client: ApiClient, news: Props) -> dict[str, str] | None:
    """What RunInstances is told of a burstable type's credits: `unlimited` for a T3 that nobody speaks of (`buildInstanceOpts`)."""
    kind = str(news["instanceType"])
    given = as_dict(news.get("creditSpecification")).get("cpuCredits")
    if given and type_info(client, kind).get("BurstablePerformanceSupported"):
        return {"CpuCredits": str(given)}
    return {"CpuCredits": "unlimited"} if kind.startswith("t3") else None


def _read_credits(client: ApiClient, instance: dict[str, Any]) -> Props | None:
    if not type_info(client, instance["InstanceType"]).get("BurstablePerformanceSupported"):
        return None
    found = client.first(
        "ec2.describe_instance_credit_specifications", "InstanceCreditSpecifications", InstanceIds=[instance["InstanceId"]]
    )
    return {"cpuCredits": found["CpuCredits"]} if found else None


def _tag_root(client: ApiClient, identifier: str, news: Props) -> None:
    """After the launch, and a failure is logged alone (`resourceInstanceCreate`)."""
    tags = tag_list(as_dict(news.get("rootBlockDevice")).get("tags"))
    volume = root_volume_id(describe(client, identifier) or {})
    if not tags or volume is None:
        return
    try:
        client.call("ec2.create_tags", Resources=[volume], Tags=tags)
    except ApiError as refusal:
        _LOG.warning("the root volume %s of %s has no tags: %s", volume, identifier, refusal)


def _live_user_data(client: ApiClient, identifier: str, state: Props) -> Props:
    encoded = attribute(client, identifier, "userData", "UserData") or ""
    if state.get("userDataBase64") is not None:
        return {"userDataBase64": encoded or None}
    try:
        return {"userData": base64.b64decode(encoded).decode() or None}
    except UnicodeDecodeError:
        return {"userDataBase64": encoded}


def _profile(client: ApiClient, identifier: str) -> str | None:
    """Asked of the associations: after a replacement moto's DescribeInstances still shows the old profile."""
    association = profile_association(client, identifier)
    return association["IamInstanceProfile"]["Arn"].rpartition("/")[2] if association else None
