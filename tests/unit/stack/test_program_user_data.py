"""In the whole program: what hosts are told by their user data and by their configuration objects, and what changes neither."""

import hashlib
from typing import Any

import pytest

from tests.unit.stack.conftest import APP_HASH, ProgramRunner
from tests.unit.stack.program_queries import OBJECT, configuration_of, host_file, hosts, published_keys


def test_user_data_names_what_the_engine_made(program: ProgramRunner) -> None:
    result = program("dev")
    found = hosts(result)
    address = result.by_name("dev-address")
    balancer, web, database = (host_file(found[name]) for name in ("lb-1", "web-1", "db-2"))
    assert address.urn in found["lb-1"].property_dependencies["userData"]
    applied = configuration_of(result, "lb-1")
    assert balancer["elastic_ip_address"] == result.outputs["public_address"] == applied["values"]["domain"]
    assert balancer["peer_address"] == "10.20.16.10"
    assert web["bucket"] == result.outputs["bucket_name"]
    assert web["app_bundle"] == {"key": f"app/{APP_HASH}.tar.gz", "sha256": APP_HASH}
    assert web["load_balancer_addresses"] == ["10.20.0.10", "10.20.16.10"]
    assert database["volume_id"].startswith("vol-")
    assert database["server_id"] == 2
    assert [item["address"] for item in database["databases"]] == ["10.20.128.10", "10.20.144.10"]
    objects = published_keys(result)
    assert {balancer["role_bundle"]["key"], web["role_bundle"]["key"], web["app_bundle"]["key"], database["role_bundle"]["key"]} == objects


def test_each_pet_has_its_configuration_object_with_the_hash_of_its_user_data_and_no_web_host_has_one(program: ProgramRunner) -> None:
    result = program("dev")
    found = hosts(result)
    objects = {item.inputs["key"]: item for item in result.by_type(OBJECT)}
    assert sorted(objects) == [f"configuration/{name}.yaml" for name in ("db-1", "db-2", "lb-1")]
    for name in ("db-1", "db-2", "lb-1"):
        item = found[name]
        wanted = configuration_of(result, name)["user_data_sha256"]
        assert wanted == hashlib.sha256(item.inputs["userData"].encode()).hexdigest()
        assert host_file(item)["configuration_key"] == f"configuration/{name}.yaml"
        assert f"dev-{name}-configuration" in result.dependencies(item), "at a boot the object must be the new one"
        own = result.dependencies(objects[f"configuration/{name}.yaml"])
        assert {"dev-artifacts", "dev-load-balancer" if name == "lb-1" else "dev-database"} <= own, "its reader has its rights by then"
    assert host_file(found["web-1"])["configuration_key"] == ""


RELOAD_CASES = [
    {"loadBalancer": {"balance": "leastconn"}},
    {"loadBalancer": {"backendMode": "active-passive"}},
    {"loadBalancer": {"tls": {"mode": "secret", "secret": "site/pem"}}},
    {"web": {"count": 9}},
]


@pytest.mark.parametrize("change", RELOAD_CASES, ids=str)
def test_what_a_load_balancer_can_reload_leaves_every_user_data_as_it_is(program: ProgramRunner, change: dict[str, Any]) -> None:
    before, after = program("dev"), program("dev", **change)
    told = [{name: host_file(item) for name, item in hosts(result).items() if name in hosts(before)} for result in (before, after)]
    for content in (host for one in told for host in one.values()):
        for made_up in ("bucket", "elastic_ip_allocation_id", "elastic_ip_address", "volume_id", "secret_prefix", "site_host"):
            content.pop(made_up, None)
    assert told[0] == told[1]
    applied = [configuration_of(result, "lb-1") for result in (before, after)]
    assert applied[0]["values"] != applied[1]["values"]


def test_another_domain_is_told_to_web_hosts_by_user_data_and_to_load_balancers_by_a_reload(program: ProgramRunner) -> None:
    before, after = program("dev"), program("dev", loadBalancer={"domain": "shop.example.com"})
    (address,) = [item for item in before.by_type("ec2/eip:Eip") if item.name == "dev-address"]
    for name in ("web-1", "web-2"):
        told = [host_file(hosts(result)[name])["site_host"] for result in (before, after)]
        assert told == [before.outputs["public_address"], "shop.example.com"]
        assert address.urn in hosts(before)[name].property_dependencies["userData"]
    assert hosts(before)["lb-1"].inputs["userData"].count("shop.example.com") == 0
    assert configuration_of(after, "lb-1")["values"]["domain"] == "shop.example.com"


def test_scaling_the_web_tier_changes_no_other_host(program: ProgramRunner) -> None:
    two, three = hosts(program("dev")), hosts(program("dev", web={"count": 3}))
    for name in ("lb-1", "db-1", "db-2", "web-1", "web-2"):
        ids = [host_file(item) for item in (two[name], three[name])]
        for content in ids:
            for made_up in ("bucket", "elastic_ip_allocation_id", "elastic_ip_address", "volume_id", "secret_prefix", "site_host"):
                content.pop(made_up, None)
        assert ids[0] == ids[1], name
