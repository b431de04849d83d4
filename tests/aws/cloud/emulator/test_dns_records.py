"""Zones and records of Route 53 where moto is kinder than AWS or answers in another form, as any client sees it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.cloud.support import REGION, Network, client, refused

SOA = "ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"


def zone_of(api: str, network: Network, name: str = "dev.webstack.internal", reference: str = "one", **config: Any) -> Any:
    """A zone of the network as the real provider asks for it: the VPC alone says that it is private."""
    vpc = {"VPCId": network.vpc, "VPCRegion": REGION}
    return client("route53", api).create_hosted_zone(
        Name=name, CallerReference=reference, HostedZoneConfig={"Comment": "c", **config}, VPC=vpc
    )


def change(api: str, zone: str, *changes: tuple[str, str, str, list[str]], ttl: int | None = 5) -> None:
    """One batch of (action, name, type, values)."""
    batch: list[Any] = []
    for action, name, kind, values in changes:
        record: dict[str, Any] = {"Name": name, "Type": kind, "ResourceRecords": [{"Value": value} for value in values]}
        batch.append({"Action": action, "ResourceRecordSet": record | ({} if ttl is None else {"TTL": ttl})})
    client("route53", api).change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": batch})


def records(api: str, zone: str) -> dict[tuple[str, str], list[str]]:
    """Name and type of every record set, and its values."""
    found = client("route53", api).list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return {(item["Name"], item["Type"]): [value["Value"] for value in item["ResourceRecords"]] for item in found}


def test_a_zone_with_a_vpc_is_private_and_has_the_name_servers_of_every_private_zone(api: str, network: Network) -> None:
    made = zone_of(api, network, "Dev.Webstack.internal")
    assert made["HostedZone"]["Config"]["PrivateZone"] is True
    assert made["HostedZone"]["Name"] == "dev.webstack.internal."
    found = client("route53", api).get_hosted_zone(Id=made["HostedZone"]["Id"])
    assert [vpc["VPCId"] for vpc in found["VPCs"]] == [network.vpc]
    assert "DelegationSet" not in found
    assert records(api, made["HostedZone"]["Id"]) == {
        ("dev.webstack.internal.", "NS"): [
            "ns-1536.awsdns-00.co.uk.", "ns-0.awsdns-00.com.", "ns-1024.awsdns-00.org.", "ns-512.awsdns-00.net."
        ],
        ("dev.webstack.internal.", "SOA"): [SOA],
    }  # fmt: skip


def test_a_public_zones_records_end_with_a_dot_and_its_delegation_set_does_not(api: str) -> None:
    made = client("route53", api).create_hosted_zone(Name="example.org", CallerReference="public")
    servers = made["DelegationSet"]["NameServers"]
    assert len(servers) == 4
    found = records(api, made["HostedZone"]["Id"])
    assert found["example.org.", "NS"] == [f"{server}." for server in servers]
    assert found["example.org.", "SOA"] == [f"{servers[0]}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"]


def test_a_zones_vpc_exists_and_has_no_other_zone_of_the_name(api: str, network: Network) -> None:
    def refused(name: str, reference: str, vpc: dict[str, str] | None, **config: Any) -> str:
        with pytest.raises(ClientError) as caught:
            client("route53", api).create_hosted_zone(
                Name=name, CallerReference=reference, HostedZoneConfig={"Comment": "c", **config}, **({"VPC": vpc} if vpc else {})
            )
        return caught.value.response.get("Error", {}).get("Code", "")

    own = {"VPCId": network.vpc, "VPCRegion": REGION}
    zone_of(api, network)
    assert refused("dev.webstack.internal", "two", own) == "ConflictingDomainExists"
    assert refused("other.internal", "one", own) == "HostedZoneAlreadyExists"
    assert refused("other.internal", "two", {"VPCId": "vpc-0123456789abcdef0", "VPCRegion": REGION}) == "InvalidVPCId"
    assert refused("other.internal", "two", {"VPCId": network.vpc, "VPCRegion": "us-east-1"}) == "InvalidVPCId"
    assert refused("other.internal", "two", None, PrivateZone=True) == "InvalidInput"
    second = zone_of(api, network, "second.internal", "two")["HostedZone"]["Id"]
    with pytest.raises(ClientError, match="InvalidVPCId"):
        client("route53", api).associate_vpc_with_hosted_zone(
            HostedZoneId=second, VPC={"VPCId": "vpc-0123456789abcdef0", "VPCRegion": REGION}
        )


BAD: list[tuple[str, list[str], str]] = [
    ("SOA", [SOA.replace("co.uk.", "co.uk..")], r"DomainLabelEmpty \(Domain label is empty\) encountered with"),
    ("SOA", [SOA.removesuffix(" 86400")], "UnparseableSOA"),
    ("SOA", [f"{SOA} 1"], "UnparseableSOA"),
    ("SOA", [SOA.replace("7200", "2h")], "UnparseableSOA"),
    ("SOA", [SOA, SOA.replace(" 1 ", " 2 ")], "exactly one value"),
    ("NS", ["ns-0..example.org"], "DomainLabelEmpty"),
    ("CNAME", [".example.org"], "DomainLabelEmpty"),
    ("CNAME", ["a.example.org", "b.example.org"], "exactly one value"),
    ("A", ["hello"], "ARRDATAIllegalIPv4Address"),
    ("A", ["10.0.0.1", "10.0.0.1"], "Duplicate Resource Record"),
    ("AAAA", ["10.0.0.1"], "AAAARRDATAIllegalIPv6Address"),
    ("TXT", ["not quoted"], "InvalidCharacterString"),
    ("MX", ["mail.example.org"], "UnparseableMX"),
    ("SRV", ["1 2 mail.example.org"], "UnparseableSRV"),
]


@pytest.mark.parametrize(("kind", "values", "message"), BAD, ids=[f"{kind} {values}" for kind, values, _ in BAD])
def test_a_value_that_its_type_does_not_take_is_refused(api: str, network: Network, kind: str, values: list[str], message: str) -> None:
    zone = zone_of(api, network)["HostedZone"]["Id"]
    name = "dev.webstack.internal" if kind == "SOA" else "x.dev.webstack.internal"
    with pytest.raises(ClientError, match=message):
        change(api, zone, ("UPSERT", name, kind, values))
    assert records(api, zone)["dev.webstack.internal.", "SOA"] == [SOA], "a refused batch changes nothing"


def test_values_that_aws_takes_are_taken(api: str, network: Network) -> None:
    zone = zone_of(api, network)["HostedZone"]["Id"]
    own = ("UPSERT", "dev.webstack.internal", "SOA", [SOA.replace("86400", "5")])
    text = ("CREATE", "a.dev.webstack.internal", "TXT", [r'"v=1 \"a\"" "second"'])
    change(api, zone, own, text, ("CREATE", "b.dev.webstack.internal", "CNAME", ["x.example.org."]))
    change(api, zone, ("CREATE", "c.dev.webstack.internal", "MX", ["10 mail.example.org"]))
    assert len(records(api, zone)) == 5


def test_a_records_name_is_of_its_zone_and_has_one_spelling(api: str, network: Network) -> None:
    zone = zone_of(api, network)["HostedZone"]["Id"]
    change(api, zone, ("CREATE", "Web.dev.Webstack.internal.", "A", ["10.0.0.1"]))
    assert records(api, zone)["web.dev.webstack.internal.", "A"] == ["10.0.0.1"]
    for name, message in {
        "web.DEV.webstack.internal": "already exists",
        "notdev.webstack.internal": "is not permitted in zone",
        "web..dev.webstack.internal": "DomainLabelEmpty",
        f"{'x' * 64}.dev.webstack.internal": "DomainLabelTooLong",
    }.items():
        with pytest.raises(ClientError, match=message):
            change(api, zone, ("CREATE", name, "A", ["10.0.0.2"]))
    with pytest.raises(ClientError, match="but found none"):
        change(api, zone, ("CREATE", "b.dev.webstack.internal", "A", ["10.0.0.1"]), ttl=None)


def test_an_alias_is_alone_and_a_batch_may_change_a_records_type(api: str, network: Network) -> None:
    zone = zone_of(api, network)["HostedZone"]["Id"]
    name = "web.dev.webstack.internal"
    change(api, zone, ("CREATE", name, "A", ["10.0.0.1"]))
    for wrong in (name, "dev.webstack.internal"):
        with pytest.raises(ClientError, match="is not permitted"):
            change(api, zone, ("CREATE", wrong, "CNAME", ["x.example.org"]))
    change(api, zone, ("DELETE", name, "A", ["10.0.0.1"]), ("CREATE", name, "CNAME", ["x.example.org"]))
    assert (f"{name}.", "A") not in records(api, zone)


def test_a_zone_keeps_its_own_records(api: str, network: Network) -> None:
    zone = zone_of(api, network)["HostedZone"]["Id"]
    with pytest.raises(ClientError, match="exactly one SOA record"):
        change(api, zone, ("DELETE", "dev.webstack.internal", "SOA", [SOA]), ttl=900)


def test_records_are_made_and_deleted_by_what_is_there(api: str) -> None:
    route53 = client("route53", api)
    zone = route53.create_hosted_zone(Name="example.org", CallerReference="records")["HostedZone"]["Id"]

    def change(action: str, name: str, value: str = "10.0.0.1") -> None:
        record = {"Name": f"{name}.example.org", "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": value}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]})

    change("CREATE", "web")
    assert refused(change, action="CREATE", name="web") == "InvalidChangeBatch"
    assert refused(change, action="CREATE", name="web", value="10.0.0.2") == "InvalidChangeBatch"
    change("CREATE", "web-active")
    assert refused(change, action="DELETE", name="web", value="10.0.0.2") == "InvalidChangeBatch"
    change("DELETE", "web")
    assert refused(change, action="DELETE", name="web") == "InvalidChangeBatch"
    change("CREATE", "web")
    change("UPSERT", "web", value="10.0.0.3")
    change("DELETE", "web", value="10.0.0.3")
