"""The update of an instance, in the order of `resourceInstanceUpdate` (terraform-provider-aws, internal/service/ec2/ec2_instance.go).

Type and user data are changed on a stopped instance, in a stop and a start each (`modifyInstanceAttributeWithStopStart`), the type first:
an instance whose type and user data both change boots once with the new type and the old user data. What comes later in the order is
done after those boots, and not at all where one of them fails.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from lab.provider.cloud import Cloud, filters
from lab.provider.codec import Props
from lab.provider.rules.model import listed, nested
from lab.provider.services.base import chosen, retag
from lab.provider.services.instance_disks import modify_root
from lab.provider.services.instance_state import describe, modify, stop, wait_for
from lab.provider.services.launching import refuse_foreign_groups

METADATA: Final = {
    "httpEndpoint": "HttpEndpoint",
    "httpTokens": "HttpTokens",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "instanceMetadataTags": "InstanceMetadataTags",
    "httpProtocolIpv6": "HttpProtocolIpv6",
}
_Step = Callable[[Cloud, str, Props, Props], None]


def update(cloud: Cloud, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    """Brings the changed properties to what the news say. Raises Refusal at the first that AWS refuses."""
    retag(cloud, identifier, olds, news)
    for names, step in _ORDER:
        if changed & names:
            step(cloud, identifier, olds, news)


def user_data(news: Props) -> bytes | None:
    """The raw user data; botocore encodes it."""
    if news.get("userDataBase64") is not None:
        return base64.b64decode(news["userDataBase64"])
    return news["userData"].encode() if news.get("userData") is not None else None


def profile_association(cloud: Cloud, identifier: str) -> dict[str, Any] | None:
    """The association of an instance with its profile, None where it has none."""
    for association in cloud.every(
        "ec2.describe_iam_instance_profile_associations", "IamInstanceProfileAssociations", Filters=filters(instance_id=identifier)
    ):
        if association.get("State") in ("associating", "associated"):
            return association
    return None


def _volume_tags(cloud: Cloud, identifier: str, olds: Props, news: Props) -> None:
    """Of every volume that the instance has (`getInstanceVolumeIDs`)."""
    instance = describe(cloud, identifier) or {}
    for mapping in listed(instance.get("BlockDeviceMappings")):
        retag(cloud, mapping["Ebs"]["VolumeId"], {"tagsAll": olds.get("volumeTags")}, {"tagsAll": news.get("volumeTags")})


def _profile(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
    profile, association = news.get("iamInstanceProfile"), profile_association(cloud, identifier)
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


def _source_check(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
    modify(cloud, identifier, SourceDestCheck={"Value": news.get("sourceDestCheck") is not False})


def _groups(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
    instance = describe(cloud, identifier) or {}
    groups = listed(news.get("vpcSecurityGroupIds"))
    refuse_foreign_groups(cloud, "ec2.modify_network_interface_attribute", groups, instance["VpcId"])
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    cloud.call("ec2.modify_network_interface_attribute", NetworkInterfaceId=interface, Groups=groups)


def _type(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
    _with_stop_and_start(cloud, identifier, InstanceType={"Value": news["instanceType"]})


def _user_data(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
    _with_stop_and_start(cloud, identifier, UserData={"Value": user_data(news) or b""})


def _with_stop_and_start(cloud: Cloud, identifier: str, **attribute: Any) -> None:
    stop(cloud, identifier)
    modify(cloud, identifier, **attribute)
    cloud.call("ec2.start_instances", InstanceIds=[identifier])
    wait_for(cloud, identifier, "running", bad=("terminated",))


def _protection(name: str, parameter: str) -> _Step:
    def step(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
        modify(cloud, identifier, **{parameter: {"Value": bool(news.get(name))}})

    return step


def _shutdown_behaviour(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
    modify(cloud, identifier, InstanceInitiatedShutdownBehavior={"Value": news["instanceInitiatedShutdownBehavior"]})


def _monitoring(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
    verb = "monitor" if news.get("monitoring") else "unmonitor"
    cloud.call(f"ec2.{verb}_instances", InstanceIds=[identifier])


def _credits(cloud: Cloud, identifier: str, _olds: Props, news: Props) -> None:
    wanted = {"InstanceId": identifier, "CpuCredits": nested(news.get("creditSpecification"))["cpuCredits"]}
    cloud.call("ec2.modify_instance_credit_specification", InstanceCreditSpecifications=[wanted])


def _metadata(cloud: Cloud, identifier: str, olds: Props, news: Props) -> None:
    """All options, those that nobody speaks of as they are; with the endpoint disabled AWS takes no others."""
    options = {**nested(olds.get("metadataOptions")), **nested(news.get("metadataOptions"))}
    if options.get("httpEndpoint") == "disabled":
        options = {"httpEndpoint": "disabled"}
    cloud.call("ec2.modify_instance_metadata_options", InstanceId=identifier, **chosen(options, METADATA))


_ORDER: Final[tuple[tuple[frozenset[str], _Step], ...]] = (
    (frozenset({"volumeTags"}), _volume_tags),
    (frozenset({"iamInstanceProfile"}), _profile),
    (frozenset({"sourceDestCheck"}), _source_check),
    (frozenset({"vpcSecurityGroupIds"}), _groups),
    (frozenset({"instanceType"}), _type),
    (frozenset({"userData", "userDataBase64"}), _user_data),
    (frozenset({"disableApiStop"}), _protection("disableApiStop", "DisableApiStop")),
    (frozenset({"disableApiTermination"}), _protection("disableApiTermination", "DisableApiTermination")),
    (frozenset({"instanceInitiatedShutdownBehavior"}), _shutdown_behaviour),
    (frozenset({"monitoring"}), _monitoring),
    (frozenset({"creditSpecification"}), _credits),
    (frozenset({"metadataOptions"}), _metadata),
    (frozenset({"rootBlockDevice"}), modify_root),
)
