"""Hosted zones of Route 53: what makes one private, which VPCs it may have, and its initial records.

moto makes a private zone only if the request has `PrivateZone`, and does not check that the VPC exists. AWS makes one whenever the request
names a VPC, and the real provider sends only that (`resourceZoneCreate` in terraform-provider-aws, internal/service/route53/zone.go). moto
gives each zone the same four name servers, without a dot at the end of a record's values.

https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html
"""

from typing import Any, Final

from moto.ec2.models import ec2_backends
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import FakeZone, Route53Backend
from moto.route53.responses import Route53

from lab.cloud.emulator.patching import original, replace

PRIVATE_NAME_SERVERS: Final = ("ns-1536.awsdns-00.co.uk.", "ns-0.awsdns-00.com.", "ns-1024.awsdns-00.org.", "ns-512.awsdns-00.net.")
"""The value of every private zone's NS record. GetHostedZone shows no name servers for private zones.

The output of ListResourceRecordSets in https://docs.aws.amazon.com/AmazonECS/latest/developerguide/create-service-discovery.html, and
hashicorp/terraform-provider-aws#14863.
"""
SOA_TAIL: Final = "awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
"""The rest of an SOA value, after the name server: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html"""
NS_TTL: Final = 172800
SOA_TTL: Final = 900

_create_request = original(Route53, "create_hosted_zone")
_create = original(Route53Backend, "create_hosted_zone")
_associate = original(Route53Backend, "associate_vpc_with_hosted_zone")


def install() -> None:
    """Makes zones and associates them with VPCs as AWS does."""
    replace(Route53, "create_hosted_zone", _create_from_request)
    replace(Route53Backend, "create_hosted_zone", _create_zone)
    replace(Route53Backend, "associate_vpc_with_hosted_zone", _associate_vpc)


def _create_from_request(response: Any) -> Any:
    """Makes a zone with a VPC private, whatever `PrivateZone` says."""
    vpc = response._get_param("VPC.VPCId")
    asked = response._get_bool_param("HostedZoneConfig.PrivateZone", False)
    if asked and not vpc:
        raise Route53ClientError(
            "InvalidInput",
            "When you're creating a private hosted zone (when you specify true for PrivateZone), you must also specify values for VPCId "
            "and VPCRegion.",
        )
    response.params["HostedZoneConfig"] = {**(response.params.get("HostedZoneConfig") or {}), "PrivateZone": bool(vpc)}
    return _create_request(response)


def _create_zone(backend: Any, name: str, private_zone: bool, **given: Any) -> FakeZone:
    reference = given.get("caller_reference")
    if any(zone.caller_reference == reference for zone in backend.zones.values()):
        raise Route53ClientError(
            "HostedZoneAlreadyExists", f"A hosted zone has already been created with the specified caller reference: {reference}"
        )
    name = name.lower()
    if private_zone:
        _check_vpc(backend, name, given.get("vpcid"), given.get("vpcregion"))
    zone: FakeZone = _create(backend, name, private_zone, **given)
    servers = (
        list(PRIVATE_NAME_SERVERS)
        if zone.delegation_set is None or private_zone
        else [f"{one}." for one in zone.delegation_set.name_servers]
    )
    zone.rrsets.clear()
    zone.add_rrset({"Name": zone.name, "Type": "NS", "TTL": NS_TTL, "ResourceRecords": servers})
    zone.add_rrset({"Name": zone.name, "Type": "SOA", "TTL": SOA_TTL, "ResourceRecords": [f"{servers[0]} {SOA_TAIL}"]})
    return zone


def _associate_vpc(backend: Any, zone_id: str, vpcid: str, vpcregion: str) -> FakeZone:
    zone: FakeZone = backend.get_hosted_zone(zone_id)
    if zone.private_zone:
        _check_vpc(backend, zone.name, vpcid, vpcregion)
    return _associate(backend, zone_id, vpcid, vpcregion)


def _check_vpc(backend: Any, name: str, vpc: str | None, region: str | None) -> None:
    """Raises AWS's error unless the VPC exists in its region and has no other zone of that name."""
    regions: Any = ec2_backends[backend.account_id]
    if region not in regions or vpc not in regions[region].vpcs:
        raise Route53ClientError("InvalidVPCId", f"The VPC ID is invalid: {vpc} is not in {region}.")
    for zone in backend.zones.values():
        if zone.private_zone and zone.name == name and any(item["vpc_id"] == vpc for item in zone.vpcs):
            raise Route53ClientError(
                "ConflictingDomainExists",
                f"The VPC {vpc} in region {region} has already been associated with the hosted zone {zone.resource_id} with the same "
                "domain name.",
            )
