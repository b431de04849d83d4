"""Zones and records: what is made is what AWS then shows, and what AWS refuses."""

from typing import Any

import pytest

from tests.unit.provider.fake_engine import REGION, AbortedError, NetworkFixture, Resource, boto_client
from tests.unit.provider.test_network import drifted, settled
from tests.unit.provider.test_schema import (
    A_RECORD,
    RECORD,
    ZONE,
)


def zone(small_network: NetworkFixture, **props: Any) -> Resource:
    """A private zone."""
    return small_network.engine.create(ZONE, "z", name="dev.webstack.internal", vpcs=[{"vpcId": small_network.vpc.id}], **props)


def test_a_private_zone_is_of_a_vpc_that_exists_and_its_only_one_of_the_name(small_network: NetworkFixture) -> None:
    made = settled(small_network.engine, zone(small_network, tags={"a": "b"}))
    assert made["vpcs"] == [{"vpcId": small_network.vpc.id, "vpcRegion": REGION}]
    with pytest.raises(AbortedError, match="ConflictingDomainExists"):
        zone(small_network)
    with pytest.raises(AbortedError, match="InvalidVPCId"):
        small_network.engine.create(ZONE, name="x.internal", vpcs=[{"vpcId": "vpc-0123456789abcdef0"}])
    other = small_network.engine.create("aws:ec2/vpc:Vpc", "other", cidrBlock="10.1.0.0/16")
    changed = small_network.engine.update(made, vpcs=[{"vpcId": other.id}], comment="c", tags={"a": "c"})
    assert ([vpc["vpcId"] for vpc in settled(small_network.engine, changed)["vpcs"]], changed["comment"]) == ([other.id], "c")


def test_a_private_zones_name_servers_end_with_a_dot_and_a_public_ones_do_not(small_network: NetworkFixture) -> None:
    private = settled(small_network.engine, zone(small_network))
    assert private["nameServers"] == ["ns-0.awsdns-00.com.", "ns-1024.awsdns-00.org.", "ns-1536.awsdns-00.co.uk.", "ns-512.awsdns-00.net."]
    assert private["primaryNameServer"] == "ns-0.awsdns-00.com."
    public = settled(small_network.engine, small_network.engine.create(ZONE, "public", name="example.org"))
    assert len(public["nameServers"]) == 4
    assert not any(name.endswith(".") for name in [*public["nameServers"], public["primaryNameServer"]])


def test_a_name_has_one_spelling_in_the_state_and_any_in_the_program(small_network: NetworkFixture) -> None:
    made = small_network.engine.create(ZONE, "z", name="Dev.Webstack.Internal.", vpcs=[{"vpcId": small_network.vpc.id}])
    assert made["name"] == "dev.webstack.internal"
    record = settled(
        small_network.engine, small_network.engine.create(RECORD, **{**A_RECORD, "name": "Web.Dev.webstack.internal.", "zoneId": made.id})
    )
    assert (record["name"], record["fqdn"]) == ("web.dev.webstack.internal", "web.dev.webstack.internal")
    assert record.id == f"{made.id}_web.dev.webstack.internal_A"


def test_a_zones_own_record_stays_when_the_program_lets_it_go(small_network: NetworkFixture) -> None:
    made = zone(small_network)
    value = "ns-0.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 5"
    soa = {"zoneId": made.id, "name": "dev.webstack.internal", "type": "SOA", "ttl": 5, "allowOverwrite": True}
    record = settled(small_network.engine, small_network.engine.create(RECORD, **soa, records=[value]))
    with pytest.raises(AbortedError, match=r"DomainLabelEmpty \(Domain label is empty\)"):
        small_network.engine.update(record, records=[value.replace(".com. ", ".com.. ", 1)])
    small_network.engine.delete(record)
    found = small_network.engine.refresh(record)
    assert found is not None
    assert found["records"] == [value]


def test_a_zone_with_records_is_deleted_only_by_force(small_network: NetworkFixture) -> None:
    made = zone(small_network)
    small_network.engine.create(RECORD, **{**A_RECORD, "zoneId": made.id})
    with pytest.raises(AbortedError, match="HostedZoneNotEmpty"):
        small_network.engine.delete(made)
    small_network.engine.delete(small_network.engine.update(made, forceDestroy=True))
    assert small_network.engine.refresh(made) is None


def test_a_record_is_within_its_zone_made_once_and_repaired(small_network: NetworkFixture) -> None:
    engine, made = small_network.engine, zone(small_network)
    record = engine.create(RECORD, **{**A_RECORD, "name": "WEB", "zoneId": made.id})
    record = settled(engine, record)
    assert record["fqdn"] == "web.dev.webstack.internal"
    with pytest.raises(AbortedError, match="but it already exists"):
        engine.create(RECORD, "again", **{**A_RECORD, "name": "web.dev.webstack.internal", "zoneId": made.id})
    changed = settled(engine, engine.update(record, records=["10.0.0.2", "10.0.0.1"], ttl=6))
    name, values = "web.dev.webstack.internal", [{"Value": "10.9.9.9"}]
    wrong = {"Name": name, "Type": "A", "TTL": 6, "ResourceRecords": values}
    boto_client("route53").change_resource_record_sets(
        HostedZoneId=made.id, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": wrong}]}
    )
    assert set(drifted(engine, changed)) == {"records[0]", "records[1]"}
    engine.delete(changed)
    assert engine.refresh(changed) is None
    engine.delete(changed)


def test_a_record_may_take_another_type_in_place(small_network: NetworkFixture) -> None:
    record = small_network.engine.create(RECORD, **{**A_RECORD, "zoneId": zone(small_network).id})
    changed = settled(small_network.engine, small_network.engine.update(record, type="TXT", records=["v=1 a"]))
    assert changed["records"] == ["v=1 a"]


def test_a_cname_stands_alone_and_not_at_the_apex(small_network: NetworkFixture) -> None:
    made = zone(small_network)
    alias = {"zoneId": made.id, "type": "CNAME", "ttl": 5, "records": ["x.example.org"]}
    with pytest.raises(AbortedError, match="not permitted at apex"):
        small_network.engine.create(RECORD, "apex", **alias, name="dev.webstack.internal")
    small_network.engine.create(RECORD, **{**A_RECORD, "zoneId": made.id})
    with pytest.raises(AbortedError, match="a conflicting RRSet of type A is there"):
        small_network.engine.create(RECORD, "beside", **alias, name="web")
