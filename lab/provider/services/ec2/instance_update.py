"""The update of an instance, in the order of `resourceInstanceUpdate` (terraform-provider-aws, internal/service/ec2/ec2_instance.go).

Type and user data are changed on a stopped instance, in a stop and a start each (`modifyInstanceAttributeWithStopStart`), the type first:
an instance whose type and user data both change boots once with the new type and the old user data. What comes later in the order is
done after those boots, and not at all where one of them fails.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from lab.provider.api_client import ApiClient, filters
from lab.provider.codec import Props
from lab.provider.handler import retag, to_api_params
from lab.provider.rules.model import as_dict, as_list
from lab.provider.services.ec2.instance_disks import modify_root
from lab.provider.services.ec2.instance_state import describe, modify, stop, wait_for
from lab.provider.services.ec2.launch_checks import check_groups_in_vpc

METADATA_PARAMS: Final = {
    "httpEndpoint": "HttpEndpoint",
    "httpTokens": "HttpTokens",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "instanceMetadataTags": "InstanceMetadataTags",
    "httpProtocolIpv6": "HttpProtocolIpv6",
}
_Step = Callable[[ApiClient, str, Props, Props], None]


def update(client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    """Brings the changed properties to what the news say. Raises Refusal at the first that AWS refuses."""
    retag(client, identifier, olds, news)
    for names, step in _STEPS:
        if changed & names:
            step(client, identifier, olds, news)


def user_data(news: Props) -> bytes | None:
    """The raw user data; botocore encodes it."""
    if news.get("userDataBase64") is not None:
        return base64.b64decode(news["userDataBase64"])
    return news["userData"].encode() if news.get("userData") is not None else None


def profile_association(client: ApiClient, identifier: str) -> dict[str, Any] | None:
    """The association of an instance with its profile, None where it has none."""
    for association in client.list_all(
        "ec2.describe_iam_instance_profile_associations", "IamInstanceProfileAssociations", Filters=filters(instance_id=identifier)
    ):
        if association.get("State") in ("associating", "associated"):
            return association
    return None


def _volume_tags(client: ApiClient, identifier: str, olds: Props, news: Props) -> None:
    """Of every volume that the instance has (`getInstanceVolumeIDs`)."""
    instance = describe(client, identifier) or {}
    for mapping in as_list(instance.get("BlockDeviceMappings")):
        retag(client, mapping["Ebs"]["VolumeId"], {"tagsAll": olds.get("volumeTags")}, {"tagsAll": news.get("volumeTags")})


def _profile(client: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
    profile, association = news.get("iamInstanceProfile"), profile_association(client, identifier)
    if profile and association:
        client.call(
            "ec2.replace_iam_instance_profile_association",
            AssociationId=association["AssociationId"],
            IamInstanceProfile={"Name": profile},
        )
    elif profile:
        client.call("ec2.associate_iam_instance_profile", InstanceId=identifier, IamInstanceProfile={"Name": profile})
    elif association:
        client.call("ec2.disassociate_iam_instance_profile", AssociationId=association["AssociationId"])


def _source_check(client: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
    modify(client, identifier, SourceDestCheck={"Value": news.get("sourceDestCheck") is not False})


def _groups(client: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
    instance = describe(client, identifier) or {}
    groups = as_list(news.get("vpcSecurityGroupIds"))
    check_groups_in_vpc(client, "ec2.modify_network_interface_attribute", groups, instance["VpcId"])
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    client.call("ec2.modify_network_interface_attribute", NetworkInterfaceId=interface, Groups=groups)


def _type(client: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
    _with_stop_and_start(client, identifier, InstanceType={"Value": news["instanceType"]})


def _user_data(client: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
    _with_stop_and_start(client, identifier, UserData={"Value": user_data(news) or b""})


def _with_stop_and_start(client: ApiClient, identifier: str, **attribute: Any) -> None:
    stop(client, identifier)
    modify(client, identifier, **attribute)
    client.call("ec2.start_instances", InstanceIds=[identifier])
    wait_for(client, identifier, "running", failure_states=("terminated",))


def _protection(name: str, parameter: str) -> _Step:
    def step(cloud: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
        modify(cloud, identifier, **{parameter: {"Value": bool(news.get(name))}})

    return step


def _shutdown_behaviour(client: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
    modify(client, identifier, InstanceInitiatedShutdownBehavior={"Value": news["instanceInitiatedShutdownBehavior"]})


def _monitoring(client: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
    verb = "monitor" if news.get("monitoring") else "unmonitor"
    client.call(f"ec2.{verb}_instances", InstanceIds=[identifier])


def _credits(client: ApiClient, identifier: str, _olds: Props, news: Props) -> None:
    wanted = {"InstanceId": identifier, "CpuCredits": as_dict(news.get("creditSpecification"))["cpuCredits"]}
    client.call("ec2.modify_instance_credit_specification", InstanceCreditSpecifications=[wanted])


def _metadata(client: ApiClient, identifier: str, olds: Props, news: Props) -> None:
    """All options, those that nobody speaks of as they are; with the endpoint disabled AWS takes no others."""
    options = {**as_dict(olds.get("metadataOptions")), **as_dict(news.get("metadataOptions"))}
    if options.get("httpEndpoint") == "disabled":
        options = {"httpEndpoint": "disabled"}
    client.call("ec2.modify_instance_metadata_options", InstanceId=identifier, **to_api_params(options, METADATA_PARAMS))


_STEPS: Final[tuple[tuple[frozenset[str], _Step], ...]] = (
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
